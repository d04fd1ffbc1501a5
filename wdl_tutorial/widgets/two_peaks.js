// @ts-check
/* Chapter 1: average two peaks by their heights, or by their positions. */

import {
  displacedHistogram,
  gaussian,
  linearMixture,
  linspace,
  peaks,
  quantile,
} from "./transport.js";
import { clamp, demo, fixed, peakWords, percent } from "./shell.js";

const N = 401;
const SPAN = 200;
const CRUMB = 0.08; // bins, length of the axis, share of the mass that is coloured
const x = linspace(0, SPAN, N);
const perUnit = (N - 1) / SPAN;
const density = (p) => p.map((v) => v * perUnit);
const place = (p, level) => clamp((quantile(p, level) - 0.5) / perUnit, 0, SPAN);

export default demo(
  { name: "two-peaks", title: "Average two peaks", keys: ["t", "left", "right", "width", "crumb"] },
  (ui) => {
    const heights = ui.panelOf({
      label: "The average of heights",
      height: (w, f) => 9.5 * f + 0.08 * w,
    });
    const positions = ui.panelOf({
      label: "The average of positions",
      height: (w, f) => 9.5 * f + 0.08 * w,
    });
    const paths = ui.panelOf({
      label: "Where each tenth of the mass goes",
      height: (w, f) => 8 * f + 0.04 * w,
    });
    ui.slider("t", { label: "t: weight of the right peak", text: (v) => fixed(v, 2) });
    ui.slider("left", {
      label: "left peak at",
      min: 20,
      max: 180,
      step: 1,
      text: (v) => `${v} bins`,
    });
    ui.slider("right", {
      label: "right peak at",
      min: 20,
      max: 180,
      step: 1,
      text: (v) => `${v} bins`,
    });
    ui.slider("width", {
      label: "width of the right peak (sd)",
      min: 3,
      max: 15,
      step: 1,
      text: (v) => `${v} bins`,
    });
    ui.slider("crumb", {
      label: "orange crumb: share of the mass to its left",
      min: 0.05,
      max: 0.95,
      step: 0.05,
      text: (v) => percent(v),
    });
    ui.play("t", { min: 0, max: 1 });
    for (const plot of [heights, positions])
      ui.drag(plot, {
        pick: (px) =>
          Math.min(Math.abs(px - ui.get("left")), Math.abs(px - ui.get("right"))) > 15
            ? null
            : Math.abs(px - ui.get("left")) < Math.abs(px - ui.get("right"))
              ? "left"
              : "right",
        move: (which, px) => ui.set({ [which]: clamp(Math.round(px), 20, 180) }),
      });

    return () => {
      const { t, left, right, width, crumb } = Object.fromEntries(
        ui.keys.map((key) => [key, ui.get(key)]),
      );
      const p = gaussian(x, left, 5);
      const q = gaussian(x, right, width);
      const byHeight = linearMixture([p, q], [1 - t, t]);
      const byPosition = displacedHistogram(p, q, t);
      const top = 1.16 * Math.max(...density(p), ...density(q));
      const from = [crumb - CRUMB / 2, crumb + CRUMB / 2].map((c) => place(p, c));
      const to = [crumb - CRUMB / 2, crumb + CRUMB / 2].map((c) => place(q, c));
      const now = from.map((a, k) => (1 - t) * a + t * to[k]);

      const panel = (plot, title, average) => {
        plot.begin({ x: [0, SPAN], y: [0, top], title, yLabel: "mass per bin", yTicks: false });
        plot.curve(x, density(p), { colour: "muted", dash: "dash", width: 1.3 });
        plot.curve(x, density(q), { colour: "muted", dash: "dot", width: 1.3 });
        plot.area(x, density(average), { colour: "blue", alpha: 0.3 });
        plot.curve(x, density(average), { colour: "blue", width: 2.4 });
      };
      /** @type {(plot: any, average: any, ends: number[], share?: number) => void} */
      const slice = (plot, average, [a, b], share = 1) => {
        const inside = [...x.keys()].filter((i) => x[i] >= a && x[i] <= b);
        const xs = [a, ...inside.map((i) => x[i]), b];
        const at = (v) => average[clamp(Math.round(v * perUnit), 0, N - 1)] * perUnit;
        if (share > 0)
          plot.area(
            xs,
            xs.map((v) => share * at(v)),
            { colour: "red", alpha: 0.95 },
          );
      };

      panel(heights, "Average of heights", byHeight);
      slice(heights, p, from, 1 - t);
      slice(heights, q, to, t);
      if (Math.abs(left - right) > 35)
        for (const [name, atom, at] of [
          ["left peak", p, left],
          ["right peak", q, right],
        ])
          heights.label(name, at, Math.max(...density(atom)), { colour: "muted", dy: -0.75 });
      panel(positions, "Average of positions", byPosition);
      slice(positions, byPosition, now);

      paths.begin({
        x: [0, SPAN],
        y: [1, 0],
        title: "Where each tenth of the mass goes",
        xLabel: "position (bins)",
        yTicks: false,
        margin: { top: 4 },
      });
      const rim = Math.min(left, right) > 60 ? 0 : SPAN; // the side that is free of lines
      for (const [level, word] of [
        [0, "t = 0"],
        [1, "t = 1"],
      ])
        paths.label(word, rim, level, {
          colour: "muted",
          align: rim ? "right" : "left",
          dy: level ? -0.7 : 0.6,
          scale: 0.92,
        });
      for (let k = 0.05; k < 1; k += 0.1) {
        paths.segment(place(p, k), 0, place(q, k), 1, { colour: "muted", alpha: 0.6 });
        paths.dot((1 - t) * place(p, k) + t * place(q, k), t, { colour: "blue", radius: 3 });
      }
      paths.segment(place(p, crumb), 0, place(q, crumb), 1, { colour: "red", width: 2.2 });
      paths.segment(0, t, SPAN, t, { colour: "muted", dash: "dot" });
      paths.dot((now[0] + now[1]) / 2, t, { colour: "red", radius: 5, shape: "square" });

      const where = (average) => peaks(average, 0.02).map((i) => fixed(x[i], 0));
      const walk =
        `The orange crumb ${t === 0 ? "is still" : t === 1 ? "has arrived" : "is"} at ` +
        `${fixed((now[0] + now[1]) / 2, 0)} below; ` +
        (t > 0 && t < 1
          ? `above it is in two places, ${percent(1 - t)} here and ${percent(t)} there.`
          : "above too.");
      return (
        `At t = ${fixed(t, 2)} the average of heights has ` +
        `${peakWords(where(byHeight))}; the average of positions has ` +
        `${peakWords(where(byPosition))}. ${walk}`
      );
    };
  },
);
