// @ts-check
/* Chapter 15: a drop of ink on one pixel, carried along the edges of the graph by a random walk. */

import { clamp, demo, list, percent } from "./shell.js";
import { number } from "./draw.js";
import { neighborGraph, walkFrom } from "./diffusion.js";
import { Grid, int16Of, key, mapKeys, rgbOf } from "./maps.js";

const TIMES = [0, 1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000, 2000, 3000];

export default demo({ name: "ink-drop", title: "A drop of ink", keys: ["start", "time"] }, (ui) => {
  const grid = new Grid(ui);
  const n = grid.pixelOf.length;
  const k = ui.get("n_neighbors");
  const graph = neighborGraph(int16Of(ui.get("neighbors")), n, k);
  const cloud = int16Of(ui.get("cloud"));
  const total = graph.degrees.reduce((s, v) => s + v, 0);
  const classes = grid.names.map((_, c) => c);
  const [image, ink] = ui.row(
    { label: "The scene in colours", height: (w, f) => grid.ratio * w + 2 * f },
    { label: "Where the ink is, on the map", height: (w, f) => grid.ratio * w + 2 * f },
  );
  const scatter = ui.panelOf({
    label: "Where the ink is, among the spectra",
    height: (w, f) => clamp(0.42 * w, 12 * f, 24 * f),
  });
  const named = grid.names.length ? key(grid.names, ui.get("colours")) : "";
  ui.board.append(named);
  const drop = (pixel) =>
    grid.rowOf[pixel] >= 0
      ? ui.set({ start: pixel })
      : ui.say(`There is no spectrum at ${grid.where(pixel)}.`);
  const label = "arrow keys move the drop, Shift by eight pixels; a click puts it elsewhere.";
  mapKeys(ui, image, grid, { cursor: "start", act: drop, label: `The scene: ${label}` });
  ui.slider("time", { label: "steps of the walk, t", values: TIMES, text: (v) => number(v) });

  let walk = { start: null };
  return () => {
    const start = grid.rowOf[ui.get("start")];
    const t = TIMES.reduce((best, v) =>
      Math.abs(v - ui.get("time")) < Math.abs(best - ui.get("time")) ? v : best,
    );
    if (start < 0) return drawNothing();
    if (walk.start !== start) walk = { start, ...walkFrom(graph, start) };
    const p = walk.at(t);
    const most = p.reduce((a, b) => Math.max(a, b), 0);
    const shade = p.map((v) => Math.sqrt(v / most));
    drawImage();
    drawInk(shade);
    drawCloud(shade);
    const wet = p.filter((v) => v > 0.01 * most).length;
    const apart = 0.5 * p.reduce((s, v, i) => s + Math.abs(v - graph.degrees[i] / total), 0);
    const held = new Map([...classes, -1].map((c) => [c, 0]));
    p.forEach((v, i) => {
      const c = grid.classOf(grid.pixelOf[i]);
      held.set(c, held.get(c) + v);
    });
    const shares = [...held].filter(([, v]) => v >= 0.005).sort((a, b) => b[1] - a[1]);
    const here = grid.classOf(ui.get("start"));
    const words = classes.length
      ? shares.map(([c, v]) => `${percent(v)} on ${grid.names[c] ?? "pixels without a label"}`)
      : [];
    const material = here >= 0 ? ` (${grid.names[here]})` : "";
    const where = words.length ? `: ${list(words)}` : "";
    return (
      `The drop fell at ${grid.where(ui.get("start"))}${material}. ` +
      `After ${number(t)} ${t === 1 ? "step" : "steps"}${where}. ` +
      `${wet} of ${n} pixels are wet. Still to go until it has forgotten where it ` +
      `began: ${percent(apart)}.`
    );
  };

  function drawNothing() {
    drawImage();
    for (const plot of [ink, scatter])
      plot.begin({ x: [0, 1], y: [0, 1], xTicks: false, yTicks: false });
    return `There is no spectrum at ${grid.where(ui.get("start"))}; move on.`;
  }

  function drawImage() {
    grid.show(image, "Put the drop here");
    grid.mark(image, ui.get("start"), { big: true });
  }

  function inked(plot) {
    const paper = rgbOf(plot.theme.soft);
    const full = rgbOf(plot.colour("blue"));
    return (v) => full.map((x, c) => Math.round(paper[c] + v * (x - paper[c])));
  }

  function drawInk(shade) {
    const rgb = new Uint8Array(3 * grid.size);
    const colour = inked(ink);
    for (let q = 0; q < grid.size; q++)
      rgb.set(colour(grid.rowOf[q] < 0 ? 0 : shade[grid.rowOf[q]]), 3 * q);
    grid.show(ink, "Ink on the map", rgb);
    grid.mark(ink, ui.get("start"), { big: true });
  }

  function drawCloud(shade) {
    const span = (c) => {
      let lo = Infinity;
      let hi = -Infinity;
      for (let i = 0; i < n; i++) {
        lo = Math.min(lo, cloud[2 * i + c]);
        hi = Math.max(hi, cloud[2 * i + c]);
      }
      return [lo - 0.03 * (hi - lo), hi + 0.03 * (hi - lo)];
    };
    scatter.begin({
      x: span(0),
      y: span(1),
      xTicks: false,
      yTicks: false,
      title: "Ink among the spectra",
      yLabel: "second component",
      xLabel: "first component",
    });
    const colours = ui.get("colours");
    const c = scatter.c;
    const r = 0.22 * scatter.font;
    c.globalAlpha = scatter.theme.dark ? 0.55 : 0.6;
    for (let i = 0; i < n; i++) {
      c.fillStyle = colours[grid.classOf(grid.pixelOf[i])] ?? scatter.theme.line;
      c.fillRect(scatter.X(cloud[2 * i]) - r / 2, scatter.Y(cloud[2 * i + 1]) - r / 2, r, r);
    }
    c.globalAlpha = 0.45;
    c.strokeStyle = scatter.colour("ink");
    c.lineWidth = 1;
    for (let i = 0; i < n; i++) {
      if (shade[i] < 0.1) continue; // a hundredth of the most
      c.beginPath();
      c.arc(
        scatter.X(cloud[2 * i]),
        scatter.Y(cloud[2 * i + 1]),
        0.5 * scatter.font * shade[i] + 1,
        0,
        2 * Math.PI,
      );
      c.stroke();
    }
    c.globalAlpha = 1;
  }
});
