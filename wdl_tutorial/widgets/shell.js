// @ts-check
/* What every demo shares: its frame, its handles, its state, and the words that say what the
 * picture shows.
 *
 * A demo is demo({ name, title, keys }, build): `keys` are the model's values that make its
 * state, and build(ui) adds handles and panels and returns update(), which draws and returns one
 * or two sentences about what is drawn. Every change, by hand or from Python, goes through the
 * model and leads to one drawing in the next animation frame: the newest value wins and nothing
 * queues. `reset: false` is for a state that nobody should lose by a button.
 */

import { Plot, fixed, percent, schemeOf, watchScheme } from "./draw.js";
import { readState, writeState } from "./state.js";

const clamp = (v, lo, hi) => Math.min(hi, Math.max(lo, v));
const stillPlease = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/* A name that no other demo of the page has: each demo brings its own copy of this file. */
const unique = (what) => `wdl-${what}-${(globalThis.wdlNames = (globalThis.wdlNames ?? 0) + 1)}`;

class Demo {
  constructor(model, el, { name, title: fallback, keys, reset = true }) {
    const title = model.get("title") || fallback;
    this.model = model;
    this.name = name;
    this.keys = keys;
    this.rows = [];
    this.controls = new Map();
    this.plots = [];
    this.cleanups = [];
    const id = unique("demo");
    this.board = element("div", { class: "wdl-board" });
    this.panel = element("div", { class: "wdl-controls" });
    this.readout = element("p", { class: "wdl-readout", id: `${id}-readout` });
    this.live = element("p", { class: "wdl-hidden", "aria-live": "polite", "aria-atomic": "true" });
    this.tools = element("span", { class: "wdl-tools" });
    this.root = element(
      "div",
      {
        class: "wdl-demo",
        role: "group",
        "aria-label": title,
        "aria-describedby": `${id}-readout`,
      },
      element(
        "div",
        { class: "wdl-head" },
        element("span", { class: "wdl-title" }, title),
        this.tools,
      ),
      this.board,
      this.panel,
      this.live,
      this.readout,
    );
    if (model.get("caption"))
      this.root.append(element("p", { class: "wdl-caption" }, model.get("caption")));
    el.append(this.root);
    this.initial = Object.fromEntries(keys.map((key) => [key, model.get(key)]));
    if (reset)
      this.button("Reset", () => this.set(this.initial), { tool: true, label: "Reset this demo" });
    if (reset && this.addressed)
      this.button("Copy link", () => this.copyLink(), {
        tool: true,
        label: "Copy link to this demo as it stands",
      });
    this.button("Full screen", () => this.toggleFull(), {
      tool: true,
      label: "Show this demo on the full screen",
    });
  }

  get(key) {
    return this.model.get(key);
  }

  set(values) {
    for (const [key, value] of Object.entries(values)) this.model.set(key, value);
    this.model.save_changes();
    this.schedule();
  }

  on(key, changed) {
    this.model.on(`change:${key}`, changed);
    this.cleanups.push(() => this.model.off(`change:${key}`, changed));
  }

  /* ---- handles ---- */

  #add(node, key, control) {
    (control?.into ?? this.panel).append(node);
    if (key) this.controls.set(key, [...(this.controls.get(key) ?? []), control]);
  }

  /**
   * A native range input. `values` (a list) makes it step through them; `read` and `write` map the
   * model's value.
   *
   * @param {string} key
   * @param {{ label: string, min?: number, max?: number, step?: number, values?: number[] | null,
   *   text?: (v: any) => string, read?: (v: any) => any,
   *   write?: (v: number, now?: any) => any }} handle
   */
  slider(
    key,
    {
      label,
      min = 0,
      max = 1,
      step = 0.01,
      values = null,
      text = (v) => String(v),
      read = (v) => v,
      write = (v) => v,
    },
  ) {
    const position = (v) =>
      values
        ? values.reduce(
            (best, x, k) =>
              Math.abs(Math.log((x + 1e-300) / (v + 1e-300))) <
              Math.abs(Math.log((values[best] + 1e-300) / (v + 1e-300)))
                ? k
                : best,
            0,
          )
        : v;
    const [lo, hi, by] = values ? [0, values.length - 1, 1] : [min, max, step];
    const output = element("output", { class: "wdl-value" });
    const input = element("input", {
      type: "range",
      min: lo,
      max: hi,
      step: by,
      "aria-label": label,
      "data-lm-suppress-shortcuts": "true",
    });
    input.addEventListener("input", () =>
      this.set({
        [key]: write(values ? values[Number(input.value)] : Number(input.value), this.get(key)),
      }),
    );
    const show = () => {
      const v = read(this.get(key));
      input.value = position(v);
      output.textContent = text(v);
      input.setAttribute("aria-valuetext", text(v));
    };
    const accept = (v) =>
      typeof v === "number" && Number.isFinite(v)
        ? clamp(v, values ? Math.min(...values) : min, values ? Math.max(...values) : max)
        : null;
    const node = element(
      "label",
      { class: "wdl-slider" },
      element("span", { class: "wdl-name" }, label),
      output,
      input,
    );
    this.#add(node, key, { show, accept });
    return input;
  }

  /* One slider per component of a point of the simplex: moving one shares the rest out as it was
   * shared before.
   */
  simplex(key, names, { label = (name) => `weight of ${name}` } = {}) {
    names.forEach((name, k) =>
      this.slider(key, {
        label: label(name),
        min: 0,
        max: 1,
        step: 0.01,
        text: (v) => fixed(v, 2),
        read: (w) => w[k],
        write: (v, w) => {
          const rest = w.reduce((s, x, j) => s + (j === k ? 0 : x), 0);
          return w.map((x, j) =>
            j === k ? v : rest > 1e-9 ? (x * (1 - v)) / rest : (1 - v) / (w.length - 1),
          );
        },
      }),
    );
    const accept = (w) =>
      Array.isArray(w) &&
      w.length === names.length &&
      w.every((x) => x >= 0 && Number.isFinite(x)) &&
      w.some((x) => x > 0)
        ? w.map((x) => x / w.reduce((s, y) => s + y, 0))
        : null;
    this.controls.set(
      key,
      this.controls.get(key).map((control) => ({ ...control, accept })),
    );
  }

  choice(key, { label, options }) {
    const group = unique("choice");
    const inputs = options.map(([value, text]) => {
      const input = element("input", {
        type: "radio",
        name: group,
        "data-lm-suppress-shortcuts": "true",
        onchange: () => this.set({ [key]: value }),
      });
      return [value, input, element("label", {}, input, element("span", {}, text))];
    });
    const show = () => {
      for (const [value, input] of inputs) input.checked = value === this.get(key);
    };
    const accept = (v) => (options.some(([value]) => value === v) ? v : null);
    this.#add(
      element(
        "fieldset",
        { class: "wdl-choice" },
        element("legend", {}, label),
        ...inputs.map(([, , node]) => node),
      ),
      key,
      { show, accept },
    );
  }

  toggle(key, { label }) {
    const input = element("input", {
      type: "checkbox",
      "data-lm-suppress-shortcuts": "true",
      onchange: () => this.set({ [key]: input.checked }),
    });
    const accept = (v) => (typeof v === "boolean" ? v : null);
    this.#add(element("label", { class: "wdl-toggle" }, input, element("span", {}, label)), key, {
      show: () => {
        input.checked = this.get(key);
      },
      accept,
    });
  }

  button(text, action, { tool = false, label = null, into = null } = {}) {
    const node = element(
      "button",
      { type: "button", class: "wdl-button", "aria-label": label, onclick: action },
      text,
    );
    (into ?? (tool ? this.tools : this.panel)).append(node);
    return node;
  }

  /**
   * A button that runs a value from one end to the other; in a few steps for whom motion is too
   * much.
   *
   * @param {string} key
   * @param {{ min: number, max: number, seconds?: number, text?: string, whole?: boolean,
   *   write?: (v: number, now?: any) => any }} run
   */
  play(key, { min, max, seconds = 4, text = `Play ${key}`, whole = false, write = (v) => v }) {
    let started = null;
    let timer = 0;
    const stop = () => {
      cancelAnimationFrame(timer);
      clearTimeout(timer);
      started = null;
      node.textContent = text;
    };
    const tick = (now) => {
      if (started === null) return;
      const share = clamp((now - started) / (1000 * seconds), 0, 1);
      const steps = stillPlease() ? 8 : 200;
      const value = min + ((max - min) * Math.round(share * steps)) / steps;
      this.set({ [key]: write(whole ? Math.round(value) : value, this.get(key)) });
      if (share >= 1) stop();
      else
        timer = stillPlease()
          ? setTimeout(() => tick(performance.now()), 500)
          : requestAnimationFrame(tick);
    };
    const node = this.button(
      text,
      () => {
        if (started !== null) return stop();
        started = performance.now();
        node.textContent = "Stop";
        tick(started);
      },
      { tool: true },
    );
    this.tools.prepend(node);
    this.cleanups.push(stop);
  }

  /* ---- panels ---- */

  /* A row of panels, side by side where there is room: each { label, height(width), share, touch
   * }.
   */
  row(...panels) {
    const node = element("div", { class: "wdl-row" });
    const plots = panels.map(({ label, height, share = 1, touch = "pan-y" }) => {
      const canvas = element("canvas", {
        role: "img",
        "aria-label": label,
        style: `touch-action:${touch}`,
      });
      node.append(canvas);
      return Object.assign(new Plot(canvas), { naturalHeight: height, share });
    });
    this.board.append(node);
    this.rows.push({ node, plots });
    this.plots.push(...plots);
    return plots;
  }

  panelOf(options) {
    return this.row(options)[0];
  }

  /* Let a finger or a mouse take hold of something: pick(x, y) names it or is null, move(what,
   * x, y) follows.
   */
  drag(plot, { pick, move, drop = (_held) => {} }) {
    const { canvas } = plot;
    let held = null;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [
        plot.invX(((event.clientX - box.left) * plot.width) / box.width),
        plot.invY(((event.clientY - box.top) * plot.height) / box.height),
      ];
    };
    canvas.addEventListener("pointerdown", (event) => {
      held = pick(...at(event));
      if (held === null) return;
      canvas.setPointerCapture(event.pointerId);
      event.preventDefault();
      move(held, ...at(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (held !== null) move(held, ...at(event));
      else canvas.style.cursor = pick(...at(event)) === null ? "default" : "grab";
    });
    for (const end of ["pointerup", "pointercancel"])
      canvas.addEventListener(end, () => {
        if (held !== null) drop(held);
        held = null;
      });
  }

  #layout() {
    const width = this.board.clientWidth || 640;
    const full = this.isFull;
    const gap = 12;
    const scheme = schemeOf();
    const font = clamp(10 + width / 170, 12, 22);
    const wide = width >= 560;
    this.root.dataset.scheme = scheme;
    const sized = this.rows.map(({ node, plots }) => {
      const beside = wide && plots.length > 1;
      const shares = plots.reduce((s, plot) => s + plot.share, 0);
      node.style.gridTemplateColumns = beside
        ? plots.map((plot) => `minmax(0, ${plot.share}fr)`).join(" ")
        : "minmax(0, 1fr)";
      const widths = plots.map((plot) =>
        beside ? ((width - gap * (plots.length - 1)) * plot.share) / shares : width,
      );
      const heights = plots.map((plot, k) => plot.naturalHeight(widths[k], font));
      return {
        plots,
        widths,
        heights: beside ? heights.map(() => Math.max(...heights)) : heights,
        beside,
      };
    });
    const total = sized.reduce(
      (s, { heights, beside }) => s + (beside ? heights[0] : heights.reduce((x, y) => x + y, 0)),
      0,
    );
    const factor = full ? clamp((window.innerHeight - this.#besides() - 24) / total, 0.6, 3) : 1;
    for (const { plots, widths, heights } of sized)
      plots.forEach((plot, k) =>
        plot.resize(widths[k], Math.round(heights[k] * factor), scheme, font),
      );
  }

  /* The height of everything but the panels. */
  #besides() {
    const bottom = this.root.lastElementChild.getBoundingClientRect().bottom;
    const top = this.root.getBoundingClientRect().top - this.root.scrollTop;
    return bottom - top - this.board.clientHeight;
  }

  /* ---- drawing ---- */

  schedule() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = null;
      this.draw();
    });
  }

  draw() {
    const before = performance.now();
    this.#layout();
    for (const controls of this.controls.values()) for (const { show } of controls) show();
    const words = this.update();
    this.root.dataset.ms = (performance.now() - before).toFixed(2);
    this.say(words);
    this.#keep();
  }

  say(words) {
    if (this.readout.textContent === words) return;
    this.readout.textContent = words;
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => {
      this.live.textContent = words;
    }, 600); // once the handle rests
  }

  /* ---- full screen ---- */

  get isFull() {
    return document.fullscreenElement === this.root || this.root.classList.contains("wdl-full");
  }

  toggleFull() {
    if (document.fullscreenElement === this.root) document.exitFullscreen();
    else if (this.root.requestFullscreen && !this.root.classList.contains("wdl-full"))
      this.root.requestFullscreen().catch(() => {
        this.root.classList.add("wdl-full");
        this.schedule();
      });
    else {
      this.root.classList.toggle("wdl-full");
      this.schedule();
    }
  }

  /* ---- the state in the page's address: only where no kernel keeps it ---- */

  get addressed() {
    return this.model.widget_manager === undefined;
  }

  #hash() {
    return writeState(
      location.hash,
      this.name,
      Object.fromEntries(this.keys.map((key) => [key, this.get(key)])),
      this.initial,
    );
  }

  #keep() {
    if (!this.addressed || !this.moved) return;
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => {
      const hash = this.#hash();
      history.replaceState(
        history.state,
        "",
        hash ? `#${hash}` : location.pathname + location.search,
      );
    }, 300);
  }

  #recall() {
    if (!this.addressed) return;
    const found = readState(location.hash, this.name, this.initial);
    for (const [key, read] of Object.entries(found)) {
      const value = this.controls.get(key)?.[0].accept(read) ?? null;
      if (value !== null) this.model.set(key, value);
    }
    if (Object.keys(found).length) this.root.scrollIntoView?.({ block: "nearest" });
  }

  /* Words below the demo for a few seconds: the readout would take them back with its next drawing,
   * and its change of height asks for one.
   */
  #tell(words) {
    this.root.querySelector(".wdl-told")?.remove();
    const told = element("p", { class: "wdl-caption wdl-told", role: "status" });
    this.root.append(told);
    told.textContent = words;
    setTimeout(() => told.remove(), 5000);
  }

  /* The address of this page with this demo as it stands: to the clipboard, or into a field to
   * copy it from.
   */
  async copyLink() {
    const hash = this.#hash();
    const link = location.href.split("#")[0] + (hash ? `#${hash}` : "");
    try {
      await navigator.clipboard.writeText(link);
      this.#tell("The link to this state is copied.");
    } catch {
      const field = element("input", {
        type: "text",
        class: "wdl-link",
        readonly: true,
        value: link,
        "aria-label": "The link to this state, to be copied",
      });
      this.root.querySelector(".wdl-link")?.remove();
      this.root.append(field);
      field.select();
    }
  }

  start(update) {
    this.update = update;
    this.#recall();
    const changed = () => {
      this.moved = true;
      this.schedule();
    };
    const redraw = () => this.schedule();
    for (const key of this.keys) this.on(key, changed);
    const sizes = new ResizeObserver(redraw);
    const unwatch = watchScheme(redraw);
    sizes.observe(this.board);
    document.addEventListener("fullscreenchange", redraw);
    const cell = this.root.closest(".jp-Cell-outputArea, .cell_output");
    for (const still of cell?.querySelectorAll(".wdl-first-frame") ?? []) still.hidden = true;
    this.draw();
    return () => {
      sizes.disconnect();
      unwatch();
      document.removeEventListener("fullscreenchange", redraw);
      this.cleanups.forEach((f) => f());
      cancelAnimationFrame(this.pending);
    };
  }
}

export function demo(options, build) {
  return {
    render({ model, el }) {
      const ui = new Demo(model, el, options);
      return ui.start(build(ui));
    },
  };
}

/* Words shared by several demos. */
export const list = (items) =>
  items.length < 2
    ? items.join("")
    : `${items.slice(0, -1).join(", ")} and ${items[items.length - 1]}`;
export const peakWords = (at) =>
  at.length === 1
    ? `one peak, at ${list(at)}`
    : `${["no", "one", "two", "three", "four"][at.length] ?? at.length} peaks, at ${list(at)}`;
export { clamp, fixed, percent };
