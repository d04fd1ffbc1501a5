/* Chapter 11: a pixel of three minerals in the shade, and what two ways of unmixing make of it. */

import { linearMixture } from "./transport.js";
import { fcls, nnls } from "./leastsquares.js";
import { demo, fixed } from "./shell.js";
import { dragWeights, drawTriangle } from "./triangle.js";

const COLOURS = ["red", "green", "purple"], LINES = ["dash", "dot", "dashdot"];

export default demo({ name: "shade", title: "A pixel in the shade", keys: ["weights", "shade"] }, (ui) => {
  const spectra = ui.get("endmembers"), names = ui.get("names"), wavelengths = ui.get("wavelengths");
  const [pad, picture] = ui.row(
    { label: "The triangle of fractions: the truth and two answers", height: (w, f) => Math.min(0.98 * w, 22 * f), touch: "none" },
    { label: "The spectra", height: (w, f) => Math.min(0.8 * w, 22 * f), share: 1.1 },
  );
  const bars = ui.panelOf({ label: "Fractions: truth, FCLS and NNLS divided by its sum", height: (w, f) => 11.5 * f });
  ui.simplex("weights", names, { label: (name) => `true fraction of ${name}` });
  ui.slider("shade", { label: "shade: light on the pixel, 1 is full", min: 0.4, max: 1.5, step: 0.05, text: (v) => fixed(v, 2) });
  dragWeights(ui, pad, "weights");

  return () => {
    const truth = ui.get("weights"), shade = ui.get("shade"), pixel = linearMixture(spectra, truth).map((v) => shade * v);
    const constrained = fcls(pixel, spectra), free = nnls(pixel, spectra), total = free.reduce((s, v) => s + v, 0), scaled = free.map((v) => v / total);
    drawTriangle(pad, { title: "Drag the truth", names, colours: COLOURS, weights: truth, marks: [
      { weights: constrained, colour: "orange", shape: "square", label: "FCLS", dx: constrained[1] > 0.5 ? -0.9 : 0.9 },
      { weights: scaled, colour: "blue", shape: "triangle", label: "NNLS", dx: scaled[1] > 0.5 ? -0.9 : 0.9 },
    ] });

    const range = [wavelengths[0], wavelengths[wavelengths.length - 1]], top = 1.06 * Math.max(1, ...spectra.flat());
    picture.begin({ x: range, y: [0, top], title: "Spectra", yLabel: "reflectance", xLabel: "wavelength (nm)",
      legend: [["pixel", { colour: "ink" }], ["FCLS's fit", { colour: "orange", dash: "long" }]] });
    spectra.forEach((s, k) => picture.curve(wavelengths, s, { colour: COLOURS[k], dash: LINES[k], width: 1.4 }));
    picture.curve(wavelengths, pixel, { colour: "ink", width: 2.6 });
    picture.curve(wavelengths, linearMixture(spectra, constrained), { colour: "orange", dash: "long", width: 2 });
    picture.nameCurves(wavelengths, spectra, names, COLOURS);

    const rows = [["truth", truth, "ink"], ["FCLS", constrained, "orange"], ["NNLS / sum", scaled, "blue"]];
    bars.begin({ x: [0, 3.15], y: [3, 0], title: "Fractions", xTicks: names.map((name, k) => [k * 1.05 + 0.5, name]), yTicks: rows.map(([name], k) => [k + 0.5, name]), grid: false });
    rows.forEach(([, w, colour], r) => w.forEach((v, k) => {
      bars.box(k * 1.05, r + 0.2, k * 1.05 + 1, r + 0.8, { fill: "soft" });
      bars.box(k * 1.05, r + 0.2, k * 1.05 + v, r + 0.8, { fill: colour, alpha: 0.75 });
      bars.label(fixed(v, 2), k * 1.05 + 0.5, r + 0.5, { bold: true, scale: 0.95 });
    }));

    const off = (w) => w.reduce((s, v, k) => s + Math.abs(v - truth[k]), 0) / 2, say = (w) => `(${w.map((v) => fixed(v, 2)).join(", ")})`;
    const light = shade < 0.995 ? `${fixed(100 * (1 - shade), 0)}\u00a0% less light` : shade > 1.005 ? `${fixed(100 * (shade - 1), 0)}\u00a0% more light` : "full light";
    const wrong = off(constrained) > 0.01 ? `FCLS, which must make the fractions sum to one, answers ${say(constrained)}: ${fixed(100 * off(constrained), 0)}\u00a0% of the pixel goes to the wrong mineral.` : `FCLS answers ${say(constrained)}, as it should.`;
    return `Truth ${say(truth)}, ${light}. ${wrong} NNLS divided by its sum answers ${say(scaled)} at every shade: its sum, ${fixed(total, 2)}, is the light.`;
  };
});
