// @ts-check
/* Chapter 6: draw two atoms, explain twelve histograms with them, then let the machine go on
 * from your drawing.
 */

import {
  barycenter,
  barycenterGradient,
  costMatrix,
  denseKernel,
  epsForBlur,
  linspace,
  normalized,
} from "./transport.js";
import { clamp, demo, element, fixed } from "./shell.js";

const LINES = ["dash", "dot"];
const COLOURS = ["red", "green"];
const ITERATIONS = 18;
const STEPS = 150;
const RATE = 0.2;
const GRID = 11;

/* One step of Adam on the logits `z`, in place. */
function adam(z, gradient, memory, step) {
  for (let i = 0; i < z.length; i++) {
    memory.m[i] = 0.9 * memory.m[i] + 0.1 * gradient[i];
    memory.v[i] = 0.99 * memory.v[i] + 0.01 * gradient[i] ** 2;
    z[i] -=
      (RATE * (memory.m[i] / (1 - 0.9 ** step))) /
      (Math.sqrt(memory.v[i] / (1 - 0.99 ** step)) + 1e-12);
  }
}

const softmax = (z) => {
  const top = Math.max(...z);
  return normalized(z.map((v) => Math.exp(v - top)));
};
const pulled = (p, g) => {
  const mean = p.reduce((s, v, i) => s + v * g[i], 0);
  return p.map((v, i) => v * (g[i] - mean));
};
/** @param {Float64Array[]} atoms */
const identical = ([p, q]) => p.every((v, i) => Math.abs(v - q[i]) < 1e-9);
const l1Loss = (P, data) => P.reduce((s, v, i) => s + Math.abs(v - data[i]), 0);

export default demo(
  {
    name: "draw-atoms",
    title: "Draw the two atoms",
    keys: ["left", "right", "spread", "drawn", "example"],
  },
  (ui) => {
    const data = ui.get("data").map((row) => Float64Array.from(row));
    const n = data[0].length;
    const x = linspace(0, n - 1, n);
    const kernel = denseKernel(costMatrix(x, x, 2), n, n, epsForBlur(ui.get("blur"), 2));
    const rivals = ui.get("rivals");
    const board = ui.panelOf({
      label: "The twelve histograms and your two atoms",
      height: (w, f) => 14 * f + 0.1 * w,
      touch: "none",
    });
    const [one, score] = ui.row(
      { label: "One histogram and what your atoms make of it", height: (w, f) => 11 * f },
      {
        label: "Mean error of your atoms, of PCA and of NMF",
        height: (w, f) => 11 * f,
        share: 0.8,
      },
    );
    for (const [key, name] of [
      ["left", "A"],
      ["right", "B"],
    ])
      ui.slider(key, {
        label: `atom ${name} at`,
        min: 4,
        max: n - 5,
        step: 1,
        text: (v) => `bin ${v}`,
      });
    ui.slider("spread", {
      label: "width of both atoms (sd)",
      min: 1.5,
      max: 12,
      step: 0.5,
      text: (v) => `${fixed(v, 1)} bins`,
    });
    ui.slider("example", {
      label: "histogram shown below",
      min: 1,
      max: data.length,
      step: 1,
      text: (v) => `${v} of ${data.length}`,
    });
    const accept = (v) =>
      v.length === 2 * n &&
      v.every((m) => m >= 0) &&
      [v.slice(0, n), v.slice(n)].every((p) => p.some((m) => m > 0))
        ? v
        : null;
    ui.controls.set("drawn", [{ show() {}, accept }]);
    const buttons = element("div", { class: "wdl-buttons" });
    ui.panel.append(buttons);
    const learn = ui.button("Let it learn", () => (running ? stop() : start()), { into: buttons });
    ui.button(
      "Same atom twice",
      () => {
        stop();
        ui.set({ drawn: [...atomsNow()[0], ...atomsNow()[0]] });
      },
      { into: buttons },
    );

    let running = null;
    let timer = 0;
    let known = null;
    let history = [];
    const bump = (at) =>
      normalized(x.map((v) => Math.exp(-0.5 * ((v - at) / ui.get("spread")) ** 2) + 1e-7));
    const atomsNow = () => {
      const drawn = ui.get("drawn");
      return drawn.length === 2 * n
        ? [normalized(drawn.slice(0, n)), normalized(drawn.slice(n))]
        : [bump(ui.get("left")), bump(ui.get("right"))];
    };
    const stop = () => {
      running = null;
      clearTimeout(timer);
      ui.schedule();
    };
    for (const key of ["left", "right", "spread"])
      ui.on(key, () => {
        stop();
        history = [];
        ui.model.set("drawn", []);
      });
    ui.cleanups.push(stop);

    /* The best weight of each histogram: the best of a few, then the bottom of the parabola
     * through it and its neighbours.
     */
    function explain(atoms) {
      const at = (t) => barycenter(atoms, [1 - t, t], kernel, ITERATIONS);
      const same = identical(atoms);
      const tried = [...Array(GRID).keys()].map((k) => at(k / (GRID - 1)));
      return data.map((p) => {
        const losses = tried.map((P) => P.reduce((s, v, i) => s + (v - p[i]) ** 2, 0));
        const k = clamp(losses.indexOf(Math.min(...losses)), 1, GRID - 2);
        const [a, b, c] = [losses[k - 1], losses[k], losses[k + 1]];
        const bend = a - 2 * b + c;
        const t = same
          ? 0.5
          : clamp((k + (bend > 0 ? clamp((0.5 * (a - c)) / bend, -1, 1) : 0)) / (GRID - 1), 0, 1);
        const P = at(t);
        return { t, P, loss: l1Loss(P, p) };
      });
    }

    function start() {
      const atoms = atomsNow();
      const zeros = (m) => ({ m: new Float64Array(m), v: new Float64Array(m) });
      running = {
        z: atoms.map((p) => p.map((v) => Math.log(v + 1e-9))),
        memory: atoms.map(() => zeros(n)),
        step: 0,
        w: explain(atoms).map(({ t }) =>
          Float64Array.from([Math.log(1 - clamp(t, 0.02, 0.98)), Math.log(clamp(t, 0.02, 0.98))]),
        ),
        wMemory: data.map(() => zeros(2)),
      };
      advance();
    }

    function advance() {
      if (running === null) return;
      running.step++;
      const atoms = running.z.map(softmax);
      const total = atoms.map(() => new Float64Array(n));
      data.forEach((p, k) => {
        const weights = softmax(running.w[k]);
        const { gradAtoms, gradWeights } = barycenterGradient(
          atoms,
          weights,
          kernel,
          ITERATIONS,
          (P) => P.map((v, i) => Math.log((v + 1e-12) / (p[i] + 1e-12))),
        );
        gradAtoms.forEach((g, s) =>
          g.forEach((v, i) => {
            total[s][i] += v / data.length;
          }),
        );
        adam(running.w[k], pulled(weights, gradWeights), running.wMemory[k], running.step);
      });
      atoms.forEach((p, s) =>
        adam(running.z[s], pulled(p, total[s]), running.memory[s], running.step),
      );
      ui.model.set(
        "drawn",
        running.z.flatMap((z) => [...softmax(z)]),
      );
      if (running.step >= STEPS) return stop();
      timer = setTimeout(advance, 0);
    }

    /* A stroke of the mouse lifts or lowers the nearer atom. */
    let last = null;
    ui.drag(board, {
      pick: (px, py) => {
        if (px < -0.5 || px > n - 0.5 || py < 0) return null;
        const atoms = atomsNow();
        const i = clamp(Math.round(px), 0, n - 1);
        const near = [0, 1].map((s) => Math.abs(atoms[s][i] - py));
        const by = [0, 1].map((s) =>
          Math.abs(x.reduce((sum, v, j) => sum + v * atoms[s][j], 0) - px),
        );
        return near[0] + 0.002 * by[0] <= near[1] + 0.002 * by[1] ? 0 : 1;
      },
      move: (s, px, py) => {
        stop();
        const atoms = atomsNow();
        const i = clamp(Math.round(px), 0, n - 1);
        const from = last ?? i;
        const height = Math.max(py, 1e-7);
        for (let j = Math.min(from, i); j <= Math.max(from, i); j++) atoms[s][j] = height;
        last = i;
        ui.set({ drawn: atoms.flatMap((p) => [...normalized(p)]) });
      },
      drop: () => {
        last = null;
      },
    });

    return () => {
      const atoms = atomsNow();
      const key = atoms.flatMap((p) => [...p]).join();
      if (known?.key !== key) known = { key, fits: explain(atoms) };
      const { fits } = known;
      const mine = fits.reduce((s, f) => s + f.loss, 0) / fits.length;
      const example = clamp(Math.round(ui.get("example")), 1, data.length) - 1;
      if (running) history = [...history, mine].slice(-STEPS);
      learn.textContent = running ? "Stop" : "Let it learn";

      const top = 1.2 * Math.max(...data.flatMap((p) => [...p]), 0.11);
      board.begin({
        x: [0, n - 1],
        y: [0, top],
        title: "Twelve histograms, two atoms",
        yLabel: "mass per bin",
        xLabel: "bin",
        yTicks: false,
        legend: [
          ["data", { colour: "muted" }],
          ["atom A", { colour: "red", dash: "dash", fill: "red" }],
          ["atom B", { colour: "green", dash: "dot", fill: "green" }],
        ],
      });
      for (const p of data) board.curve(x, p, { colour: "muted", width: 1, alpha: 0.55 });
      atoms.forEach((p, s) => {
        const shown = p.map((v) => Math.min(v, top));
        board.area(x, shown, { colour: COLOURS[s], alpha: 0.25 });
        board.curve(x, shown, { colour: COLOURS[s], dash: LINES[s], width: 2.4 });
      });

      if (identical(atoms))
        board.label(
          "A and B, one on the other",
          atoms[0].indexOf(Math.max(...atoms[0])),
          Math.min(top, Math.max(...atoms[0])),
          { dy: -0.8, bold: true },
        );

      const { P, t, loss } = fits[example];
      one.begin({
        x: [0, n - 1],
        y: [0, top],
        title: `Histogram ${example + 1}`,
        xLabel: "bin",
        yTicks: false,
        legend: [
          ["data", { colour: "ink", dash: "dash" }],
          ["your atoms", { colour: "blue", fill: "blue" }],
        ],
      });
      one.area(x, P, { colour: "blue", alpha: 0.3 });
      one.curve(x, P, { colour: "blue" });
      one.curve(x, data[example], { colour: "ink", dash: "dash", width: 1.6 });

      const bars = [
        ["your atoms", mine, "blue"],
        ...rivals.map((v, k) => [["PCA, 2", "NMF, 2"][k], v, "muted"]),
      ];
      const most = Math.max(0.5, ...bars.map(([, v]) => v));
      score.begin({
        x: [0, 1.05 * most],
        y: [bars.length, 0],
        title: "Mean error",
        yLabel: "L1",
        xTicks: false,
        yTicks: bars.map(([name], k) => [k + 0.5, name]),
        grid: false,
      });
      bars.forEach(([, v, colour], k) => {
        score.box(0, k + 0.2, v, k + 0.8, { fill: colour, alpha: 0.7 });
        score.label(fixed(v, 3), v, k + 0.5, {
          align: v > 0.7 * most ? "right" : "left",
          dx: v > 0.7 * most ? -0.3 : 0.3,
          bold: true,
          patch: true,
        });
      });

      const state = running ? `Learning, step ${running.step} of ${STEPS}. ` : "";
      const last = identical(atoms)
        ? "Both atoms are the same, so every weight gives the same answer and both are " +
          "pulled alike: learning cannot part them."
        : `Histogram ${example + 1} is best with ${fixed(t, 2)} of atom B: ` +
          `error ${fixed(loss, 3)}.`;
      return (
        `${state}Mean error of your atoms: ${fixed(mine, 3)} (L1; 2 is the worst). ` +
        `PCA with two components: ${fixed(rivals[0], 3)}, NMF: ` +
        `${fixed(rivals[1], 3)}. ${last}`
      );
    };
  },
);
