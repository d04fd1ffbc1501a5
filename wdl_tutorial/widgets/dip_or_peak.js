// @ts-check
/* Chapter 13: an absorption as a dip in reflectance, or as a peak in band depth: which of the
 * two can travel?
 */

import { displacedHistogram, l1, linspace, normalized } from "./transport.js";
import { demo, fixed, percent } from "./shell.js";

const N = 161;
const x = linspace(2050, 2450, N);
const LEFT = 2180;
const RIGHT = 2320;
const WIDTH = 20;
const dip = (at, depth) => x.map((v) => 1 - depth * Math.exp(-0.5 * ((v - at) / WIDTH) ** 2));
const gap = (p, q) => l1(normalized(p), normalized(q));

export default demo(
  {
    name: "dip-or-peak",
    title: "Does the absorption travel?",
    keys: ["t", "depth", "represented", "truth"],
  },
  (ui) => {
    const top = ui.panelOf({
      label: "Two spectra and their two averages",
      height: (w, f) => 14 * f + 0.08 * w,
    });
    const meter = ui.panelOf({
      label: "How far each average is from the measured pixel",
      height: (w, f) => 9 * f,
    });
    ui.slider("t", { label: "t: share of the right spectrum", text: (v) => fixed(v, 2) });
    ui.slider("depth", {
      label: "depth of the absorptions",
      min: 0.02,
      max: 0.6,
      step: 0.02,
      text: (v) => percent(v),
    });
    ui.choice("represented", {
      label: "the histogram is",
      options: [
        ["reflectance", "reflectance (a dip)"],
        ["depth", "band depth 1 \u2212 R (a peak)"],
      ],
    });
    ui.choice("truth", {
      label: "the measured pixel is",
      options: [
        ["areal", "two materials side by side"],
        ["shift", "one material whose band shifts"],
      ],
    });

    return () => {
      const { t, depth, represented, truth } = Object.fromEntries(
        ui.keys.map((key) => [key, ui.get(key)]),
      );
      const flip = represented === "depth";
      const view = (R) => (flip ? R.map((v) => 1 - v) : R);
      const [A, B] = [view(dip(LEFT, depth)), view(dip(RIGHT, depth))];
      const a = dip(LEFT, depth);
      const b = dip(RIGHT, depth);
      const pixel = view(
        truth === "areal"
          ? a.map((v, i) => (1 - t) * v + t * b[i])
          : dip((1 - t) * LEFT + t * RIGHT, depth),
      );
      const mass = (p) => p.reduce((s, v) => s + v, 0);
      const total = (1 - t) * mass(A) + t * mass(B);
      const linear = A.map((v, i) => (1 - t) * v + t * B[i]);
      const moved = displacedHistogram(normalized(A), normalized(B), t).map((v) => v * total);

      const low = flip ? 0 : 1 - 1.25 * depth;
      const high = flip ? 1.3 * depth : 1 + 0.1 * depth;
      top.begin({
        x: [2050, 2450],
        y: [low, high],
        title: flip ? "Band depth" : "Reflectance",
        yLabel: flip ? "1 \u2212 R" : "",
        xLabel: "wavelength (nm)",
        legend: [
          ["two spectra", { colour: "muted", dash: "dash" }],
          ["measured pixel", { colour: "ink", dash: "sparse" }],
          ["linear average", { colour: "red", dash: "long" }],
          ["barycenter", { colour: "blue", fill: flip ? "blue" : null }],
        ],
      });
      for (const s of [A, B]) top.curve(x, s, { colour: "muted", dash: "dash", width: 1.3 });
      if (flip) top.area(x, moved, { colour: "blue", alpha: 0.22 });
      top.curve(x, moved, { colour: "blue", width: 2.4 });
      top.curve(x, linear, { colour: "red", dash: "long", width: 2 });
      for (let i = 0; i < N; i += 4) top.dot(x[i], pixel[i], { colour: "ink", radius: 2.3 });

      /** @type {[string, number, string][]} */
      const rows = [
        ["linear", gap(pixel, linear), "red"],
        ["barycenter", gap(pixel, moved), "blue"],
      ];
      const apart = gap(A, B);
      const most = Math.max(apart, ...rows.map(([, v]) => v), 1e-9);
      meter.begin({
        x: [0, 1.12 * most],
        y: [2, 0],
        title: "Is my data linear or barycentric?",
        yLabel: "L1 distance to the pixel",
        xTicks: false,
        yTicks: rows.map(([name], k) => [k + 0.5, name]),
        grid: false,
      });
      rows.forEach(([, v, colour], k) => {
        meter.box(0, k + 0.2, v, k + 0.8, { fill: colour, alpha: 0.75 });
        meter.label(fixed(v, 4), v, k + 0.5, {
          align: v > 0.75 * most ? "right" : "left",
          dx: v > 0.75 * most ? -0.3 : 0.3,
          bold: true,
        });
      });
      meter.segment(apart, 0, apart, 2, { colour: "muted", dash: "dot" });
      meter.label("the two spectra", apart, 1.9, {
        colour: "muted",
        align: "right",
        dx: -0.2,
        scale: 0.92,
      });

      const [l, m] = rows.map(([, v]) => v);
      const each = gap(linear, moved);
      const verdict =
        t === 0 || t === 1
          ? "At the ends both averages are the spectra themselves."
          : Math.abs(l - m) < 0.15 * Math.max(l, m) || Math.max(l, m) < 0.002
            ? "The meter cannot tell."
            : l < m
              ? "The data are linear."
              : "The data are barycentric.";
      return (
        `As ${flip ? "band depth" : "reflectance"}, at t = ${fixed(t, 2)}, the ` +
        `linear average is ${fixed(l, 4)} from the pixel, the barycenter ` +
        `${fixed(m, 4)}; they are ${fixed(each, 4)} from each other and the two ` +
        `spectra ${fixed(apart, 4)}. ${verdict}`
      );
    };
  },
);
