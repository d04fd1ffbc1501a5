// @ts-check
/* Fractions of a few spectra in a pixel by least squares, exactly: every subset of the spectra
 * is tried as the one that is used, which for three or four spectra is quick and cannot stop
 * halfway.
 */

/* Solve A z = b for a small dense system, by elimination with pivots; null if A is singular. */
export function solve(A, b) {
  const n = b.length;
  const M = A.map((row, i) => [...row, b[i]]);
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(M[i][k]) > Math.abs(M[pivot][k])) pivot = i;
    if (Math.abs(M[pivot][k]) < 1e-300) return null;
    [M[k], M[pivot]] = [M[pivot], M[k]];
    for (let i = k + 1; i < n; i++) {
      const factor = M[i][k] / M[k][k];
      for (let j = k; j <= n; j++) M[i][j] -= factor * M[k][j];
    }
  }
  const z = new Array(n).fill(0);
  for (let k = n - 1; k >= 0; k--) {
    let s = M[k][n];
    for (let j = k + 1; j < n; j++) s -= M[k][j] * z[j];
    z[k] = s / M[k][k];
  }
  return z;
}

const dot = (x, y) => {
  let s = 0;
  for (let i = 0; i < x.length; i++) s += x[i] * y[i];
  return s;
};

/* min |pixel - sum_k z_k spectrum_k| over z >= 0, and with `sumToOne` over the simplex. */
export function fractions(pixel, spectra, sumToOne) {
  return solver(
    spectra.map((s) => spectra.map((t) => dot(s, t))),
    sumToOne,
  )(spectra.map((s) => dot(s, pixel)));
}

/* The same for many pixels: from the products of the spectra with each other, `gram`, a function
 * of the products of the spectra with a pixel, `right`. The system of each subset is inverted
 * once.
 */
export function solver(gram, sumToOne) {
  const m = gram.length;
  const guesses = [];
  for (let used = sumToOne ? 1 : 0; used < 2 ** m; used++) {
    const on = [...Array(m).keys()].filter((k) => (used >> k) & 1);
    const A = on.map((i) => on.map((j) => gram[i][j]));
    if (sumToOne) {
      // a Lagrange multiplier for the sum
      A.forEach((row) => row.push(1));
      A.push([...on.map(() => 1), 0]);
    }
    const columns = A.map((_, j) =>
      solve(
        A,
        A.map((_, i) => (i === j ? 1 : 0)),
      ),
    );
    if (columns.every((column) => column !== null)) guesses.push({ on, columns });
  }
  return (right) => {
    let best = null;
    let least = Infinity;
    for (const { on, columns } of guesses) {
      const n = on.length;
      const full = new Array(m).fill(0);
      let allowed = true;
      let value = 0;
      for (let i = 0; i < n && allowed; i++) {
        let z = sumToOne ? columns[n][i] : 0;
        for (let j = 0; j < n; j++) z += columns[j][i] * right[on[j]];
        full[on[i]] = z;
        allowed = z >= 0;
      }
      if (!allowed) continue;
      for (let i = 0; i < m; i++) {
        value -= 2 * full[i] * right[i];
        for (let j = 0; j < m; j++) value += full[i] * full[j] * gram[i][j];
      }
      if (value < least) {
        least = value;
        best = full;
      }
    }
    return best;
  };
}

export const fcls = (pixel, spectra) => fractions(pixel, spectra, true);
export const nnls = (pixel, spectra) => fractions(pixel, spectra, false);
