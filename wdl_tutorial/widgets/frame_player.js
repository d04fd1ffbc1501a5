// @ts-check
/* Precomputed pictures with handles: for results that take longer than a handle's move. */

import { clamp, demo, element } from "./shell.js";

export default demo({ name: "frames", title: "", keys: ["at"] }, (ui) => {
  const handles = ui.get("handles");
  const frames = ui.get("frames");
  const captions = ui.get("captions");
  const sizes = handles.map(([, values]) => values.length);
  // bytes, or in a built page the address of a file: the others are fetched once somebody comes
  // near the demo
  const held = (frame) => typeof frame !== "string";
  const urls = frames.map((frame) =>
    held(frame) ? URL.createObjectURL(new Blob([frame], { type: "image/png" })) : frame,
  );
  const images = [];
  const image = (k) =>
    (images[k] ??= element("img", {
      class: "wdl-frame",
      src: urls[k],
      alt: captions[k] ?? "",
      decoding: "sync",
    }));
  for (const near of ["pointerenter", "focusin"])
    ui.root.addEventListener(near, () => urls.forEach((_, k) => image(k)), { once: true });
  ui.cleanups.push(() =>
    urls.forEach((url, k) => {
      if (held(frames[k])) URL.revokeObjectURL(url);
    }),
  );
  handles.forEach(([name, values], k) => {
    if (values.length < 2) return;
    ui.slider("at", {
      label: name,
      min: 0,
      max: values.length - 1,
      step: 1,
      read: (at) => at[k],
      write: (v, at) => at.map((x, j) => (j === k ? v : x)),
      text: (v) => values[v],
    });
  });
  const accept = (at) =>
    Array.isArray(at) &&
    at.length === sizes.length &&
    at.every((v, k) => Number.isInteger(v) && v >= 0 && v < sizes[k])
      ? at
      : null;
  ui.controls.set(
    "at",
    (ui.controls.get("at") ?? []).map((control) => ({ ...control, accept })),
  );
  const first = sizes.findIndex((n) => n > 3);
  if (first >= 0)
    ui.play("at", {
      min: 0,
      max: sizes[first] - 1,
      whole: true,
      write: (v, at) => at.map((x, k) => (k === first ? v : x)),
      text: `Play ${handles[first][0]}`,
    });

  return () => {
    const at = ui.get("at").map((v, k) => clamp(Math.round(v), 0, sizes[k] - 1));
    const index = at.reduce((s, v, k) => s * sizes[k] + v, 0);
    if (ui.board.firstChild !== image(index)) ui.board.replaceChildren(image(index));
    return (
      captions[index] ?? handles.map(([name, values], k) => `${name}: ${values[at[k]]}`).join(", ")
    );
  };
});
