// @ts-check
/* Chapter 7: nudge one bin of one atom; see the nudge travel forward through five layers, and
 * the slope come back.
 */

import { barycenterGradient, costMatrix, denseKernel, gaussian, linspace } from "./transport.js";
import { number, percent } from "./draw.js";
import { clamp, demo } from "./shell.js";

const N = 40;
const LAYERS = 5;
const x = linspace(0, N - 1, N);
const KERNEL = denseKernel(costMatrix(x, x, 2), N, N, 50);
const ATOMS = [gaussian(x, 10, 3), gaussian(x, 29, 3)];
const WEIGHTS = [0.5, 0.5];
const DATA = gaussian(x, 22, 3.4);
const NUDGES = [1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 0.01, 0.03];
const slope = (P) => P.map((v, i) => 2 * (v - DATA[i]));
const lossOf = (P) => P.reduce((s, v, i) => s + (v - DATA[i]) ** 2, 0);
const nudged = (bin, h) => [ATOMS[0].map((v, i) => v + (i === bin ? h : 0)), ATOMS[1]];

export default demo(
  { name: "gradient-film", title: "Which bin would you push?", keys: ["bin", "nudge"] },
  (ui) => {
    const base = barycenterGradient(ATOMS, WEIGHTS, KERNEL, LAYERS, slope);
    const arrows = base.gradAtoms[0];
    const biggest = Math.max(...arrows.map(Math.abs));
    const backward = ui.panelOf({
      label: "Backward: the slope of the loss in every bin of atom A",
      height: (w, f) => 17 * f,
    });
    const forward = ui.panelOf({
      label: "Forward: what the push changes in each of the five layers",
      height: (w, f) => 20 * f,
    });
    ui.slider("bin", {
      label: "bin of atom A that is pushed",
      min: 0,
      max: N - 1,
      step: 1,
      text: (v) => `bin ${v}`,
    });
    ui.slider("nudge", {
      label: "size of the push (mass)",
      values: NUDGES,
      text: (v) => number(v, 2),
    });
    for (const plot of [backward, forward])
      ui.drag(plot, {
        pick: (px) => (px > -1 && px < N ? "bin" : null),
        move: (_, px) => ui.set({ bin: clamp(Math.round(px), 0, N - 1) }),
      });

    return () => {
      const bin = Math.round(ui.get("bin"));
      const h = ui.get("nudge");
      const moved = barycenterGradient(nudged(bin, h), WEIGHTS, KERNEL, LAYERS, slope);
      const actual = lossOf(moved.histogram) - lossOf(base.histogram);
      const promised = arrows[bin] * h;

      const top = 1.25 * Math.max(...ATOMS[0], ...DATA);
      backward.begin({
        x: [-0.8, N - 0.2],
        y: [-0.8 * top, top],
        title: "Backward: an arrow on every bin of atom A",
        xLabel: "bin",
        yTicks: false,
        legend: [
          ["atom A", { colour: "red", dash: "dash" }],
          ["atom B", { colour: "green", dash: "dot" }],
          ["data", { colour: "ink", dash: "dashdot" }],
          ["answer P", { colour: "blue", fill: "blue" }],
        ],
      });
      backward.area(x, base.histogram, { colour: "blue", alpha: 0.25 });
      backward.curve(x, base.histogram, { colour: "blue", width: 1.6 });
      backward.curve(x, ATOMS[0], { colour: "red", dash: "dash" });
      backward.curve(x, ATOMS[1], { colour: "green", dash: "dot" });
      backward.curve(x, DATA, { colour: "ink", dash: "dashdot", width: 1.6 });
      for (let i = 0; i < N; i++) {
        // down the slope: up where pushing mass in lowers the loss
        const length = (-arrows[i] / biggest) * 0.7 * top;
        backward.arrow(i, 0, i, length, {
          colour: i === bin ? "red" : "muted",
          width: i === bin ? 3 : 1.5,
          head: i === bin ? 7 : 4,
        });
      }
      backward.label(
        arrows[bin] < 0 ? "push in" : "take out",
        bin,
        arrows[bin] < 0 ? -0.15 * top : (-arrows[bin] / biggest) * 0.7 * top,
        { colour: "red", bold: true, dy: arrows[bin] < 0 ? 0 : 0.8 },
      );

      const changes = moved.layers.map((P, l) => P.map((v, i) => v - base.layers[l][i]));
      const most = Math.max(...changes.flatMap((d) => [...d.map(Math.abs)]));
      forward.begin({
        x: [-0.8, N - 0.2],
        y: [LAYERS + 0.55, 0.2],
        title: "Forward: what the push changes in each layer",
        xLabel: "bin",
        legend: [
          ["the layer\u2019s P", { colour: "line" }],
          ["its change, enlarged", { colour: "red", fill: "red" }],
          ["the push", { colour: "muted", dash: "dot" }],
        ],
        yTicks: [...Array(LAYERS).keys()].map((l) => [l + 1, `L${l + 1}`]),
      });
      const tallest = Math.max(...base.layers.flatMap((P) => [...P]));
      changes.forEach((d, l) => {
        const level = l + 1;
        forward.curve(
          x,
          base.layers[l].map((v) => level - (0.75 * v) / tallest),
          { colour: "line", width: 1.4 },
        );
        forward.area(
          x,
          d.map((v) => level - (0.6 * v) / most),
          { colour: "red", alpha: 0.5, base: level },
        );
        forward.curve(
          x,
          d.map((v) => level - (0.6 * v) / most),
          { colour: "red", width: 1.6 },
        );
      });
      forward.segment(bin, 0.2, bin, LAYERS + 0.5, { colour: "muted", dash: "dot" });

      const best = arrows.indexOf(Math.min(...arrows));
      const gap = Math.abs(actual / promised - 1);
      const trust = !Number.isFinite(gap)
        ? ""
        : gap < 5e-4
          ? ` They agree within ${percent(Math.max(gap, 1e-4), 2)}.`
          : gap < 0.05
            ? " They begin to part: the loss is curved."
            : " They part: for so large a push the loss is too curved.";
      return (
        `Pushing ${number(h, 2)} of mass into bin ${bin}: the arrow promises a ` +
        `change of the loss of ${number(promised, 4)}, the true change is ` +
        `${number(actual, 4)}.${trust} The loss falls fastest at bin ${best}.`
      );
    };
  },
);
