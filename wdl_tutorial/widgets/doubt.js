// @ts-check
/* The capstone: a dashboard of doubt. Which pixels do the methods and their seeds disagree
 * about, and over what?
 */

import { clamp, demo, element, fixed, percent } from "./shell.js";
import { Grid, bytesOf, mapKeys, rgbOf } from "./maps.js";

const COLOURS = ["blue", "red", "green", "purple", "orange", "sky"];
const MARKS = "\u25cf\u25a0\u25b2\u2715";
const SHAPES = ["disc", "square", "triangle", "cross"];
const LINES = ["solid", "dash", "dot", "dashdot", "long", "sparse"];
const RED = 0.25; // the deviation that is drawn fully red

/* The standard deviation of values, and of which material it is largest: [deviation, material]. */
export function mostContested(rows) {
  let best = [0, 0];
  for (let k = 0; rows.length && k < rows[0].length; k++) {
    const mean = rows.reduce((s, row) => s + row[k], 0) / rows.length;
    const deviation = Math.sqrt(rows.reduce((s, row) => s + (row[k] - mean) ** 2, 0) / rows.length);
    if (deviation > best[0]) best = [deviation, k];
  }
  return best;
}

export const median = (values) => {
  const s = [...values].sort((a, b) => a - b);
  const m = s.length >> 1;
  return s.length % 2 ? s[m] : (s[m - 1] + s[m]) / 2;
};

/* Where deviation stands among all: "in any other pixel", or "in 93 % of the pixels", rounded
 * down: never in 100 %.
 */
export function standing(deviation, all) {
  const below = all.filter((d) => d < deviation).length;
  return below >= all.length - 1
    ? "more than in any other pixel"
    : `more than in ${percent(Math.floor((100 * below) / all.length) / 100)} of the pixels`;
}

/* The runs of a scene, out of their bytes. A "row" is the number of a pixel that is not masked. */
export class Runs {
  constructor({ methods, counts, materials, abundances, spectra, fits, scores, bands, top }) {
    this.methods = methods;
    this.counts = counts;
    this.materials = materials;
    this.abundances = abundances;
    this.spectra = spectra;
    this.fits = fits;
    this.scores = scores;
    this.bands = bands;
    this.top = top;
    this.n = spectra.length / bands;
    this.first = counts.map((_, m) => counts.slice(0, m).reduce((s, c) => s + c, 0));
    this.rank = fits.components.length;
  }

  fractions(run, row) {
    const from = (run * this.n + row) * this.materials;
    return Array.from(this.abundances.subarray(from, from + this.materials), (v) => v / 255);
  }

  of(method, row) {
    return Array.from({ length: this.counts[method] }, (_, s) =>
      this.fractions(this.first[method] + s, row),
    );
  }

  voting(votes, row) {
    return votes.flatMap((vote, m) => (vote ? this.of(m, row) : []));
  }

  spectrum(row) {
    return Array.from(
      this.spectra.subarray(row * this.bands, (row + 1) * this.bands),
      (v) => (v * this.top) / 255,
    );
  }

  /* What a method's first run makes of the pixel. */
  fit(method, row) {
    const { mean, components, low, step } = this.fits;
    const from = (method * this.n + row) * this.rank;
    const out = [...mean];
    components.forEach((component, j) => {
      const score = low[j] + step[j] * this.scores[from + j];
      for (let b = 0; b < out.length; b++) out[b] += score * component[b];
    });
    return out;
  }

  /* The root mean square over the bands of what the fit leaves over. */
  misfit(method, row) {
    const fit = this.fit(method, row);
    const pixel = this.spectrum(row);
    return Math.sqrt(pixel.reduce((s, v, b) => s + (v - fit[b]) ** 2, 0) / this.bands);
  }
}

export default demo(
  {
    name: "doubt",
    title: "A dashboard of doubt",
    keys: ["cursor", "shown", "method", "material", "votes", "truth_shown"],
  },
  (ui) => {
    const grid = new Grid(ui);
    const materials = ui.get("names");
    const methods = ui.get("methods");
    const counts = ui.get("counts");
    const every = ui.get("every");
    const nm = ui.get("wavelengths");
    const runs = new Runs({
      methods,
      counts,
      materials: materials.length,
      abundances: bytesOf(ui.get("abundances")),
      spectra: bytesOf(ui.get("spectra")),
      scores: bytesOf(ui.get("scores")),
      fits: ui.get("fits"),
      bands: nm.length,
      top: ui.get("top"),
    });
    const answers = bytesOf(ui.get("answers"));
    const known = answers.length > 0;
    const [map, dots] = ui.row(
      { label: "A map of the scene", height: (w, f) => grid.ratio * w + 2 * f },
      {
        label: "The fractions of every material in this pixel, as each method and seed has them",
        height: (w, f) => Math.max(grid.ratio * w + 2 * f, 2.6 * f * materials.length + 6 * f),
      },
    );
    const [light, left] = ui.row(
      { label: "The spectrum of the pixel, and the fit", height: (w, f) => 13 * f + 0.08 * w },
      { label: "What the fit leaves over in every band", height: (w, f) => 13 * f + 0.08 * w },
    );
    mapKeys(ui, map, grid, {
      act: (k) => ui.set({ cursor: k }),
      label:
        "The map: arrow keys move the cursor, Shift by eight pixels; a click moves it as well.",
    });
    ui.choice("shown", {
      label: "the map shows",
      options: [
        ["doubt", "doubt: where runs disagree"],
        ["misfit", "the misfit of a method"],
        ["fraction", "a material"],
        ["scene", "the scene"],
      ],
    });
    ui.choice("method", { label: "whose fit", options: methods.map((name, m) => [m, name]) });
    ui.choice("material", {
      label: "which material",
      options: materials.map((name, k) => [k, name]),
    });
    ballot(ui, methods);
    if (known) ui.toggle("truth_shown", { label: "show the truth" });
    ui.button(
      "Next red pixel",
      () => {
        const order = doubts().order;
        const at = order.indexOf(grid.rowOf[ui.get("cursor")]);
        ui.set({ cursor: grid.pixelOf[order[(at + 1) % order.length]] });
      },
      { label: "Next red pixel: move the cursor to the next one in dispute" },
    );

    /* The disagreement in every pixel among those that vote, and the rows from the most disputed
     * on.
     */
    const kept = new Map();
    function doubts() {
      const name = ui.get("votes").join();
      if (!kept.has(name)) {
        const all = Array.from({ length: runs.n }, (_, row) =>
          mostContested(runs.voting(ui.get("votes"), row)),
        );
        const order = all.map((_, row) => row).sort((a, b) => all[b][0] - all[a][0] || a - b);
        kept.set(name, { all, order, middle: median(all.map(([deviation]) => deviation)) });
      }
      return kept.get(name);
    }
    const misfits = new Map();
    function misfitsOf(method) {
      if (!misfits.has(method))
        misfits.set(
          method,
          Array.from({ length: runs.n }, (_, row) => runs.misfit(method, row)),
        );
      return misfits.get(method);
    }
    const where = (k) =>
      `Row ${every * Math.floor(k / grid.cols)}, column ${every * (k % grid.cols)}`;
    const truth = (row) =>
      Array.from(
        answers.subarray(row * materials.length, (row + 1) * materials.length),
        (v) => v / 255,
      );

    return () => {
      const k = clamp(ui.get("cursor"), 0, grid.size - 1);
      const row = grid.rowOf[k];
      const votes = ui.get("votes");
      const method = clamp(ui.get("method"), 0, methods.length - 1);
      const material = clamp(ui.get("material"), 0, materials.length - 1);
      const open = known && ui.get("truth_shown");
      drawMap(k, votes, method, material);
      if (row < 0) {
        for (const plot of [dots, light, left])
          plot.begin({ x: [0, 1], y: [0, 1], xTicks: false, yTicks: false, title: "masked" });
        return `${where(k)} is masked: too dark, or not measured.`;
      }
      const fit = runs.fit(method, row);
      const pixel = runs.spectrum(row);
      const gap = pixel.map((v, b) => v - fit[b]);
      const worst = gap.reduce((best, v, b) => (Math.abs(v) > Math.abs(gap[best]) ? b : best), 0);
      drawDots(row, votes, open);
      drawLight(pixel, fit, gap, method);
      return (
        `${where(k)}: ${verdict(row, votes)} The fit of ${methods[method]} leaves ` +
        `${fixed(runs.misfit(method, row), 3)} of reflectance (rms), most at ` +
        `${Math.round(nm[worst])}\u00a0nm.${open ? ` ${honest(row, votes)}` : ""}`
      );
    };

    function verdict(row, votes) {
      const voters = runs.voting(votes, row);
      if (voters.length < 2) return "fewer than two runs vote, and one run cannot disagree.";
      const { all, middle } = doubts();
      const [deviation, m] = all[row];
      const rank = standing(
        deviation,
        all.map(([d]) => d),
      );
      const named = methods
        .flatMap((name, j) => (votes[j] ? [[name, median(runs.of(j, row).map((a) => a[m]))]] : []))
        .sort((a, b) => a[1] - b[1]);
      const [low, high] = [named[0], named[named.length - 1]];
      const span =
        named.length > 1
          ? `, from ${fixed(low[1], 2)} (${low[0]}) to ${fixed(high[1], 2)} (${high[0]})`
          : `, ${fixed(low[1], 2)} in the median over seeds`;
      return (
        `doubt ${fixed(deviation, 3)}, ${rank} (median ${fixed(middle, 3)}). Most ` +
        `disputed: ${materials[m]}${span}.`
      );
    }

    function honest(row, votes) {
      const voters = runs.voting(votes, row);
      const right = truth(row);
      if (!voters.length) return "";
      const off = right.map((v, m) => Math.abs(v - median(voters.map((a) => a[m]))));
      const m = off.indexOf(Math.max(...off));
      return `The median of the votes is off by ${fixed(off[m], 2)}, in ${materials[m]}.`;
    }

    function drawMap(k, votes, method, material) {
      const shown = ui.get("shown");
      const paper = rgbOf(map.theme.paper);
      const blank = rgbOf(map.theme.soft);
      const scales = {
        doubt: [(row) => doubts().all[row][0] / RED, "red", `Doubt: full red from ${RED} on`],
        misfit: [
          (row) => misfitsOf(method)[row] / 0.05,
          "purple",
          `Misfit of ${methods[method]}: full colour from 0.05 on`,
        ],
        fraction: [
          (row) => median(runs.of(method, row).map((a) => a[material])),
          "blue",
          `${materials[material]}, by ${methods[method]}: 0 to 1`,
        ],
      };
      const [value, colour, title] = scales[shown] ?? [null, null, "The scene"];
      const rgb = value ? new Uint8Array(3 * grid.size) : grid.picture;
      const end = value && rgbOf(map.colour(colour));
      for (let p = 0; value && p < grid.size; p++) {
        const row = grid.rowOf[p];
        const v = row < 0 ? 0 : clamp(value(row), 0, 1);
        rgb.set(row < 0 ? blank : paper.map((c, j) => c + v * (end[j] - c)), 3 * p);
      }
      grid.show(map, title, rgb);
      map.box(0, 0, grid.cols, grid.rows, { stroke: "muted" });
      grid.mark(map, k, { big: true });
    }

    function drawDots(row, votes, open) {
      const n = materials.length;
      const title = "What is in it?";
      dots.begin({
        x: [-0.03, 1.03],
        y: [n, 0],
        title,
        xLabel: "fraction of the area",
        yTicks: materials.map((name, m) => [m + 0.5, name]),
        grid: false,
        legend: [
          ...methods.map((name, j) => [
            `${name} ${MARKS[j % 4]}`,
            { colour: COLOURS[j % 6], dash: LINES[j % 6] },
          ]),
          ...(open ? [["truth", { colour: "ink" }]] : []),
        ],
      });
      for (let m = 0; m <= n; m++) dots.segment(-0.03, m, 1.03, m, { colour: "line" });
      materials.forEach((_, m) => {
        if (open)
          dots.segment(truth(row)[m], m + 0.04, truth(row)[m], m + 0.96, {
            colour: "ink",
            width: 3,
          });
        methods.forEach((_, j) => {
          const values = runs.of(j, row).map((a) => a[m]);
          const y = m + (j + 1) / (methods.length + 1);
          const alpha = votes[j] ? 1 : 0.3;
          dots.segment(Math.min(...values), y, Math.max(...values), y, {
            colour: COLOURS[j % 6],
            width: 2.4,
            alpha,
          });
          dots.dot(median(values), y, {
            colour: COLOURS[j % 6],
            shape: SHAPES[j % 4],
            radius: 3.6,
            alpha,
          });
        });
      });
    }

    function drawLight(pixel, fit, gap, method) {
      const x = [nm[0], nm[nm.length - 1]];
      const high = 1.05 * Math.max(...pixel, ...fit, 0.1);
      const limit = 1.1 * Math.max(0.02, ...gap.map(Math.abs));
      light.begin({
        x,
        y: [0, high],
        title: "Spectrum",
        yLabel: "reflectance",
        xLabel: "wavelength (nm)",
        legend: [
          ["pixel", { colour: "ink", dash: "sparse" }],
          [`fit of ${methods[method]}`, { colour: COLOURS[method % 6] }],
        ],
      });
      left.begin({
        x,
        y: [-limit, limit],
        title: "Left over",
        yLabel: "pixel minus fit",
        xLabel: "wavelength (nm)",
      });
      for (const [from, to] of pieces(nm)) {
        const part = (values) => values.slice(from, to);
        light.curve(part(nm), part(fit), { colour: COLOURS[method % 6], width: 2.4 });
        left.area(part(nm), part(gap), { colour: "orange", alpha: 0.5 });
        left.curve(part(nm), part(gap), { colour: "red", width: 1.8 });
      }
      pixel.forEach((v, b) => light.dot(nm[b], v, { colour: "ink", radius: 2.2 }));
      left.segment(x[0], 0, x[1], 0, { colour: "ink" });
    }
  },
);

/* Runs of bands without a gap, as [from, to): no line is drawn over bands that were not
 * measured.
 */
export function pieces(nm) {
  const steps = nm.slice(1).map((v, b) => v - nm[b]);
  const wide = 2 * median(steps.length ? steps : [1]);
  const cuts = [0];
  steps.forEach((step, b) => {
    if (step > wide) cuts.push(b + 1);
  });
  return cuts.map((from, j) => [from, cuts[j + 1] ?? nm.length]);
}

/* A box to tick for each method: whose runs count as votes. */
function ballot(ui, methods) {
  const boxes = methods.map((name, m) =>
    element("input", {
      type: "checkbox",
      "data-lm-suppress-shortcuts": "true",
      onchange: (event) =>
        ui.set({
          votes: ui.get("votes").map((vote, j) => (j === m ? Number(event.target.checked) : vote)),
        }),
    }),
  );
  const rows = methods.map((name, m) => element("label", {}, boxes[m], element("span", {}, name)));
  ui.panel.append(
    element("fieldset", { class: "wdl-choice" }, element("legend", {}, "who votes"), ...rows),
  );
  const show = () =>
    boxes.forEach((box, m) => {
      box.checked = Boolean(ui.get("votes")[m]);
    });
  const accept = (v) =>
    Array.isArray(v) && v.length === methods.length && v.every((x) => x === 0 || x === 1)
      ? v
      : null;
  ui.controls.set("votes", [{ show, accept }]);
}
