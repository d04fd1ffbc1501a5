// @ts-check
/* Chapter 11: a pixel of three materials in the shade, what two ways of unmixing make of it, and
 * of a scene under a cloud.
 */

import { linearMixture } from "./transport.js";
import { fcls, nnls, solver } from "./leastsquares.js";
import { demo, fixed, percent } from "./shell.js";
import { dragWeights, drawTriangle } from "./triangle.js";

const COLOURS = ["red", "green", "purple"];
const LINES = ["dash", "dot", "dashdot"];
const METHODS = ["truth", "FCLS", "NNLS / sum"];

/* The sides of cells where the cloud's cover crosses one half, as [x0, y0, x1, y1], row 0 at the
 * top.
 */
function edge(cloud, rows, cols) {
  const covered = (r, c) => r >= 0 && c >= 0 && r < rows && c < cols && cloud[r * cols + c] > 0.5;
  const sides = [];
  for (let r = 0; r <= rows; r++)
    for (let c = 0; c <= cols; c++) {
      if (covered(r, c) !== covered(r, c - 1)) sides.push([c, rows - r, c, rows - r - 1]);
      if (covered(r, c) !== covered(r - 1, c)) sides.push([c, rows - r, c + 1, rows - r]);
    }
  return sides;
}

/* The light of a blue sky at each wavelength (nm), 1 at 550 nm: all that a shadow is lit by,
 * beside what is left of the sun.
 */
export const skyLight = (wavelengths) => wavelengths.map((nm) => (550 / nm) ** 3);

/* What both methods make of every pixel of the scene when the light under the cloud is `shade`,
 * and `sky` of skylight.
 */
function unmixScene(field, cloud, spectra, shade, sky, blue) {
  const products = (weigh) =>
    spectra.map((s) => spectra.map((t) => s.reduce((sum, v, i) => sum + v * t[i] * weigh[i], 0)));
  const gram = products(blue.map(() => 1));
  const tinted = products(blue);
  const [constrained, free] = [solver(gram, true), solver(gram, false)];
  return field.map((truth, i) => {
    const light = 1 + (shade - 1) * cloud[i];
    const right = gram.map((row, j) =>
      row.reduce((s, v, k) => s + (light * v + sky * cloud[i] * tinted[j][k]) * truth[k], 0),
    );
    const z = free(right);
    const total = z.reduce((s, v) => s + v, 0);
    return [truth, constrained(right), z.map((v) => v / total)];
  });
}

export default demo(
  { name: "shade", title: "A pixel in the shade", keys: ["weights", "shade", "sky", "mineral"] },
  (ui) => {
    const spectra = ui.get("endmembers");
    const names = ui.get("names");
    const wavelengths = ui.get("wavelengths");
    const [pad, picture] = ui.row(
      {
        label: "The triangle of fractions: the truth and two answers",
        height: (w, f) => Math.min(0.98 * w, 22 * f),
        touch: "none",
      },
      { label: "The spectra", height: (w, f) => Math.min(0.8 * w, 22 * f), share: 1.1 },
    );
    const bars = ui.panelOf({
      label: "Fractions: truth, FCLS and NNLS divided by its sum",
      height: (w, f) => 11.5 * f,
    });
    const scene = ui.get("scene");
    const tall = scene.length;
    const wide = scene[0].length;
    const field = scene.flat();
    const cloud = ui.get("cloud").flat();
    const maps = ui.panelOf({
      label: "Maps of one mineral's fraction: truth, FCLS and NNLS divided by its sum",
      height: (w, f) => Math.min((w / 3) * (tall / wide), 14 * f) + 3.4 * f,
    });
    ui.simplex("weights", names, { label: (name) => `true fraction of ${name}` });
    ui.slider("shade", {
      label: "shade: light on the pixel, 1 is full",
      min: 0.4,
      max: 1.5,
      step: 0.05,
      text: (v) => fixed(v, 2),
    });
    const blue = skyLight(wavelengths);
    const coloured = wavelengths[0] < 1000; // in the infrared the sky is black
    if (coloured)
      ui.slider("sky", {
        label: "light of the blue sky, at 550 nm",
        min: 0,
        max: 0.1,
        step: 0.005,
        text: (v) => fixed(v, 3),
      });
    ui.choice("mineral", {
      label: "material in the maps",
      options: names.map((name, k) => [k, name]),
    });
    dragWeights(ui, pad, "weights");
    let last = {};

    return () => {
      const truth = ui.get("weights");
      const shade = ui.get("shade");
      const sky = coloured ? ui.get("sky") : 0;
      const pixel = linearMixture(spectra, truth).map((v, i) => (shade + sky * blue[i]) * v);
      const constrained = fcls(pixel, spectra);
      const free = nnls(pixel, spectra);
      const total = free.reduce((s, v) => s + v, 0);
      const scaled = free.map((v) => v / total);
      drawTriangle(pad, {
        title: "Drag the truth",
        names,
        colours: COLOURS,
        weights: truth,
        marks: [
          {
            weights: constrained,
            colour: "orange",
            shape: "square",
            label: "FCLS",
            dx: constrained[1] > 0.5 ? -0.9 : 0.9,
          },
          {
            weights: scaled,
            colour: "blue",
            shape: "triangle",
            label: "NNLS",
            dx: scaled[1] > 0.5 ? -0.9 : 0.9,
          },
        ],
      });

      const range = [wavelengths[0], wavelengths[wavelengths.length - 1]];
      const top = 1.06 * Math.max(1, ...spectra.flat());
      picture.begin({
        x: range,
        y: [0, top],
        title: "Spectra",
        yLabel: "reflectance",
        xLabel: "wavelength (nm)",
        legend: [
          ["pixel", { colour: "ink" }],
          ["FCLS's fit", { colour: "orange", dash: "long" }],
        ],
      });
      spectra.forEach((s, k) =>
        picture.curve(wavelengths, s, { colour: COLOURS[k], dash: LINES[k], width: 1.4 }),
      );
      picture.curve(wavelengths, pixel, { colour: "ink", width: 2.6 });
      picture.curve(wavelengths, linearMixture(spectra, constrained), {
        colour: "orange",
        dash: "long",
        width: 2,
      });
      picture.nameCurves(wavelengths, spectra, names, COLOURS);

      const rows = [
        ["truth", truth, "ink"],
        ["FCLS", constrained, "orange"],
        ["NNLS / sum", scaled, "blue"],
      ];
      bars.begin({
        x: [0, 3.15],
        y: [3, 0],
        title: "Fractions",
        xTicks: names.map((name, k) => [k * 1.05 + 0.5, name]),
        yTicks: rows.map(([name], k) => [k + 0.5, name]),
        grid: false,
      });
      rows.forEach(([, w, colour], r) =>
        w.forEach((v, k) => {
          bars.box(k * 1.05, r + 0.2, k * 1.05 + 1, r + 0.8, { fill: "soft" });
          bars.box(k * 1.05, r + 0.2, k * 1.05 + v, r + 0.8, { fill: colour, alpha: 0.75 });
          bars.label(fixed(v, 2), k * 1.05 + 0.5, r + 0.5, { bold: true, scale: 0.95 });
        }),
      );

      const k = ui.get("mineral");
      const same = shade === last.shade && sky === last.sky;
      const unmixed = same ? last.unmixed : unmixScene(field, cloud, spectra, shade, sky, blue);
      const under = field.map((_, i) => i).filter((i) => cloud[i] > 0.5);
      last = { shade, sky, unmixed };
      maps.begin({
        x: [0, 3 * wide + 2],
        y: [0, tall],
        title: `A whole scene, light changed in the outline: fraction of ${names[k]}`,
        xTicks: METHODS.map((name, j) => [j * (wide + 1) + wide / 2, name]),
        yTicks: false,
        grid: false,
      });
      METHODS.forEach((_, j) => {
        const x = j * (wide + 1);
        maps.image(
          unmixed.map((answers) => answers[j][k]),
          tall,
          wide,
          { colour: COLOURS[k], corners: [x, 0, x + wide, tall] },
        );
        maps.box(x, 0, x + wide, tall, { stroke: "muted" });
        edge(cloud, tall, wide).forEach(([a, b, c, d]) =>
          maps.segment(x + a, b, x + c, d, { colour: "ink", width: 1 }),
        );
      });
      const mean = METHODS.map(
        (_, j) => under.reduce((s, i) => s + unmixed[i][j][k], 0) / under.length,
      );

      const off = (w) => w.reduce((s, v, k) => s + Math.abs(v - truth[k]), 0) / 2;
      const say = (w) => `(${w.map((v) => fixed(v, 2)).join(", ")})`;
      const light =
        shade < 0.995
          ? `${fixed(100 * (1 - shade), 0)}\u00a0% less light`
          : shade > 1.005
            ? `${fixed(100 * (shade - 1), 0)}\u00a0% more light`
            : "full light";
      const wrong =
        off(constrained) > 0.01
          ? `FCLS, which must make the fractions sum to one, answers ${say(constrained)}: ` +
            `${fixed(100 * off(constrained), 0)}\u00a0% of the pixel goes to the wrong ` +
            "material."
          : `FCLS answers ${say(constrained)}, as it should.`;
      const left =
        sky > 0
          ? `NNLS divided by its sum answers ${say(scaled)}, ` +
            `${fixed(100 * off(scaled), 0)}\u00a0% under a wrong name: the light is ` +
            "blue, and no one number is it."
          : `NNLS divided by its sum answers ${say(scaled)} at every shade: its sum, ` +
            `${fixed(total, 2)}, is the light.`;
      return (
        `Truth ${say(truth)}, ${light}${sky > 0 ? `, and ${fixed(sky, 3)} of blue sky` : ""}. ` +
        `${wrong} ${left} Inside the outline there is ${percent(mean[0])} ` +
        `${names[k]}; FCLS finds ${percent(mean[1])}, NNLS ${percent(mean[2])}.`
      );
    };
  },
);
