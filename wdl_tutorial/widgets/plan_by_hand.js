// @ts-check
/* Chapter 2: six piles of blocks to be moved, by hand. */

import { quantileSegments } from "./transport.js";
import { demo, element, list } from "./shell.js";

const N = 6;
const SOURCE = [3, 2, 2, 1, 0, 0];
const TARGET = [0, 0, 1, 2, 2, 3];
const TOTAL = 8;
const BINS = [0, 1, 2, 3, 4, 5];
const sumsOf = (T) => [
  BINS.map((i) => BINS.reduce((s, j) => s + T[i * N + j], 0)),
  BINS.map((j) => BINS.reduce((s, i) => s + T[i * N + j], 0)),
];
const costOf = (T, power) =>
  T.reduce((s, v, k) => s + v * Math.abs(Math.floor(k / N) - (k % N)) ** power, 0);

function cheapest() {
  const T = new Array(N * N).fill(0);
  const { mass, start, end } = quantileSegments(SOURCE, TARGET, BINS);
  mass.forEach((m, k) => {
    T[start[k] * N + end[k]] += Math.round(m * TOTAL);
  });
  return T;
}

export default demo(
  { name: "plan-by-hand", title: "Move the blocks yourself", keys: ["plan", "power", "adding"] },
  (ui) => {
    const picture = ui.panelOf({
      label: "The blocks and where each goes",
      height: (w, f) => 15 * f,
    });
    const table = blocksTable(ui);
    const accept = (T) =>
      T.length === N * N &&
      T.every((v) => Number.isInteger(v) && v >= 0) &&
      sumsOf(T)[0].every((r, i) => r <= SOURCE[i])
        ? T
        : null;
    ui.controls.set("plan", [{ show() {}, accept }]);
    ui.choice("power", {
      label: "a block moved d bins costs",
      options: [
        [1, "d"],
        [2, "d\u00b2"],
      ],
    });
    ui.choice("adding", {
      label: "a click on a cell",
      options: [
        [true, "adds a block"],
        [false, "takes one away"],
      ],
    });
    const buttons = element("div", { class: "wdl-buttons" });
    ui.panel.append(buttons);
    ui.button("Clear", () => ui.set({ plan: new Array(N * N).fill(0) }), { into: buttons });
    ui.button("Show the plan that never crosses", () => ui.set({ plan: cheapest() }), {
      into: buttons,
    });

    return () => {
      const T = ui.get("plan");
      const power = ui.get("power");
      const [rows, columns] = sumsOf(T);
      const best = costOf(cheapest(), power);
      const cost = costOf(T, power);
      const price = power === 1 ? "d" : "d\u00b2";
      table.show(T, rows, columns);
      drawBlocks(picture, T, rows, columns);
      const placed = T.reduce((s, v) => s + v, 0);
      const over = BINS.filter((j) => columns[j] > TARGET[j]);
      const done =
        placed === TOTAL && over.length === 0 && BINS.every((i) => rows[i] === SOURCE[i]);
      const costs =
        `Cost so far ${cost}; the cheapest full plan costs ${best}, ` + `at the price ${price}.`;
      if (over.length)
        return (
          `${placed} of ${TOTAL} blocks placed, but too many at ` +
          `${list(over.map((j) => `bin ${j}`))}: take some away. ${costs}`
        );
      if (!done)
        return (
          `${placed} of ${TOTAL} blocks placed; ` +
          `${rows.filter((r, i) => r === SOURCE[i]).length} of 6 rows and ` +
          `${columns.filter((c, j) => c === TARGET[j]).length} of 6 columns are ` +
          `right. ${costs}`
        );
      const same = cheapest().every((v, k) => v === T[k]);
      if (cost > best)
        return (
          `All blocks are placed, every sum is right. It costs ${cost}; the ` +
          `cheapest plan costs ${best}, at the price ${price}. Some routes cross ` +
          "that should not."
        );
      const routes = same
        ? "No two routes cross."
        : "It is a second plan of the same cost: some of its routes cross.";
      return (
        `All blocks are placed, and nothing is cheaper: cost ${cost} at the price ` +
        `${price}. ${routes}`
      );
    };
  },
);

/* The plan as a table of buttons: arrows move between cells, Enter or Space or + adds, Backspace
 * or - takes away.
 */
function blocksTable(ui) {
  const change = (k, by) => {
    const T = [...ui.get("plan")];
    const [rows] = sumsOf(T);
    const i = Math.floor(k / N);
    if (by > 0 && rows[i] >= SOURCE[i]) return ui.say(`Bin ${i} has no block left to send.`);
    if (T[k] + by >= 0) {
      T[k] += by;
      ui.set({ plan: T });
    }
  };
  const cells = [];
  const move = (k, event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: N, ArrowUp: -N }[event.key];
    const next = k + (step ?? 0);
    const across = Math.abs(step) === 1;
    if (
      step &&
      next >= 0 &&
      next < N * N &&
      (!across || Math.floor(next / N) === Math.floor(k / N))
    )
      focus(next);
    else if (["+", "="].includes(event.key)) change(k, 1);
    else if (["-", "Backspace", "Delete"].includes(event.key)) change(k, -1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const focus = (k) => {
    cells.forEach((cell, j) => {
      cell.tabIndex = j === k ? 0 : -1;
    });
    cells[k].focus();
  };
  const head = element(
    "tr",
    {},
    element("th", { scope: "col" }, "from\u2193 to\u2192"),
    ...BINS.map((j) => element("th", { scope: "col" }, `${j}`)),
    element("th", { scope: "col" }, "sum"),
  );
  const rowSums = BINS.map(() => element("td", { class: "wdl-sum" }));
  const columnSums = BINS.map(() => element("td", { class: "wdl-sum" }));
  const body = BINS.map((i) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, `${i}`),
      ...BINS.map((j) => {
        const k = i * N + j;
        const cell = element("button", {
          type: "button",
          class: "wdl-cell",
          tabindex: k ? "-1" : "0",
          "data-lm-suppress-shortcuts": "true",
          onclick: () => change(k, ui.get("adding") ? 1 : -1),
          oncontextmenu: (event) => {
            event.preventDefault();
            change(k, -1);
          },
          onkeydown: (event) => move(k, event),
        });
        cells.push(cell);
        return element("td", {}, cell);
      }),
      rowSums[i],
    ),
  );
  const foot = element(
    "tr",
    {},
    element("th", { scope: "row" }, "sum"),
    ...columnSums,
    element("td", {}),
  );
  const node = element(
    "table",
    { class: "wdl-blocks", "data-lm-suppress-shortcuts": "true" },
    element(
      "caption",
      { class: "wdl-hidden" },
      "The plan: how many blocks go from each bin to each bin",
    ),
    head,
    ...body,
    foot,
  );
  ui.root.insertBefore(node, ui.panel);
  return {
    show(T, rows, columns) {
      cells.forEach((cell, k) => {
        const [i, j] = [Math.floor(k / N), k % N];
        cell.textContent = T[k] || "\u00b7";
        cell.classList.toggle("wdl-full-cell", T[k] > 0);
        cell.setAttribute("aria-label", `from bin ${i} to bin ${j}: ${T[k]}`);
      });
      const sum = (cell, now, goal) => {
        cell.textContent = `${now === goal ? "\u2713" : now > goal ? "!" : ""}${now}/${goal}`;
        cell.className = `wdl-sum ${now === goal ? "wdl-right" : now > goal ? "wdl-wrong" : ""}`;
      };
      BINS.forEach((i) => {
        sum(rowSums[i], rows[i], SOURCE[i]);
        sum(columnSums[i], columns[i], TARGET[i]);
      });
    },
  };
}

function drawBlocks(plot, T, rows, columns) {
  plot.begin({
    x: [-0.7, 5.7],
    y: [-4.6, 7.9],
    title: "Blocks and routes",
    xLabel: "position (bins)",
    xTicks: BINS.map((i) => [i, String(i)]),
    yTicks: false,
  });
  plot.label("from", 5.7, 5.3, { align: "right", colour: "muted", patch: false });
  plot.label("to", -0.7, -1.5, { align: "left", colour: "muted", patch: false });
  BINS.forEach((i) => {
    for (let b = 0; b < SOURCE[i]; b++)
      plot.box(i - 0.22, 4.9 + b, i + 0.22, 5.8 + b, {
        stroke: "ink",
        fill: b < SOURCE[i] - rows[i] ? "sky" : null,
        width: 1.2,
      });
    for (let b = 0; b < Math.max(TARGET[i], columns[i]); b++)
      plot.box(i - 0.22, -1 - b, i + 0.22, -1.9 - b, {
        stroke: b < TARGET[i] ? "ink" : "red",
        fill: b < columns[i] ? (b < TARGET[i] ? "sky" : "red") : null,
        width: 1.2,
        dash: b < TARGET[i] ? "solid" : "dot",
      });
  });
  T.forEach((count, k) => {
    if (!count) return;
    const [i, j] = [Math.floor(k / N), k % N];
    plot.segment(i, 4.6, j, -0.8, { colour: "blue", width: 1.5 + 1.6 * count, alpha: 0.75 });
    if (count > 1)
      plot.label(String(count), i + 0.3 * (j - i), 4.6 - 0.3 * 5.4, { bold: true, scale: 0.9 });
  });
}
