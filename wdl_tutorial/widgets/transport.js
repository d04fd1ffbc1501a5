// @ts-check
/* The numbers behind the sliders: transport and barycenters, in plain JavaScript on
 * Float64Array.
 *
 * The same conventions as the Python package, and held to it by tests/test_widgets.py: Sinkhorn
 * runs eq. (4) of Schmitz et al. (2018) from scalings of one, columns (q) first and rows (p)
 * last; a barycenter runs (6)-(8) from b = 1 for exactly the asked number of iterations. A
 * kernel has two methods, apply(x, out) and applyT(x, out); in the "log" domain operands and
 * results are logarithms. Nothing here throws on underflow: callers ask allFinite() and say so.
 */

export const filled = (n, value) => new Float64Array(n).fill(value);
export const sum = (x) => {
  let s = 0;
  for (let i = 0; i < x.length; i++) s += x[i];
  return s;
};
export const allFinite = (x) => {
  for (let i = 0; i < x.length; i++) if (!Number.isFinite(x[i])) return false;
  return true;
};
export const linspace = (lo, hi, n) =>
  Float64Array.from({ length: n }, (_, i) => lo + ((hi - lo) * i) / (n - 1));
export const normalized = (x) => {
  const s = sum(x);
  return Float64Array.from(x, (v) => v / s);
};
export const gaussian = (x, mean, std) =>
  normalized(Float64Array.from(x, (v) => Math.exp(-0.5 * ((v - mean) / std) ** 2)));

export function mean(p, x) {
  let s = 0;
  let m = 0;
  for (let i = 0; i < p.length; i++) {
    s += p[i];
    m += p[i] * x[i];
  }
  return m / s;
}

export function standardDeviation(p, x) {
  const m = mean(p, x);
  let s = 0;
  let v = 0;
  for (let i = 0; i < p.length; i++) {
    s += p[i];
    v += p[i] * (x[i] - m) ** 2;
  }
  return Math.sqrt(v / s);
}

/* Indices of the local maxima that rise by `share` of the largest entry above the valleys
 * between them and anything as high; beyond the ends lies nothing. Of equal neighbours the first
 * counts.
 */
export function peaks(p, share = 0.05) {
  const least = share * Math.max(...p);
  const found = [];
  const n = p.length;
  for (let i = 0; i < n; i++) {
    let left = i - 1;
    let right = i + 1;
    let lowLeft = p[i];
    let lowRight = p[i];
    while (left >= 0 && p[left] < p[i]) lowLeft = Math.min(lowLeft, p[left--]);
    while (right < n && p[right] <= p[i]) lowRight = Math.min(lowRight, p[right++]);
    if (p[i] - Math.max(left < 0 ? 0 : lowLeft, right === n ? 0 : lowRight) > least) found.push(i);
  }
  return found;
}

/* ---- Averages of heights and of positions ---- */

export function linearMixture(atoms, weights) {
  const out = filled(atoms[0].length, 0);
  atoms.forEach((atom, s) => {
    for (let i = 0; i < out.length; i++) out[i] += weights[s] * atom[i];
  });
  return out;
}

function cumulative(p) {
  const c = new Float64Array(p.length);
  let s = 0;
  for (let i = 0; i < p.length; i++) c[i] = s += p[i];
  for (let i = 0; i < p.length; i++) c[i] /= s;
  return c;
}

/* The monotone plan between two histograms whose mass sits on the positions x: pieces of mass
 * with where each starts and ends. Optimal for every cost |x - y|**power with power >= 1.
 */
export function quantileSegments(p, q, x) {
  const cp = cumulative(p);
  const cq = cumulative(q);
  const mass = [];
  const start = [];
  const end = [];
  let i = 0;
  let j = 0;
  let level = 0;
  const last = p.length - 1;
  while (level < 1 - 1e-15 && i <= last && j <= last) {
    const next = Math.min(cp[i], cq[j], 1);
    if (next - level > 1e-15) {
      mass.push(next - level);
      start.push(x[i]);
      end.push(x[j]);
    }
    level = Math.max(level, next);
    if (cp[i] <= next) i++;
    if (cq[j] <= next) j++;
  }
  const total = sum(mass);
  return { mass: mass.map((m) => m / total), start, end };
}

export function wasserstein1d(p, q, x, power = 2) {
  const { mass, start, end } = quantileSegments(p, q, x);
  let cost = 0;
  for (let k = 0; k < mass.length; k++) cost += mass[k] * Math.abs(start[k] - end[k]) ** power;
  return cost;
}

/* Where `level` of the mass lies to the left, each bin i spread evenly over [i, i + 1). */
export function quantile(p, level) {
  const c = cumulative(p);
  let i = 0;
  while (i < p.length - 1 && c[i] < level) i++;
  while (i > 0 && p[i] === 0) i--;
  const before = i ? c[i - 1] : 0;
  return p[i] ? i + Math.min(1, Math.max(0, (level - before) / (c[i] - before))) : i;
}

/* The average of positions at t, exact for histograms whose bins hold their mass evenly: each
 * piece of mass between two levels is an interval in p and one in q, and lands evenly on the
 * average of the two intervals.
 */
export function displacedHistogram(p, q, t) {
  const n = p.length;
  const cp = cumulative(p);
  const cq = cumulative(q);
  const out = filled(n, 0);
  const inside = (c, i, level) => {
    const b = i ? c[i - 1] : 0;
    return i + (level - b) / (c[i] - b);
  };
  let i = 0;
  let j = 0;
  let level = 0;
  while (level < 1 - 1e-15 && i < n && j < n) {
    const next = Math.min(cp[i], cq[j], 1);
    const mass = next - level;
    if (mass > 1e-15) {
      const lo = (1 - t) * inside(cp, i, level) + t * inside(cq, j, level);
      const hi = (1 - t) * inside(cp, i, next) + t * inside(cq, j, next);
      spread(out, lo, hi, mass);
    }
    level = Math.max(level, next);
    if (cp[i] <= next) i++;
    if (cq[j] <= next) j++;
  }
  return out;
}

function spread(out, lo, hi, mass) {
  const n = out.length;
  const width = hi - lo;
  const first = Math.max(0, Math.min(n - 1, Math.floor(lo)));
  const last = Math.max(0, Math.min(n - 1, Math.ceil(hi) - 1));
  if (last <= first || width < 1e-12) {
    out[first] += mass;
    return;
  }
  for (let k = first; k <= last; k++)
    out[k] += (mass * (Math.min(hi, k + 1) - Math.max(lo, k))) / width;
}

/* ---- Costs and Gibbs kernels ---- */

export function costMatrix(x, y, power) {
  const cost = new Float64Array(x.length * y.length);
  for (let i = 0, k = 0; i < x.length; i++)
    for (let j = 0; j < y.length; j++, k++) {
      const gap = Math.abs(x[i] - y[j]);
      cost[k] = power === 2 ? gap * gap : power === 1 ? gap : gap ** power;
    }
  return cost;
}

/* Width that exp(-|x - y|**power / eps) blurs, in the units of the axis, and its inverse. */
export const blurWidth = (eps, power) => (eps / power) ** (1 / power);
export const epsForBlur = (width, power) => power * width ** power;

function transposed(A, n, m) {
  const out = new Float64Array(n * m);
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) out[j * n + i] = A[i * m + j];
  return out;
}

/* K as a matrix, and its transpose: both products are then sums along rows, which is what a
 * processor likes.
 */
export function denseKernel(cost, n, m, eps) {
  const K = Float64Array.from(cost, (c) => Math.exp(-c / eps));
  const KT = transposed(K, n, m);
  const times = (A, rows, cols) => (x, out) => {
    for (let i = 0, k = 0; i < rows; i++) {
      let s = 0;
      for (let j = 0; j < cols; j++, k++) s += A[k] * x[j];
      out[i] = s;
    }
    return out;
  };
  return { domain: "kernel", n, m, eps, K, apply: times(K, n, m), applyT: times(KT, m, n) };
}

/* out = A B for square matrices, 4 rows and 2 columns at a time: five times as fast as the three
 * plain loops.
 */
function product(A, B, out, n) {
  for (let r = 0; r + 3 < n; r += 4)
    for (let c = 0; c + 1 < n; c += 2) {
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      let t0 = 0;
      let t1 = 0;
      let t2 = 0;
      let t3 = 0;
      for (let k = 0, a = r * n, b = c; k < n; k++, a++, b += n) {
        const x = B[b];
        const y = B[b + 1];
        const w0 = A[a];
        const w1 = A[a + n];
        const w2 = A[a + 2 * n];
        const w3 = A[a + 3 * n];
        s0 += w0 * x;
        t0 += w0 * y;
        s1 += w1 * x;
        t1 += w1 * y;
        s2 += w2 * x;
        t2 += w2 * y;
        s3 += w3 * x;
        t3 += w3 * y;
      }
      const o = r * n + c;
      out[o] = s0;
      out[o + 1] = t0;
      out[o + n] = s1;
      out[o + n + 1] = t1;
      out[o + 2 * n] = s2;
      out[o + 2 * n + 1] = t2;
      out[o + 3 * n] = s3;
      out[o + 3 * n + 1] = t3;
    }
  for (let r = 0; r < n; r++)
    // what the blocks left over
    for (let c = r < n - (n % 4) ? n - (n % 2) : 0; c < n; c++) {
      let s = 0;
      for (let k = 0; k < n; k++) s += A[r * n + k] * B[k * n + c];
      out[r * n + c] = s;
    }
}

/* exp(-gap |i - j| / eps) on a regular line in linear time: two running sums that decay from bin
 * to bin.
 */
export function lineKernel(n, gap, eps) {
  const decay = Math.exp(-gap / eps);
  const apply = (x, out) => {
    let carry = 0;
    for (let i = 0; i < n; i++) out[i] = carry = carry * decay + x[i];
    carry = 0;
    for (let i = n - 1; i >= 0; i--) {
      out[i] += carry;
      carry = (carry + x[i]) * decay;
    }
    return out;
  };
  return { domain: "kernel", n, m: n, eps, apply, applyT: apply };
}

/* Separable cost on a size x size image (C order), the sum of |gap|**power over the two axes: K
 * is one small matrix on each side. For power 1 the two products are running sums.
 */
export function gridKernel(size, power, eps) {
  const n = size;
  const work = new Float64Array(n * n);
  const decay = Math.exp(-1 / eps);
  const axis = linspace(0, n - 1, n);
  const K = denseKernel(costMatrix(axis, axis, power), n, n, eps).K;
  const running = (x, out, stride, step) => {
    // along one axis: cells are `stride` apart, lines `step`
    for (let line = 0; line < n; line++) {
      let carry = 0;
      let i = line * step;
      for (let k = 0; k < n; k++, i += stride) out[i] = carry = carry * decay + x[i];
      carry = 0;
      for (let k = 0; k < n; k++) {
        i -= stride;
        out[i] += carry;
        carry = (carry + x[i]) * decay;
      }
    }
  };
  const apply = (x, out) => {
    if (power === 1) {
      running(x, work, 1, n);
      running(work, out, n, 1);
    } else {
      product(K, x, work, n);
      product(work, K, out, n);
    }
    return out;
  };
  return { domain: "kernel", n: n * n, m: n * n, eps, apply, applyT: apply };
}

/* The log domain: apply(x) = log(K exp(x)), with the largest exponent taken out of each sum. */
export function logKernel(cost, n, m, eps) {
  const exponent = Float64Array.from(cost, (c) => -c / eps);
  const reduce = (count, size, at, x, out) => {
    for (let i = 0; i < count; i++) {
      let top = -Infinity;
      for (let j = 0; j < size; j++) top = Math.max(top, exponent[at(i, j)] + x[j]);
      if (top === -Infinity) {
        out[i] = top;
        continue;
      }
      let s = 0;
      for (let j = 0; j < size; j++) s += Math.exp(exponent[at(i, j)] + x[j] - top);
      out[i] = Math.log(s) + top;
    }
    return out;
  };
  return {
    domain: "log",
    n,
    m,
    eps,
    apply: (x, out) => reduce(n, m, (i, j) => i * m + j, x, out),
    applyT: (x, out) => reduce(m, n, (j, i) => i * m + j, x, out),
  };
}

/* ---- Sinkhorn ---- */

/* One half of eq. (4): the scaling that mends one marginal, target / product; relaxed by the
 * power theta.
 */
function rescale(target, product, log, theta, out) {
  for (let i = 0; i < out.length; i++) {
    if (log) out[i] = target[i] > 0 ? theta * (Math.log(target[i]) - product[i]) : -Infinity;
    else {
      const r = target[i] / product[i];
      out[i] = theta === 1 ? r : r ** theta;
    }
  }
  return out;
}

/**
 * Yields { u, v } after each half-iteration: columns, rows, columns, ... The arrays are reused.
 *
 * @returns {Generator<{ u: Float64Array, v: Float64Array }, never>}
 */
export function* sinkhornHalfSteps(p, q, kernel, { marginalWeight = null } = {}) {
  const log = kernel.domain === "log";
  const start = log ? 0 : 1;
  const theta = marginalWeight === null ? 1 : marginalWeight / (marginalWeight + kernel.eps);
  const u = filled(kernel.n, start);
  const v = filled(kernel.m, start);
  const ku = new Float64Array(kernel.m);
  const kv = new Float64Array(kernel.n);
  while (true) {
    rescale(q, kernel.applyT(u, ku), log, theta, v);
    yield { u, v };
    rescale(p, kernel.apply(v, kv), log, theta, u);
    yield { u, v };
  }
}

export function sinkhorn(p, q, kernel, nIter, options = {}) {
  const steps = sinkhornHalfSteps(p, q, kernel, options);
  let state = {
    u: filled(kernel.n, kernel.domain === "log" ? 0 : 1),
    v: filled(kernel.m, kernel.domain === "log" ? 0 : 1),
  };
  for (let k = 0; k < 2 * nIter; k++) state = steps.next().value;
  return state;
}

/* T = diag(u) K diag(v), row-major. */
export function plan({ u, v }, cost, eps, domain = "kernel") {
  const n = u.length;
  const m = v.length;
  const T = new Float64Array(n * m);
  for (let i = 0, k = 0; i < n; i++)
    for (let j = 0; j < m; j++, k++)
      T[k] =
        domain === "log"
          ? Math.exp(u[i] + v[j] - cost[k] / eps)
          : u[i] * Math.exp(-cost[k] / eps) * v[j];
  return T;
}

export function rowSums(T, n, m) {
  const out = new Float64Array(n);
  for (let i = 0, k = 0; i < n; i++) for (let j = 0; j < m; j++, k++) out[i] += T[k];
  return out;
}

export function columnSums(T, n, m) {
  const out = new Float64Array(m);
  for (let i = 0, k = 0; i < n; i++) for (let j = 0; j < m; j++, k++) out[j] += T[k];
  return out;
}

export function l1(x, y) {
  let s = 0;
  for (let i = 0; i < x.length; i++) s += Math.abs(x[i] - y[i]);
  return s;
}

/* ---- Barycenters ---- */

/* Logarithm of the weighted mean of exp(logPhi) over the atoms: geometric for kappa = 0, else of
 * power kappa, written around the geometric mean through expm1 and log1p so that it keeps its
 * digits as kappa goes to 0.
 */
function logMean(logPhi, weights, kappa, i) {
  let middle = 0;
  let total = 0;
  for (let s = 0; s < weights.length; s++) {
    middle += weights[s] === 0 ? 0 : weights[s] * logPhi[s][i];
    total += weights[s];
  }
  if (kappa === 0) return middle;
  middle *= kappa / total;
  let top = -Infinity;
  for (let s = 0; s < weights.length; s++)
    if (weights[s] > 0) top = Math.max(top, kappa * logPhi[s][i]);
  let near = 0;
  let far = 0;
  for (let s = 0; s < weights.length; s++) {
    if (weights[s] === 0) continue;
    near += (weights[s] / total) * Math.expm1(kappa * logPhi[s][i] - middle);
    far += (weights[s] / total) * Math.exp(kappa * logPhi[s][i] - top);
  }
  return (middle + (top - middle < 30 ? Math.log1p(near) : Math.log(far) + top - middle)) / kappa;
}

/**
 * Yields { a, b, kb, phi, histogram, bias } after each iteration of (6)-(8), as Python's
 * barycenter_steps and barycenter_log_steps do. The arrays are reused from one iteration to the
 * next: copy what you keep.
 *
 * @returns {Generator<any, never>}
 */
export function* barycenterSteps(
  atoms,
  weights,
  kernel,
  { marginalWeight = null, debiased = false } = {},
) {
  const S = atoms.length;
  const n = kernel.n;
  const log = kernel.domain === "log";
  const theta = marginalWeight === null ? 1 : marginalWeight / (marginalWeight + kernel.eps);
  const kappa = marginalWeight === null ? 0 : kernel.eps / (marginalWeight + kernel.eps);
  const each = (value) => atoms.map(() => filled(n, value));
  const a = each(0);
  const b = each(log ? 0 : 1);
  const kb = each(0);
  const phi = each(0);
  const logPhi = log ? phi : each(0);
  const histogram = filled(n, 0);
  const logP = filled(n, 0);
  const bias = debiased ? filled(n, log ? 0 : 1) : null;
  const kd = filled(n, 0);
  while (true) {
    for (let s = 0; s < S; s++) {
      rescale(atoms[s], kernel.apply(b[s], kb[s]), log, theta, a[s]); // (6)
      kernel.applyT(a[s], phi[s]);
      if (!log) for (let i = 0; i < n; i++) logPhi[s][i] = Math.log(phi[s][i]);
    }
    for (let i = 0; i < n; i++) logP[i] = logMean(logPhi, weights, kappa, i); // (7)
    if (debiased) {
      kernel.apply(bias, kd);
      for (let i = 0; i < n; i++) {
        logP[i] += log ? bias[i] : Math.log(bias[i]);
        bias[i] = log
          ? (bias[i] + logP[i] - kd[i]) / 2
          : Math.sqrt((bias[i] * Math.exp(logP[i])) / kd[i]);
      }
    }
    for (let i = 0; i < n; i++) histogram[i] = Math.exp(logP[i]);
    for (let s = 0; s < S; s++)
      for (let i = 0; i < n; i++) {
        // (8)
        const r = log ? logP[i] - phi[s][i] : histogram[i] / phi[s][i];
        b[s][i] = log ? theta * r : theta === 1 ? r : r ** theta;
      }
    yield { a, b, kb, phi, histogram, bias };
  }
}

/* P^(L): exactly nIter iterations from b = 1. */
export function barycenter(atoms, weights, kernel, nIter, options = {}) {
  const steps = barycenterSteps(atoms, weights, kernel, options);
  let state;
  for (let l = 0; l < nIter; l++) state = steps.next().value;
  return state.histogram;
}

/* The histograms of iterations 1 to nIter and, going back, the gradients of <grad, P^(L)> in
 * atoms and weights: Schmitz et al. (2018), Proposition 1 and Algorithm 1, in the kernel domain.
 * `gradAt` maps P^(L) to dloss/dP^(L).
 */
export function barycenterGradient(atoms, weights, kernel, nIter, gradAt) {
  const S = atoms.length;
  const n = kernel.n;
  const tape = [];
  const copy = (arrays) => arrays.map((x) => Float64Array.from(x));
  const steps = barycenterSteps(atoms, weights, kernel);
  for (let l = 0; l < nIter; l++) {
    const { b, kb, phi, histogram } = steps.next().value;
    tape.push({
      b: copy(b),
      kb: copy(kb),
      phi: copy(phi),
      histogram: Float64Array.from(histogram),
    });
  }
  const histogram = tape[nIter - 1].histogram;
  const grad = gradAt(histogram);
  const gradAtoms = atoms.map(() => filled(n, 0));
  const gradWeights = new Float64Array(S);
  const films = [];
  let pBar = Float64Array.from(grad, (g, i) => g * histogram[i]); // adjoint of log P
  let bBar = atoms.map(() => filled(n, 0)); // adjoint of log b
  const work = filled(n, 0);
  const c = filled(n, 0);
  for (let l = nIter - 1; l >= 0; l--) {
    const { kb, phi } = tape[l];
    const next = [];
    for (let s = 0; s < S; s++) {
      for (let i = 0; i < n; i++) {
        if (phi[s][i] > 0) gradWeights[s] += Math.log(phi[s][i]) * pBar[i];
        work[i] = (weights[s] * pBar[i] - bBar[s][i]) / phi[s][i];
      }
      kernel.apply(work, c);
      for (let i = 0; i < n; i++) {
        c[i] /= kb[s][i];
        gradAtoms[s][i] += c[i];
        work[i] = (atoms[s][i] * c[i]) / kb[s][i];
      }
      const back = kernel.applyT(work, new Float64Array(n));
      for (let i = 0; i < n; i++) back[i] *= -(l ? tape[l - 1].b[s][i] : 1);
      next.push(back);
    }
    films.unshift(copy(gradAtoms));
    bBar = next;
    pBar = new Float64Array(n);
    for (let s = 0; s < S; s++) for (let i = 0; i < n; i++) pBar[i] += bBar[s][i];
  }
  return { histogram, layers: tape.map((t) => t.histogram), gradAtoms, gradWeights, films };
}
