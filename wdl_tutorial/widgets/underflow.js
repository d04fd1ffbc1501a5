// @ts-check
/* Chapter 5: the entries of exp(-cost/eps) on a line of numbers, and the wall behind which a
 * computer has only zero.
 */

import { costMatrix, linspace } from "./transport.js";
import { number, tenTo } from "./draw.js";
import { demo, fixed, list } from "./shell.js";

const N = 8;
const SOURCE = linspace(0, 7, N);
const TARGET = linspace(8, 15, N);
const COST = costMatrix(SOURCE, TARGET, 2);
const EPS = Array.from({ length: 27 }, (_, k) => Number((100 * 10 ** (-k / 8)).toPrecision(2)));
const KINDS = {
  float64: { store: (v) => v, wall: -307.65, zero: -323.3 },
  float32: { store: Math.fround, wall: -37.93, zero: -44.85 },
};

export default demo(
  { name: "underflow", title: "Where the numbers end", keys: ["eps", "precision", "logarithms"] },
  (ui) => {
    const line = ui.panelOf({
      label: "Every entry of exp(\u2212cost/eps), one lane per source bin",
      height: (w, f) => 24 * f,
    });
    ui.slider("eps", {
      label: "eps, in the units of the cost",
      values: [...EPS].reverse(),
      text: (v) => number(v, 2),
    });
    ui.choice("precision", {
      label: "numbers kept as",
      options: [
        ["float64", "float64"],
        ["float32", "float32"],
      ],
    });
    ui.toggle("logarithms", { label: "log domain: keep \u2212cost/eps instead" });

    return () => {
      const eps = ui.get("eps");
      const logarithms = ui.get("logarithms");
      const kind = KINDS[ui.get("precision")];
      const exponent = COST.map((c) => -c / eps);
      const lost = Array.from(exponent, (e) => !logarithms && kind.store(Math.exp(e)) === 0);
      const dead = [...SOURCE.keys()].filter((i) => lost.slice(i * N, (i + 1) * N).every(Boolean));
      const count = lost.filter(Boolean).length;

      const lowest = -COST[N - 1] / eps / Math.LN10;
      const FLOOR = logarithms ? Math.min(-420, 1.06 * lowest) : -420; // left end of the line
      const step = FLOOR < -500 ? 500 : 100;
      const ticks = [4, 3, 2, 1, 0].map((k) => -k * step).filter((v) => v > FLOOR);
      line.begin({
        x: [FLOOR, 12],
        y: [N - 0.4, -1.3],
        title: logarithms
          ? "Their logarithms, which is what is kept"
          : "Entries of exp(\u2212cost/eps)",
        xLabel: logarithms ? "power of ten of the entry" : "size of the entry",
        xTicks: ticks.map((v) => [v, logarithms ? fixed(v, 0) : v ? tenTo(v) : "1"]),
        yTicks: [...SOURCE.keys()].map((i) => [i, `bin ${i}`]),
        margin: { right: 7.2 * line.font },
      });
      for (const [name, k] of logarithms ? [] : Object.entries(KINDS)) {
        // logarithms know no wall
        const active = k === kind;
        if (active) {
          line.box(FLOOR, -0.5, k.zero, N - 0.5, { fill: "red", alpha: 0.12 });
          line.box(k.zero, -0.5, k.wall, N - 0.5, { fill: "orange", alpha: 0.3 });
        }
        line.segment(k.zero, -0.5, k.zero, N - 0.5, {
          colour: active ? "red" : "muted",
          width: active ? 3 : 1,
          dash: active ? "solid" : "dot",
        });
        line.label(`${name} ends`, k.zero, -0.9, {
          colour: active ? "red" : "muted",
          bold: active,
          scale: 0.92,
          dx: name === "float32" ? -1 : 0,
        });
      }
      for (let i = 0; i < N; i++) {
        if (dead.includes(i)) line.box(FLOOR, i - 0.45, 12, i + 0.45, { fill: "red", alpha: 0.18 });
        for (let j = 0; j < N; j++) {
          const at = exponent[i * N + j] / Math.LN10;
          const gone = lost[i * N + j];
          line.dot(Math.max(at, FLOOR + 6), i, {
            colour: gone ? "red" : "blue",
            radius: gone ? 3.5 : 4.2,
            shape: gone ? "cross" : "disc",
            alpha: gone ? 1 : 0.85,
          });
        }
        const terms = Array.from(exponent.slice(i * N, (i + 1) * N), (e) =>
          kind.store(Math.exp(e)),
        );
        const total = kind.store(terms.reduce((s, v) => kind.store(s + v), 0));
        const top = Math.max(...exponent.slice(i * N, (i + 1) * N));
        const logTotal =
          top +
          Math.log(exponent.slice(i * N, (i + 1) * N).reduce((s, e) => s + Math.exp(e - top), 0));
        const words = logarithms
          ? `log ${fixed(logTotal, logTotal < -999 ? 0 : 1)}`
          : total === 0
            ? "0, and 1/0"
            : number(total, 2);
        line.label(words, 12, i, {
          align: "left",
          dx: 0.7,
          colour: total === 0 && !logarithms ? "red" : "ink",
          bold: total === 0 && !logarithms,
          patch: false,
        });
      }
      line.label("sum of row", 12, -0.9, {
        align: "left",
        dx: 0.7,
        colour: "muted",
        patch: false,
        scale: 0.92,
      });

      const farthest = `bin ${SOURCE[0]} to bin ${TARGET[N - 1]}`;
      if (logarithms)
        return (
          `eps = ${number(eps, 2)}, log domain: what is kept is \u2212cost/eps, and ` +
          `the smallest, ${number(-COST[N - 1] / eps, 4)}, is an ordinary number. ` +
          "Nothing is lost at any eps."
        );
      if (count === 0)
        return (
          `eps = ${number(eps, 2)}: all ${N * N} entries survive. The smallest, ` +
          `about ${tenTo(Math.round(lowest))}, belongs to the pair that is farthest ` +
          `apart, ${farthest}.`
        );
      const loss =
        `eps = ${number(eps, 2)}: exp(\u2212cost/eps) underflowed to 0 in ` +
        `${count} of ${N * N} entries, the farthest pair (${farthest}) first.`;
      return dead.length
        ? `${loss} ${dead.length === 1 ? `Row ${dead[0]} is` : `Rows ${list(dead)} are`} ` +
            `all 0: scaling ${dead.length === 1 ? "it" : "them"} divides by 0, which gives ` +
            "infinity, and infinity times 0 is not a number."
        : `${loss} Every row still has a number in it, so no sum is 0 yet.`;
    };
  },
);
