// @ts-check
/* A triangle whose points are weights of three things: the corner is all of one, the middle a
 * third of each.
 */

import { clamp } from "./shell.js";

const CORNERS = [
  [0, 0],
  [1, 0],
  [0.5, Math.sqrt(3) / 2],
];
export const inTriangle = (w) =>
  [0, 1].map((axis) => w.reduce((s, x, k) => s + x * CORNERS[k][axis], 0));

/* The weights of a point, moved to the nearest edge if it lies outside. */
export function weightsAt(x, y) {
  const c = clamp(y / CORNERS[2][1], 0, 1);
  const b = clamp(x - c / 2, 0, 1 - c);
  return [1 - b - c, b, c].map((w) => clamp(Math.round(100 * w) / 100, 0, 1));
}

/* Draw it, with names at its corners, or with `pictures` (square images, row by row) there;
 * `marks` are further dots: { weights, colour, shape, label }.
 */
export function drawTriangle(
  plot,
  { title = "", names, colours, weights = null, marks = [], pictures = null },
) {
  plot.begin({
    x: pictures ? [-0.2, 1.2] : [-0.09, 1.09],
    y: pictures ? [-0.24, 1.14] : [-0.16, 1.02],
    title,
    xTicks: false,
    yTicks: false,
    square: true,
  });
  plot.polygon(CORNERS, { fill: "soft", stroke: "muted", width: 1.5 });
  for (let k = 0; k < 3; k++)
    for (const share of [0.25, 0.5, 0.75]) {
      const ends = [1, 2].map((step) => {
        const w = [0, 0, 0];
        w[k] = share;
        w[(k + step) % 3] = 1 - share;
        return inTriangle(w);
      });
      plot.segment(...ends[0], ...ends[1], { colour: "line" });
    }
  names.forEach((name, k) => {
    const [x, y] = CORNERS[k];
    if (pictures) {
      const [px, py] = [x + [-0.09, 0.09, 0][k], y + [-0.1, -0.1, 0.13][k]];
      const side = Math.round(Math.sqrt(pictures[k].length));
      plot.image(pictures[k], side, side, {
        colour: colours[k],
        corners: [px - 0.13, py - 0.13, px + 0.13, py + 0.13],
      });
      plot.box(px - 0.13, py - 0.13, px + 0.13, py + 0.13, { stroke: "muted" });
      plot.label(name, px + [0.13, -0.13, 0.13][k], py, {
        colour: colours[k],
        bold: true,
        dx: [0.8, -0.8, 0.8][k],
        dy: k === 2 ? 0 : 0.6,
        patch: false,
      });
      return;
    }
    plot.dot(x, y, { colour: colours[k], radius: 5, shape: ["disc", "square", "triangle"][k] });
    plot.label(name, x, y, {
      colour: colours[k],
      bold: true,
      dy: k === 2 ? -1 : 1.1,
      patch: false,
    });
  });
  for (const { weights: w, colour = "ink", shape = "disc", label = null, dx = 0.8 } of marks) {
    plot.dot(...inTriangle(w), { colour, radius: 5.5, shape, ring: "paper" });
    if (label)
      plot.label(label, ...inTriangle(w), { colour, align: dx > 0 ? "left" : "right", dx });
  }
  if (weights) plot.dot(...inTriangle(weights), { colour: "ink", radius: 8, ring: "paper" });
}

/* Let the dot be dragged: sets the model's `key` to the weights under the finger. */
export function dragWeights(ui, plot, key) {
  ui.drag(plot, {
    pick: (x, y) => (x > -0.1 && x < 1.1 && y > -0.1 && y < 1 ? "dot" : null),
    move: (_, x, y) => {
      const w = weightsAt(x, y);
      const s = w[0] + w[1] + w[2];
      ui.set({ [key]: w.map((v) => v / s) });
    },
  });
}
