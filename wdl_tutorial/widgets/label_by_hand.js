// @ts-check
/* A person labels a scene: the next pixel and its spectrum, a button for each class, and the map
 * so far. Python answers.
 */

import { readable } from "./draw.js";
import { demo, element, list, percent } from "./shell.js";
import { Grid, bytesOf, key, rgbOf } from "./maps.js";

const UNSURE = -1;
const LINES = ["dash", "dot", "dashdot", "long", "sparse"];
const float32Of = (view) => new Float32Array(bytesOf(view).buffer);

export default demo(
  { name: "label-by-hand", title: "Label the scene yourself", keys: ["answers"], reset: false },
  (ui) => {
    const grid = new Grid(ui);
    const names = grid.names;
    const colours = ui.get("colours");
    const queries = ui.get("queries");
    const wavelengths = float32Of(ui.get("wavelengths"));
    const [unit, axis] = ui.get("units").split("|");
    const [image, map] = ui.row(
      { label: "The scene with the pixel to label", height: (w, f) => grid.ratio * w + 2 * f },
      { label: "The map that the labels so far give", height: (w, f) => grid.ratio * w + 2 * f },
    );
    const curves = ui.panelOf({
      label: "The spectrum of the pixel, and the mean of each class so far",
      height: (w, f) =>
        Math.max(13 * f, 0.28 * w) + 1.35 * f * Math.min(4, Math.floor((9 * f * names.length) / w)),
    }); // rows of the legend
    ui.board.append(key(names, colours));

    const answers = () => ui.get("answers");
    const ready = () => ui.get("answered") === answers().length;
    const kernel = !ui.addressed;
    function answer(c) {
      if (!kernel) return ui.say("Nobody answers: this needs a running kernel.");
      if (!ready()) return ui.say("The map of the last answer is on its way.");
      if (answers().length < queries.length) ui.set({ answers: [...answers(), c] });
    }
    function undo() {
      if (kernel && ready() && answers().length) ui.set({ answers: answers().slice(0, -1) });
    }
    const choices = element("div", {
      class: "wdl-buttons",
      role: "group",
      "aria-label": "the class of the pixel",
    });
    ui.panel.append(choices);
    const buttons = names.map((name, c) => ui.button("", () => answer(c), { into: choices }));
    const unsure = ui.button("0 I do not know", () => answer(UNSURE), { into: choices });
    const back = ui.button("Undo", undo, { into: choices });
    ui.root.tabIndex = -1;
    // in JupyterLab a digit would make a heading of the cell
    ui.root.setAttribute("data-lm-suppress-shortcuts", "true");
    ui.root.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (/^[0-9]$/.test(event.key) && Number(event.key) <= names.length)
        answer(Number(event.key) - 1);
      else if (event.key === "Backspace" || event.key === "u") undo();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    ui.root.addEventListener("click", (event) => {
      if (!event.target.closest("button")) ui.root.focus({ preventScroll: true });
    });
    for (const name of ["answered", "classes", "problem"]) ui.on(name, () => ui.schedule());

    return () => {
      const given = answers();
      const k = given.length;
      const done = k === queries.length;
      const pixel = queries[k];
      const counts = names.map((_, c) => given.filter((a) => a === c).length);
      const unknown = given.filter((a) => a === UNSURE).length;
      // its button goes dead
      if (done && choices.contains(document.activeElement)) ui.root.focus({ preventScroll: true });
      buttons.forEach((button, c) => {
        const words = `${c < 9 ? `${c + 1} ` : ""}${names[c]} (${counts[c]})`;
        if (button.textContent !== words) button.textContent = words;
        button.disabled = done || !kernel;
      });
      unsure.disabled = done || !kernel;
      back.disabled = !given.length || !kernel;
      ui.root.dataset.answered = ui.get("answered");
      drawImage(given, done ? null : pixel);
      const shares = drawMap(given);
      drawSpectrum(done);
      const problem = ui.get("problem");
      const said = k
        ? `You called number ${k} ${given[k - 1] === UNSURE ? "unknown" : names[given[k - 1]]}. `
        : "";
      const ask = done
        ? `All ${k} questions are answered.`
        : `Question ${k + 1} of ${queries.length}: which class is the pixel at ` +
          `${grid.where(pixel)}?`;
      const so = shares.length
        ? ` The map: ${list(shares.map(([c, v]) => `${percent(v)} ${names[c]}`))}.`
        : "";
      const kept = problem
        ? ` Not saved: ${problem}`
        : ui.get("saved_in") && k
          ? ` Saved in ${ui.get("saved_in")}.`
          : "";
      const skipped = unknown ? ` ${unknown} left open.` : "";
      return `${kernel ? "" : "This needs a running kernel. "}${said}${ask}${so}${skipped}${kept}`;
    };

    function drawImage(given, pixel) {
      grid.show(image, "The pixel");
      given.forEach((a, j) =>
        grid.mark(image, queries[j], { text: a === UNSURE ? "?" : String(a + 1) }),
      );
      if (pixel !== null) grid.mark(image, pixel, { big: true });
    }

    /* The map, and the share of each class in it, largest first. */
    function drawMap(given) {
      const classes = bytesOf(ui.get("classes"));
      const blank = rgbOf(map.theme.soft);
      const counts = names.map(() => 0);
      grid.show(
        map,
        "The map so far",
        grid.classColours((row) => classes[row] - 1, blank),
      );
      given.forEach((a, j) => {
        if (a !== UNSURE && j < ui.get("answered")) grid.mark(map, queries[j]);
      });
      for (const c of classes) if (c) counts[c - 1]++;
      return counts
        .map((v, c) => [c, v / classes.length])
        .filter(([, v]) => v > 0)
        .sort((a, b) => b[1] - a[1]);
    }

    function drawSpectrum(done) {
      const spectrum = done ? null : [...float32Of(ui.get("spectrum"))];
      const n = wavelengths.length;
      const means = float32Of(ui.get("means"));
      const known = names
        .map((_, c) => [c, [...means.slice(c * n, (c + 1) * n)]])
        .filter(([, mean]) => mean.every(Number.isFinite));
      const all = [spectrum ?? [], ...known.map(([, mean]) => mean)].flat();
      const top = all.length ? Math.max(...all) : 1;
      const low = all.length ? Math.min(0, ...all) : 0;
      const title = done ? "The classes' means" : "Its spectrum";
      const legend = [
        ...(done ? [] : [["the pixel", { colour: "ink" }]]),
        ...known.map(([c], j) => [names[c], { colour: shade(c), dash: LINES[j % LINES.length] }]),
      ];
      curves.begin({
        x: [wavelengths[0], wavelengths[n - 1]],
        y: [low, top * 1.05 || 1],
        title,
        yLabel: unit,
        xLabel: axis,
        legend,
      });
      known.forEach(([c, mean], j) =>
        curves.curve(wavelengths, mean, {
          colour: shade(c),
          dash: LINES[j % LINES.length],
          width: 1.5,
        }),
      );
      if (spectrum) curves.curve(wavelengths, spectrum, { colour: "ink", width: 2.5 });
    }

    /* The colour of a class as a line: as far from the paper as the other lines are. */
    function shade(c) {
      return readable(colours[c], curves.theme, 3);
    }
  },
);
