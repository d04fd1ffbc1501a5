// @ts-check
/* What LAND does with labels, and a random walk on a graph of neighbours: the numbers of chapter
 * 15's demos.
 */

/* Of every point the first of itself, its parent, its parent's parent, ... that is labelled; -1
 * if none is.
 */
export function labelledAncestors(parents, labelled) {
  const n = parents.length;
  const source = new Int32Array(n).fill(-2);
  const path = []; // -2: not known yet
  for (const i of labelled) source[i] = i;
  for (let i = 0; i < n; i++) {
    let at = i;
    while (at >= 0 && source[at] === -2) {
      path.push(at);
      at = parents[at];
    }
    const found = at < 0 ? -1 : source[at];
    while (path.length) source[path.pop()] = found;
  }
  return source;
}

/* From which labelled point each point takes its label (-1 where nothing is labelled): its
 * nearest labelled ancestor, and without one the nearest labelled point by `coordinates` (dims
 * numbers for each point, row by row), the first of equals.
 */
export function labelSources(parents, coordinates, dims, labelled) {
  const source = labelledAncestors(parents, labelled);
  if (!labelled.length) return source;
  for (let i = 0; i < source.length; i++) {
    if (source[i] >= 0) continue;
    let best = Infinity;
    for (const j of labelled) {
      let d = 0;
      for (let c = 0; c < dims; c++)
        d += (coordinates[i * dims + c] - coordinates[j * dims + c]) ** 2;
      if (d < best) {
        best = d;
        source[i] = j;
      }
    }
  }
  return source;
}

/* The symmetric graph of n points that each name their k neighbours, (W + W') / 2 with weights
 * 1, by rows; `shares` are its weights divided by the degree of the column: P'.
 */
export function neighborGraph(neighbors, n, k) {
  const rows = Array.from({ length: n }, () => new Map());
  const add = (i, j) => rows[i].set(j, (rows[i].get(j) ?? 0) + 0.5);
  for (let i = 0; i < n; i++)
    for (let c = 0; c < k; c++) {
      const j = neighbors[i * k + c];
      add(i, j);
      add(j, i);
    }
  const starts = new Int32Array(n + 1);
  const degrees = new Float64Array(n);
  rows.forEach((row, i) => {
    starts[i + 1] = starts[i] + row.size;
    for (const w of row.values()) degrees[i] += w;
  });
  const columns = new Int32Array(starts[n]);
  const shares = new Float64Array(starts[n]);
  let e = 0;
  for (const row of rows)
    for (const [j, w] of row) {
      columns[e] = j;
      shares[e++] = w / degrees[j];
    }
  return { n, starts, columns, shares, degrees };
}

/* One step of the walk, p <- P' p: what stands at j is shared among its neighbours by weight. */
export function step({ n, starts, columns, shares }, p) {
  const next = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let sum = 0;
    for (let e = starts[i], end = starts[i + 1]; e < end; e++) sum += shares[e] * p[columns[e]];
    next[i] = sum;
  }
  return next;
}

/* The chance that a fair walk on a line is k or -k after t steps, for k = 0, 1, ... as far as
 * that is above 1e-10.
 */
export function chebyshevWeights(t) {
  const logs = new Float64Array(t + 1);
  const weights = [];
  for (let k = 1; k <= t; k++) logs[k] = logs[k - 1] + Math.log(k);
  for (let k = 0; k <= t; k++) {
    const up = (t + k) / 2;
    const even = (t - k) % 2 === 0;
    const w = even ? (k ? 2 : 1) * Math.exp(logs[t] - logs[up] - logs[t - up] - t * Math.LN2) : 0;
    if (even && w < 1e-10 && k > 1) break;
    weights.push(w);
  }
  const total = weights.reduce((s, w) => s + w, 0);
  return weights.map((w) => w / total);
}

/* A walk from one point, at any time. at(t) is where it is after t steps, a distribution over
 * the points.
 *
 * x^t = E[T_|S|(x)], with Chebyshev's polynomials T and the place S of a fair walk on a line
 * after t steps: about 7 sqrt(t) products with P' give the walk at t and at all earlier times.
 * They are kept.
 */
export function walkFrom(graph, start) {
  const first = new Float64Array(graph.n);
  first[start] = 1;
  const terms = [first];
  const further = () => {
    const k = terms.length;
    const moved = step(graph, terms[k - 1]);
    if (k > 1) {
      const before = terms[k - 2];
      for (let i = 0; i < moved.length; i++) moved[i] = 2 * moved[i] - before[i];
    }
    terms.push(moved);
  };
  return {
    at(t) {
      const weights = chebyshevWeights(t);
      const p = new Float64Array(graph.n);
      while (terms.length < weights.length) further();
      weights.forEach((w, k) => {
        if (w > 0) {
          const term = terms[k];
          for (let i = 0; i < p.length; i++) p[i] += w * term[i];
        }
      });
      return p.map((v) => Math.max(0, v)); // the sum rounds below zero where the ink has not come
    },
  };
}

/* ---- the score of a race as eight letters: how many clicks, three accuracies in tenths of a
 * percent, and a check ----
 */

// no I, L, O or U: they are read as something else
const LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const checkOf = (digits) => digits.reduce((s, d, k) => (s + (k + 1) * d) % 31, 0);

export function encodeScore(clicks, shares) {
  const value = [...shares.map((v) => Math.round(1000 * v))].reduce(
    (s, v) => s * 1001 + v,
    Math.min(clicks, 15),
  );
  const digits = [6, 5, 4, 3, 2, 1, 0].map((k) => Math.floor(value / 32 ** k) % 32);
  const code = [...digits, checkOf(digits)].map((d) => LETTERS[d]).join("");
  return `${code.slice(0, 4)}-${code.slice(4)}`;
}

/* { clicks, shares } of a code as a neighbour reads it out, or null if it was misread. */
export function decodeScore(text) {
  const plain = text.toUpperCase().replace(/[\s-]/g, "").replace(/O/g, "0").replace(/[IL]/g, "1");
  const digits = [...plain].map((letter) => LETTERS.indexOf(letter));
  if (digits.length !== 8 || digits.includes(-1) || checkOf(digits.slice(0, 7)) !== digits[7])
    return null;
  let value = digits.slice(0, 7).reduce((s, d) => 32 * s + d, 0);
  const shares = [];
  for (let k = 0; k < 3; k++) {
    shares.unshift((value % 1001) / 1000);
    value = Math.floor(value / 1001);
  }
  return { clicks: value, shares };
}
