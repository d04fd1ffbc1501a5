// @ts-check
/* Chapter 8: a peak whose partner is missing travels, or dies, depending on what breaking the
 * balance costs.
 */

import {
  allFinite,
  columnSums,
  costMatrix,
  denseKernel,
  gaussian,
  linspace,
  plan,
  rowSums,
  sinkhorn,
  sum,
} from "./transport.js";
import { number } from "./draw.js";
import { demo, fixed } from "./shell.js";

const N = 101;
const SPAN = 200;
const x = linspace(0, SPAN, N);
const COST = costMatrix(x, x, 2);
const EPS = 32;
const GRAMS = 100;
const WEIGHTS = Array.from({ length: 25 }, (_, k) =>
  Number((10 ** (2.5 + (k * 3.5) / 24)).toPrecision(2)),
);

export default demo(
  { name: "orphan-peak", title: "A peak without a partner", keys: ["marginal_weight", "orphan"] },
  (ui) => {
    const above = ui.panelOf({
      label: "What leaves: the source, and the part of it that is sent",
      height: (w, f) => 9.5 * f + 0.05 * w,
    });
    const flow = ui.panelOf({ label: "Where it goes", height: (w, f) => 6.5 * f + 0.03 * w });
    const below = ui.panelOf({
      label: "What arrives: the target, and the part of it that is delivered",
      height: (w, f) => 11 * f + 0.05 * w,
    });
    ui.slider("marginal_weight", {
      label: "marginal weight: how dear imbalance is",
      values: WEIGHTS,
      text: (v) => `${number(v, 2)} bins\u00b2`,
    });
    ui.slider("orphan", {
      label: "the orphan stands at",
      min: 100,
      max: 180,
      step: 2,
      text: (v) => `${v} bins`,
    });

    return () => {
      const rho = ui.get("marginal_weight");
      const orphan = ui.get("orphan");
      const left = gaussian(x, 45, 6);
      const right = gaussian(x, orphan, 6);
      const q = gaussian(x, 55, 6);
      const p = left.map((v, i) => 0.5 * v + 0.5 * right[i]);
      const kernel = denseKernel(COST, N, N, EPS);
      const state = sinkhorn(p, q, kernel, 150, { marginalWeight: rho });
      const T = plan(state, COST, EPS);
      const fine = allFinite(T);
      const sent = rowSums(T, N, N);
      const arrived = columnSums(T, N, N);
      const border = Math.round((75 + (orphan - 75) * 0.35) / (x[1] - x[0]));
      const grams = (h, from, to) => GRAMS * sum(h.subarray(from, to));
      const perBin = (h) => h.map((v) => (GRAMS * v) / (x[1] - x[0]));
      const top = 1.15 * Math.max(...perBin(q));

      const panel = (plot, whole, part, title, options) => {
        plot.begin({ x: [0, SPAN], y: [0, top], title, yTicks: false, ...options });
        plot.area(x, perBin(part), { colour: "blue", alpha: 0.45 });
        plot.curve(x, perBin(part), { colour: "blue", width: 2 });
        plot.curve(x, perBin(whole), { colour: "ink", dash: "dash", width: 1.5 });
      };
      const legend = [
        ["there", { colour: "ink", dash: "dash" }],
        ["moved", { colour: "blue", fill: "blue" }],
      ];
      panel(above, p, sent, "Source: what is there, what leaves", {
        yLabel: "grams per bin",
        legend,
      });
      const travels = fine ? grams(sent, border, N) : 0;
      const stays = fine ? grams(sent, 0, border) : 0;
      if (!fine)
        above.label("exp(\u2212cost/eps) underflowed", 100, top / 2, { colour: "red", bold: true });
      above.label(
        "has a partner",
        45,
        Math.max(...perBin(sent).slice(0, border), ...perBin(p).slice(0, border)),
        { dy: -0.8, colour: "muted" },
      );
      above.label("orphan", orphan, perBin(p)[Math.round(orphan / 2)], {
        dy: -0.8,
        colour: "red",
        bold: true,
      });

      flow.begin({
        x: [0, SPAN],
        y: [1, 0],
        title: "Routes",
        yLabel: "the thicker, the more grams",
        xTicks: false,
        yTicks: false,
      });
      for (let i = 0; i < N; i++) {
        // one line per source bin, to the middle of where its mass goes
        const mass = sent[i] * GRAMS;
        if (!(mass > 0.05)) continue;
        let target = 0;
        for (let j = 0; j < N; j++) target += (T[i * N + j] * x[j]) / sent[i];
        flow.segment(x[i], 0, target, 1, {
          colour: i >= border ? "red" : "blue",
          width: 0.6 + 0.9 * mass,
          alpha: 0.6,
        });
      }
      panel(below, q, arrived, "Target: what is wanted, what arrives", {
        yLabel: "grams per bin",
        xLabel: "position (bins)",
      });

      if (!fine)
        return (
          `marginal weight ${number(rho, 2)}: exp(\u2212cost/eps) underflowed. Take ` +
          "a larger weight."
        );
      const fate =
        travels > 45
          ? "it is dragged across"
          : travels < 1
            ? "it dies in place"
            : "part of it travels, part dies in place";
      const born =
        stays > 51 ? `, ${fixed(stays - 50, 1)} g more than it has: mass is born there` : "";
      return (
        `Marginal weight ${number(rho, 2)} bins\u00b2: of the orphan's 50 g, ` +
        `${fixed(travels, 1)} g travel ${fixed(orphan - 55, 0)} bins: ${fate}. The ` +
        `peak with a partner sends ${fixed(stays, 1)} g${born}. ` +
        `${fixed(grams(arrived, 0, N), 1)} of the 100 g wanted arrive.`
      );
    };
  },
);
