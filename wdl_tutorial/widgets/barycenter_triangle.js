// @ts-check
/* Chapter 4: the average of three shapes, on a line or in the plane, at every weight and every
 * blur.
 */

import {
  allFinite,
  barycenter,
  costMatrix,
  denseKernel,
  epsForBlur,
  gridKernel,
  linearMixture,
  lineKernel,
  mean,
  normalized,
  peaks,
  standardDeviation,
} from "./transport.js";
import { number } from "./draw.js";
import { demo, fixed, list, peakWords } from "./shell.js";
import { dragWeights, drawTriangle } from "./triangle.js";

const NAMES = ["A", "B", "C"];
const COLOURS = ["red", "green", "purple"];
const LINES = ["dash", "dot", "dashdot"];
const WIDTHS = {
  line: [3, 4, 5, 6, 8, 10, 14, 20, 30, 50, 80, 130, 200],
  plane: [0.7, 1, 1.4, 2, 2.8, 4, 6, 9, 14, 20, 32],
};
const ITERATIONS = { line: { 1: 500, 2: 100 }, plane: { 1: 80, 2: 30 } };

export default demo(
  {
    name: "barycenter-triangle",
    title: "The average of three shapes",
    keys: ["weights", "shapes", "width", "pixels", "power", "debiased"],
  },
  (ui) => {
    const [pad, picture] = ui.row(
      {
        label: "The triangle of weights",
        height: (w, f) => Math.min(0.94 * w, 22 * f),
        touch: "none",
      },
      {
        label: "The three shapes and their averages",
        height: (w, f) => Math.min(0.8 * w, 22 * f),
        share: 1.35,
      },
    );
    ui.simplex("weights", NAMES, { label: (name) => `weight of shape ${name}` });
    ui.slider("width", {
      label: "blur width: what eps smears",
      values: WIDTHS.line,
      text: (v) => `${v} units`,
    });
    ui.slider("pixels", {
      label: "blur width: what eps smears",
      values: WIDTHS.plane,
      text: (v) => `${v} ${v === 1 ? "pixel" : "pixels"}`,
    });
    ui.choice("shapes", {
      label: "shapes",
      options: [
        ["line", "on a line"],
        ["plane", "in the plane"],
      ],
    });
    ui.choice("power", {
      label: "moving by d costs",
      options: [
        [1, "d"],
        [2, "d\u00b2"],
      ],
    });
    ui.toggle("debiased", { label: "debias: take the blur out" });
    dragWeights(ui, pad, "weights");
    const [widthHandle, pixelsHandle] = ["blur width: what eps smears"]
      .flatMap((label) => [...ui.panel.querySelectorAll(`input[aria-label="${label}"]`)])
      .map((input) => input.closest("label"));

    return () => {
      const { weights, shapes, width, pixels, power, debiased } = Object.fromEntries(
        ui.keys.map((key) => [key, ui.get(key)]),
      );
      const flat = shapes === "line";
      const blur = flat ? width : pixels;
      const eps = epsForBlur(blur, power);
      const atoms = (flat ? ui.get("atoms") : ui.get("images")).map(normalized);
      const n = atoms[0].length;
      const x = flat ? Float64Array.from(ui.get("positions")) : null;
      const side = Math.round(Math.sqrt(n));
      widthHandle.hidden = !flat;
      pixelsHandle.hidden = flat;
      const kernel = !flat
        ? gridKernel(side, power, eps)
        : power === 1
          ? lineKernel(n, x[1] - x[0], eps)
          : denseKernel(costMatrix(x, x, power), n, n, eps);
      const average = barycenter(atoms, weights, kernel, ITERATIONS[shapes][power], { debiased });
      const mixture = linearMixture(atoms, weights);
      const fine = allFinite(average);
      const unit = flat ? "units" : blur === 1 ? "pixel" : "pixels";
      const setting =
        `Blur ${number(blur)} ${unit} (eps = ${number(eps)} ` +
        `${flat ? "units" : "pixels"}${power === 2 ? "\u00b2" : ""}).`;

      drawTriangle(pad, {
        title: "Drag the dot",
        names: NAMES,
        colours: COLOURS,
        weights,
        pictures: flat
          ? null
          : atoms.map((p) => {
              const most = Math.max(...p);
              return p.map((v) => v / most);
            }),
      });
      if (flat) drawLine(picture, x, atoms, average, mixture, fine);
      else drawPlane(picture, side, average, mixture, fine);
      if (!fine)
        return (
          `${setting} exp(\u2212cost/eps) underflowed: the shapes are too far apart ` +
          "for this eps, and a sum became 0. Widen the blur here; the package would " +
          "go on with logarithms."
        );

      const corner = weights.findIndex((w) => w > 0.995);
      if (flat) {
        const tops = peaks(average, 0.02).map((i) => fixed(summit(average, x, i), 0));
        const spread = fixed(standardDeviation(average, x), 1);
        if (corner >= 0)
          return (
            `${setting} At corner ${NAMES[corner]} the average is ${spread} units ` +
            "wide (standard deviation), the shape itself " +
            `${fixed(standardDeviation(atoms[corner], x), 1)}.`
          );
        return (
          `${setting} The average of positions has ${peakWords(tops)}, its mean at ` +
          `${fixed(mean(average, x), 1)} and a width (sd) of ${spread}; the average ` +
          "of heights has " +
          `${peakWords(peaks(mixture, 0.02).map((i) => fixed(summit(mixture, x, i), 0)))}.`
        );
      }
      const inkOf = (p) => {
        const most = Math.max(...p);
        return p.reduce((s, v) => s + (v > most / 2 ? 1 : 0), 0);
      };
      if (corner >= 0)
        return (
          `${setting} At corner ${NAMES[corner]} the dark part of the average ` +
          `covers ${inkOf(average)} pixels; that of the shape itself ` +
          `${inkOf(atoms[corner])}.`
        );
      return (
        `${setting} Left: one shape in between, whose dark part covers ` +
        `${inkOf(average)} of ${n} pixels (the three shapes: ` +
        `${list(atoms.map((p) => String(inkOf(p))))}). Right: three ghosts on top ` +
        "of each other."
      );
    };
  },
);

/* Where between the bins the parabola through a peak and its neighbours is highest. */
function summit(p, x, i) {
  const [a, b, c] = [p[i - 1] ?? 0, p[i], p[i + 1] ?? 0];
  const bend = a - 2 * b + c;
  return bend < 0 ? x[i] + (0.5 * (x[1] - x[0]) * (a - c)) / bend : x[i];
}

function drawLine(plot, x, atoms, average, mixture, fine) {
  const perBin = 1 / (x[1] - x[0]);
  const density = (p) => p.map((v) => v * perBin);
  const top = 1.15 * Math.max(...atoms.flatMap((p) => [...density(p)]));
  plot.begin({
    x: [x[0], x[x.length - 1]],
    y: [0, top],
    title: "Shapes and averages",
    yLabel: "mass per unit",
    xLabel: "position (units)",
    yTicks: false,
    legend: [
      ["average of positions", { colour: "blue", fill: "blue" }],
      ["average of heights", { colour: "ink", dash: "sparse" }],
    ],
  });
  if (fine)
    plot.area(
      x,
      density(average).map((v) => Math.min(v, top)),
      { colour: "blue", alpha: 0.28 },
    );
  atoms.forEach((p, k) => {
    plot.curve(x, density(p), { colour: COLOURS[k], dash: LINES[k], width: 1.6 });
    const at = p.indexOf(Math.max(...p));
    plot.label(NAMES[k], x[at], density(p)[at], { colour: COLOURS[k], bold: true, dy: -0.7 });
  });
  plot.curve(x, density(mixture), { colour: "ink", dash: "sparse", width: 1.6 });
  if (!fine)
    return plot.label("exp(\u2212cost/eps) underflowed", (x[0] + x[x.length - 1]) / 2, 0.8 * top, {
      colour: "red",
      bold: true,
    });
  plot.curve(
    x,
    density(average).map((v) => Math.min(v, top)),
    { colour: "blue", width: 2.6 },
  );
}

function drawPlane(plot, side, average, mixture, fine) {
  const stacked = plot.width < 300;
  const gap = 0.12;
  plot.begin({
    x: [0, 2 + gap],
    y: [-0.14, 1],
    title: "",
    xTicks: false,
    yTicks: false,
    square: true,
    margin: { top: stacked ? 0 : 4 },
  });
  for (const [p, left, words] of [
    [average, 0, "positions"],
    [mixture, 1 + gap, "heights"],
  ]) {
    const most = Math.max(...p.filter(Number.isFinite), 1e-300);
    if (p !== average || fine)
      plot.image(
        p.map((v) => v / most),
        side,
        side,
        { colour: "blue", corners: [left, 0, left + 1, 1] },
      );
    plot.box(left, 0, left + 1, 1, { stroke: "line" });
    plot.label(`average of ${words}`, left + 0.5, -0.08, { patch: false, scale: 0.95 });
  }
  if (!fine) plot.label("underflowed", 0.5, 0.5, { colour: "red", bold: true });
}
