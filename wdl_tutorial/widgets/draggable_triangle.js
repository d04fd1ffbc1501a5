// @ts-check
/* Chapter 12: a cloud of pixels, the triangle you put around it, and the corners that VCA finds. */

import { clamp, demo, fixed, percent } from "./shell.js";

const TRUTH = [
  [0.12, 0.15],
  [0.88, 0.25],
  [0.42, 0.9],
];
const NAMES = ["A", "B", "C"];
const COLOURS = ["red", "green", "purple"];
const COUNT = 260;
const cross = ([ax, ay], [bx, by], [cx, cy]) => (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
const area = (corners) => Math.abs(cross(...corners)) / 2;

/* Seeded uniform numbers (mulberry32): the same cloud on every machine. */
function uniform(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/* Fractions drawn evenly over the simplex, then shrunk towards its middle until none is above
 * `purest`.
 */
function cloud(purest) {
  const random = uniform(7);
  const share = (purest - 1 / 3) / (1 - 1 / 3);
  return Array.from({ length: COUNT }, (_, i) => {
    const e =
      i < 3
        ? [0, 1, 2].map((k) => (k === i ? 1 : 0))
        : [0, 1, 2].map(() => -Math.log(1 - random()));
    const s = e[0] + e[1] + e[2];
    const w = e.map((v) => 1 / 3 + share * (v / s - 1 / 3));
    return [0, 1].map((axis) => w.reduce((sum, v, k) => sum + v * TRUTH[k][axis], 0));
  });
}

function outside(p, corners) {
  // distance to the triangle, 0 inside
  const turn = Math.sign(cross(...corners)) || 1;
  const edges = [0, 1, 2].map((k) => [corners[k], corners[(k + 1) % 3]]);
  if (edges.every(([a, b]) => turn * cross(a, b, p) >= -1e-12)) return 0;
  return Math.min(
    ...edges.map(([a, b]) => {
      const d = [b[0] - a[0], b[1] - a[1]];
      const t = clamp(
        ((p[0] - a[0]) * d[0] + (p[1] - a[1]) * d[1]) / (d[0] ** 2 + d[1] ** 2 + 1e-300),
        0,
        1,
      );
      return Math.hypot(p[0] - a[0] - t * d[0], p[1] - a[1] - t * d[1]);
    }),
  );
}

/* VCA's rule in the plane of the data: the pixel farthest along a direction that what was found
 * already does not have.
 */
function vca(points) {
  const lifted = points.map(([x, y]) => [x, y, 1]);
  const found = [];
  const arrows = [];
  let direction = [0.3, 0.8, -0.5];
  for (let k = 0; k < 3; k++) {
    if (k === 1) {
      const a = lifted[found[0]];
      direction = [a[1], -a[0], 0];
    }
    if (k === 2) {
      const [a, b] = found.map((i) => lifted[i]);
      direction = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    }
    const along = lifted.map((p) =>
      Math.abs(p[0] * direction[0] + p[1] * direction[1] + p[2] * direction[2]),
    );
    found.push(along.indexOf(Math.max(...along)));
    arrows.push(direction);
  }
  return { corners: found.map((i) => points[i]), arrows };
}

/* Another triangle around all the points: the true one turned, stretched and moved at random
 * until it holds them.
 */
function fitting(points, purest, random) {
  const middle = [0, 1].map((axis) => TRUTH.reduce((s, c) => s + c[axis] / 3, 0));
  for (let attempt = 0; attempt < 3000; attempt++) {
    const turn = 3 * (1 - purest) * (random() - 0.5);
    const stretch = TRUTH.map(() => purest + 0.6 * random());
    const corners = TRUTH.map(([x, y], k) => {
      const [dx, dy] = [x - middle[0], y - middle[1]];
      const [c, s] = [Math.cos(turn), Math.sin(turn)];
      return [
        middle[0] + stretch[k] * (c * dx - s * dy),
        middle[1] + stretch[k] * (s * dx + c * dy),
      ].map((v) => Math.round(100 * v) / 100);
    });
    if (
      corners.flat().every((v) => v >= 0 && v <= 1) &&
      points.every((p) => outside(p, corners) < 1e-9)
    )
      return corners;
  }
  return null;
}

export default demo(
  {
    name: "draggable-triangle",
    title: "How many triangles fit?",
    keys: ["corners", "corner", "purest", "vca"],
  },
  (ui) => {
    const picture = ui.panelOf({
      label: "The pixels, your triangle and VCA's corners",
      height: (w, f) => Math.min(0.95 * w, 30 * f),
      touch: "none",
    });
    ui.slider("purest", {
      label: "purest pixel holds at most",
      min: 0.4,
      max: 1,
      step: 0.02,
      text: (v) => `${percent(v)} of one`,
    });
    ui.toggle("vca", { label: "show the corners that VCA picks" });
    ui.choice("corner", {
      label: "corner that the two handles move",
      options: [
        [0, "A"],
        [1, "B"],
        [2, "C"],
      ],
    });
    for (const [axis, name] of /** @type {[number, string][]} */ ([
      [0, "across"],
      [1, "up"],
    ]))
      ui.slider("corners", {
        label: `corner's place, ${name}`,
        min: 0,
        max: 1,
        step: 0.01,
        text: (v) => fixed(v, 2),
        read: (c) => c[2 * ui.get("corner") + axis],
        write: (v, c) => c.map((x, k) => (k === 2 * ui.get("corner") + axis ? v : x)),
      });
    const random = uniform(11);
    ui.button("Another triangle that fits", () => {
      const corners = fitting(cloud(ui.get("purest")), ui.get("purest"), random);
      if (corners) ui.set({ corners: corners.flat() });
    });
    const accept = (c) =>
      Array.isArray(c) && c.length === 6 && c.every((v) => v >= 0 && v <= 1) ? c : null;
    ui.controls.set(
      "corners",
      ui.controls.get("corners").map((control) => ({ ...control, accept })),
    );
    const cornersNow = () => [0, 1, 2].map((k) => ui.get("corners").slice(2 * k, 2 * k + 2));
    ui.drag(picture, {
      pick: (x, y) => {
        const far = cornersNow().map(([cx, cy]) => Math.hypot(cx - x, cy - y));
        const k = far.indexOf(Math.min(...far));
        return far[k] < 0.12 ? k : null;
      },
      move: (k, x, y) =>
        ui.set({
          corner: k,
          corners: ui
            .get("corners")
            .map((v, j) => (j === 2 * k ? clamp(x, 0, 1) : j === 2 * k + 1 ? clamp(y, 0, 1) : v)),
        }),
    });

    return () => {
      const corners = cornersNow();
      const purest = ui.get("purest");
      const points = cloud(purest);
      const gaps = points.map((p) => outside(p, corners));
      const out = gaps.filter((g) => g > 1e-9).length;
      const residual = gaps.reduce((s, g) => s + g, 0) / COUNT;
      const ratio = area(corners) / area(TRUTH);
      const found = vca(points);
      picture.begin({
        x: [0, 1],
        y: [0, 1],
        title: "Pixels in the plane of their two main directions",
        xLabel: "first direction",
        yTicks: false,
        square: true,
        legend: [
          ["your triangle", { colour: "blue" }],
          ["the true one", { colour: "ink", dash: "dot" }],
        ],
      });
      picture.polygon(TRUTH, { stroke: "ink", dash: "dot", width: 1.5 });
      points.forEach((p, i) =>
        picture.dot(...p, {
          colour: gaps[i] > 1e-9 ? "red" : "muted",
          radius: gaps[i] > 1e-9 ? 3 : 2.2,
          shape: gaps[i] > 1e-9 ? "cross" : "disc",
          alpha: 0.8,
        }),
      );
      picture.polygon(corners, { fill: "blue", alpha: 0.1 });
      picture.polygon(corners, { stroke: "blue", width: 2.4 });
      corners.forEach((c, k) => {
        picture.dot(...c, {
          colour: COLOURS[k],
          radius: ui.get("corner") === k ? 8.5 : 6.5,
          ring: "paper",
        });
        picture.label(NAMES[k], ...c, {
          colour: COLOURS[k],
          bold: true,
          dy: c[1] > 0.5 ? -1.1 : 1.1,
        });
      });
      let loss = "";
      if (ui.get("vca")) {
        picture.polygon(found.corners, { stroke: "orange", width: 1.6, dash: "dash" });
        const middle = [0, 1].map((a) => points.reduce((s, p) => s + p[a], 0) / COUNT);
        found.corners.forEach((c, k) => {
          picture.arrow(...middle, ...c, { colour: "orange", width: 1.8, head: 8 });
          picture.label(`VCA ${k + 1}`, ...c, {
            colour: "orange",
            bold: true,
            dx: c[0] > 0.5 ? 0.8 : -0.8,
            align: c[0] > 0.5 ? "left" : "right",
            scale: 0.92,
          });
        });
        loss =
          " VCA takes three pixels as corners: their triangle has " +
          `${percent(area(found.corners) / area(TRUTH))} of the true area.`;
      }
      if (ratio < 1e-6)
        return (
          `Your three corners lie on a line: that is no triangle, and ${out} of ` +
          `${COUNT} pixels are off it.${loss}`
        );
      const fit =
        out === 0
          ? `All ${COUNT} pixels are inside your triangle: it fits perfectly`
          : `${out} of ${COUNT} pixels are outside your triangle, mean residual ` +
            `${fixed(residual, 4)}`;
      const moral =
        out === 0 && Math.abs(ratio - 1) > 0.03
          ? " So does the true one: the fit alone cannot choose."
          : "";
      return `${fit}, with ${percent(ratio)} of the true area.${moral}${loss}`;
    };
  },
);
