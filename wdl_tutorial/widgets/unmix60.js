// @ts-check
/* Chapter 0: sixty seconds to find out how three minerals are mixed in a spectrum. */

import { linearMixture } from "./transport.js";
import { demo, fixed, list, percent } from "./shell.js";

const COLOURS = ["red", "green", "purple"];
const LINES = ["dash", "dashdot", "long"];
const SOLVED = 0.005;

export default demo(
  { name: "unmix", title: "What is this pixel made of?", keys: ["weights", "shown"] },
  (ui) => {
    const spectra = ui.get("endmembers");
    const names = ui.get("names");
    const wavelengths = ui.get("wavelengths");
    const truth = ui.get("truth");
    const hidden = linearMixture(spectra, truth);
    const norm = Math.hypot(...hidden);
    const top = ui.panelOf({
      label: "The hidden spectrum, your mixture and the three minerals",
      height: (w, f) => 16 * f + 0.1 * w,
    });
    const below = ui.panelOf({
      label: "What is left: the hidden spectrum minus yours",
      height: (w, f) => 10 * f,
    });
    ui.simplex("weights", names, { label: (name) => `fraction of ${name}` });
    ui.toggle("shown", { label: "show the answer" });
    const limit =
      // all on one mineral is the worst
      1.05 * Math.max(...spectra.flatMap((s) => s.map((v, i) => Math.abs(v - hidden[i]))));
    let started = null;
    let finished = null;
    let timer = 0;
    const seconds = () =>
      started === null ? 0 : Math.round(((finished ?? performance.now()) - started) / 1000);
    const tick = () => {
      if (finished === null && seconds() < 600) {
        ui.schedule();
        timer = setTimeout(tick, 1000);
      }
    };
    ui.cleanups.push(() => clearTimeout(timer));

    return () => {
      const weights = ui.get("weights");
      const yours = linearMixture(spectra, weights);
      const gap = hidden.map((v, i) => v - yours[i]);
      const residual = Math.hypot(...gap) / norm;
      if (ui.moved && started === null) {
        started = performance.now();
        timer = setTimeout(tick, 1000);
      }
      if (started !== null && finished === null && residual < SOLVED) finished = performance.now();
      const lows = spectra.map((s) => Math.min(...s));
      const highs = spectra.map((s) => Math.max(...s));
      const range = [wavelengths[0], wavelengths[wavelengths.length - 1]];
      top.begin({
        x: range,
        y: [Math.min(...lows) - 0.05, Math.max(...highs) + 0.03],
        title: "Spectra",
        yLabel: "reflectance",
        xLabel: "wavelength (nm)",
        legend: [
          ["hidden pixel", { colour: "ink", dash: "sparse" }],
          ["your mixture", { colour: "blue" }],
        ],
      });
      spectra.forEach((s, k) =>
        top.curve(wavelengths, s, { colour: COLOURS[k], dash: LINES[k], width: 1.4 }),
      );
      top.curve(wavelengths, yours, { colour: "blue", width: 2.6 });
      for (let i = 0; i < hidden.length; i++)
        top.dot(wavelengths[i], hidden[i], { colour: "ink", radius: 2.4 });
      top.nameCurves(wavelengths, spectra, names, COLOURS, [hidden]);

      below.begin({
        x: range,
        y: [-limit, limit],
        title: "What your mixture leaves over",
        xLabel: "wavelength (nm)",
        yTicks: [
          [-0.1, "\u22120.1"],
          [0, "0"],
          [0.1, "0.1"],
        ],
      });
      below.area(wavelengths, gap, { colour: "orange", alpha: 0.5 });
      below.curve(wavelengths, gap, { colour: "red", width: 1.8 });
      below.segment(...[range[0], 0, range[1], 0], { colour: "ink" });

      const time = `${seconds()} ${seconds() === 1 ? "second" : "seconds"}`;
      const clock =
        started === null
          ? "The clock starts when you move a handle."
          : finished === null
            ? `${time} so far.`
            : `Solved in ${time}.`;
      const answer = ui.get("shown")
        ? ` The pixel is ${list(names.map((name, k) => `${percent(truth[k])} ${name}`))}.`
        : "";
      const whole = weights.findIndex((w) => w > 0.995);
      const fit =
        residual < SOLVED
          ? ": a fit"
          : whole >= 0
            ? `: pure ${names[whole]} does not explain this pixel`
            : "; below 0.5\u00a0% counts as a fit";
      return (
        `The residual is ${fixed(100 * residual, 1)}\u00a0% of the signal${fit}. ` +
        `${clock}${answer}`
      );
    };
  },
);
