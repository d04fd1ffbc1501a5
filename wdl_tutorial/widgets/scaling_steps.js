// @ts-check
/* Chapter 3: scale the columns, scale the rows, again and again, and watch the plan form. */

import {
  allFinite,
  columnSums,
  costMatrix,
  denseKernel,
  l1,
  linspace,
  normalized,
  plan,
  rowSums,
  sinkhornHalfSteps,
  sum,
} from "./transport.js";
import { number } from "./draw.js";
import { demo, fixed, percent } from "./shell.js";

const N = 40;
const x = linspace(0, N - 1, N);
const COST = costMatrix(x, x, 2);
const bump = (mean, std) => x.map((v) => Math.exp(-0.5 * ((v - mean) / std) ** 2));
const P = normalized(bump(8, 3).map((v, i) => v + 0.7 * bump(22, 3)[i] + 0.004));
const Q = normalized(bump(28, 5).map((v) => v + 0.004));
const EPS = Array.from({ length: 13 }, (_, k) => 2 ** k);
const ENOUGH = 0.01;
const LIMIT = 20000;

/* Presses until the margin that was not just fixed is wrong by less than 1 % of the mass. */
function pressesNeeded(eps) {
  const kernel = denseKernel(COST, N, N, eps);
  const product = new Float64Array(N);
  let k = 0;
  for (const { u, v } of sinkhornHalfSteps(P, Q, kernel)) {
    k++;
    const columns = k % 2 === 1;
    if (columns) kernel.apply(v, product);
    else kernel.applyT(u, product);
    const off = product.reduce(
      (s, y, i) => s + Math.abs(y * (columns ? u : v)[i] - (columns ? P : Q)[i]),
      0,
    );
    if (off < ENOUGH || k >= LIMIT || !Number.isFinite(off)) return Number.isFinite(off) ? k : NaN;
  }
}

function planAfter(presses, eps) {
  const kernel = denseKernel(COST, N, N, eps);
  if (presses === 0) return normalized(kernel.K);
  const steps = sinkhornHalfSteps(P, Q, kernel);
  let state;
  for (let k = 0; k < presses; k++) state = steps.next().value;
  return plan(state, COST, eps);
}

export default demo(
  { name: "scaling-steps", title: "Fix the columns, fix the rows", keys: ["presses", "eps"] },
  (ui) => {
    const [map, curve] = ui.row(
      {
        label: "The plan, with its column sums above and its row sums at the left",
        height: (w, f) => Math.min(1.04 * w, 27 * f),
      },
      {
        label: "Presses needed at each eps",
        height: (w, f) => Math.min(0.75 * w, 27 * f),
        share: 0.8,
      },
    );
    ui.slider("presses", {
      label: "presses so far",
      min: 0,
      max: 120,
      step: 1,
      text: (v) => String(v),
    });
    ui.slider("eps", {
      label: "eps: each step halves or doubles it",
      values: EPS,
      text: (v) => `${number(v)} bins\u00b2`,
    });
    const press = ui.button("", () => ui.set({ presses: Math.min(120, ui.get("presses") + 1) }));
    const needed = EPS.map(pressesNeeded);

    return () => {
      const presses = Math.round(ui.get("presses"));
      const eps = ui.get("eps");
      const T = planAfter(presses, eps);
      const fine = allFinite(T);
      const rows = rowSums(T, N, N);
      const columns = columnSums(T, N, N);
      const offRows = l1(rows, P);
      const offColumns = l1(columns, Q); // L1, as the counter counts
      press.textContent = presses % 2 === 0 ? "Press: fix the columns" : "Press: fix the rows";
      press.disabled = presses >= 120;

      const most = Math.max(...T);
      const reach = 0.3 * N;
      const scale = (0.85 * reach) / Math.max(...P, ...Q);
      const short = (name, off) =>
        off < 0.0005 ? `${name} fixed` : `${name} ${percent(off, 1)} off`;
      map.begin({
        x: [-reach, N],
        y: [N, -reach],
        title: "The plan",
        yLabel: `${short("columns", offColumns)}, ${short("rows", offRows)}`,
        xTicks: false,
        yTicks: false,
        square: true,
      });
      map.image(
        T.map((v) => Math.sqrt(v / most)),
        N,
        N,
        { colour: "blue", corners: [0, 0, N, N] },
      );
      map.box(0, 0, N, N, { stroke: "muted" });
      for (let i = 0; i < N; i++) {
        const right = [Math.abs(rows[i] - P[i]), Math.abs(columns[i] - Q[i])].map(
          (gap) => gap < 2e-4,
        );
        map.box(-Math.min(rows[i] * scale, reach), i + 0.1, 0, i + 0.9, {
          fill: right[0] ? "green" : "orange",
          alpha: 0.85,
        });
        map.box(i + 0.1, -Math.min(columns[i] * scale, reach), i + 0.9, 0, {
          fill: right[1] ? "green" : "orange",
          alpha: 0.85,
        });
      }
      stairs(map, Q, scale, false);
      stairs(map, P, scale, true);
      const mark = (off) => (off < 0.0005 ? "as they should be" : `${percent(off, 1)} off (L1)`);
      curve.begin({
        x: [Math.log2(EPS[0]) - 0.3, Math.log2(EPS[12]) + 0.3],
        y: [0, Math.log10(LIMIT) + 0.2],
        title: "Presses until 1 % is left",
        xLabel: "eps (bins\u00b2), doubling",
        xTicks: [0, 3, 6, 9, 12].map((k) => [k, String(2 ** k)]),
        yTicks: [0, 1, 2, 3, 4].map((k) => [k, number(10 ** k)]),
      });
      const known = EPS.map((e, k) => [Math.log2(e), needed[k]]).filter(([, n]) =>
        Number.isFinite(n),
      );
      curve.curve(
        known.map(([e]) => e),
        known.map(([, n]) => Math.log10(n)),
        { colour: "blue", dash: "dot", width: 1.5 },
      );
      for (const [e, n] of known) curve.dot(e, Math.log10(n), { colour: "blue", radius: 3 });
      const here = needed[EPS.indexOf(eps)];
      if (Number.isFinite(here)) {
        curve.dot(Math.log2(eps), Math.log10(here), { colour: "red", radius: 6, shape: "square" });
        curve.label(atLeast(here), Math.log2(eps), Math.log10(here), {
          colour: "red",
          bold: true,
          dx: 1,
          dy: -0.9,
          align: "left",
        });
      }
      if (!fine)
        return (
          `eps = ${number(eps)}: exp(\u2212cost/eps) underflowed and a sum became ` +
          "0. Take a larger eps."
        );
      const product = T.reduce((s, v, k) => s + Math.abs(v - P[Math.floor(k / N)] * Q[k % N]), 0);
      const line = rowSpread(T);
      const form =
        product < 0.02
          ? ` The plan is p q\u1d40 to within ${percent(product, 1)}: every source feeds ` +
            "every target alike."
          : ` In a row, the middle half of the mass is about ${fixed(line, 1)} bins wide.`;
      const said =
        presses === 0
          ? "No press yet: this is exp(\u2212cost/eps), scaled to mass one."
          : `After ${presses} ${presses === 1 ? "press" : "presses"} ` +
            `(${presses % 2 ? "columns" : "rows"} last) the columns are ` +
            `${mark(offColumns)}, the rows ${mark(offRows)}.`;
      const wanted = Number.isFinite(here)
        ? `At eps = ${number(eps)} it takes ${atLeast(here)} presses until 1 % is left.`
        : "";
      return `${said} ${wanted}${form}`;
    };
  },
);

const atLeast = (n) => (n >= LIMIT ? `more than ${number(LIMIT)}` : number(n));

function stairs(plot, target, scale, turned) {
  const along = [];
  const height = [];
  for (let i = 0; i < target.length; i++) {
    along.push(i, i + 1);
    height.push(-target[i] * scale, -target[i] * scale);
  }
  plot.curve(turned ? height : along, turned ? along : height, { colour: "ink", width: 1.4 });
}

/* How many bins wide the middle half of a row's mass is, averaged over the mass. */
function rowSpread(T) {
  let total = 0;
  for (let i = 0; i < N; i++) {
    const row = T.subarray(i * N, (i + 1) * N);
    const mass = sum(row);
    let c = 0;
    let lo = 0;
    let hi = 0;
    for (let j = 0; j < N; j++) {
      const next = c + row[j] / mass;
      if (c < 0.25 && next >= 0.25) lo = j + (0.25 - c) / (next - c);
      if (c < 0.75 && next >= 0.75) hi = j + (0.75 - c) / (next - c);
      c = next;
    }
    total += mass * (hi - lo);
  }
  return total / sum(T);
}
