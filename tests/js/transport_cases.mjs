/* Runs the numbers of the sliders on problems from Python: node transport_cases.mjs FOLDER <
 * problems.json > answers.json
 *
 * FOLDER is wdl_tutorial/widgets; its modules are imported as the text they are, as a page does.
 * A problem names a function of `CASES`; its answer is what JSON can hold, with numbers that are
 * not finite as null.
 */
import { readFileSync } from "node:fs";

const load = (name) =>
  import(
    `data:text/javascript;base64,${readFileSync(`${process.argv[2]}/${name}`).toString("base64")}`
  );
const T = await load("transport.js");
const L = await load("leastsquares.js");
const floats = (rows) => rows.map((row) => Float64Array.from(row));
const line = ({ positions, power }) => T.costMatrix(positions, positions, power);

function kernelOf(problem) {
  const { positions, eps, domain = "kernel", kind = "dense" } = problem;
  const n = positions.length;
  if (kind === "line") return T.lineKernel(n, positions[1] - positions[0], eps);
  return domain === "log"
    ? T.logKernel(line(problem), n, n, eps)
    : T.denseKernel(line(problem), n, n, eps);
}

const CASES = {
  sinkhorn({ p, q, n_iter, marginal_weight, ...problem }) {
    const { u, v } = T.sinkhorn(p, q, kernelOf(problem), n_iter, {
      marginalWeight: marginal_weight ?? null,
    });
    return {
      u: [...u],
      v: [...v],
      plan: [...T.plan({ u, v }, line(problem), problem.eps, problem.domain)],
    };
  },
  barycenter({ atoms, weights, n_iter, marginal_weight, debiased, ...problem }) {
    const options = { marginalWeight: marginal_weight ?? null, debiased: debiased ?? false };
    return [...T.barycenter(floats(atoms), weights, kernelOf(problem), n_iter, options)];
  },
  grid({ atoms, weights, n_iter, size, power, eps }) {
    return [...T.barycenter(floats(atoms), weights, T.gridKernel(size, power, eps), n_iter)];
  },
  gradient({ atoms, weights, n_iter, target, ...problem }) {
    const rule = (P) => P.map((v, i) => 2 * (v - target[i]));
    const { gradAtoms, gradWeights, histogram } = T.barycenterGradient(
      floats(atoms),
      weights,
      kernelOf(problem),
      n_iter,
      rule,
    );
    return {
      atoms: gradAtoms.map((g) => [...g]),
      weights: [...gradWeights],
      histogram: [...histogram],
    };
  },
  segments({ p, q, positions }) {
    return T.quantileSegments(p, q, positions);
  },
  wasserstein({ p, q, positions, power }) {
    return T.wasserstein1d(p, q, positions, power);
  },
  displaced({ p, q, t }) {
    return [...T.displacedHistogram(Float64Array.from(p), Float64Array.from(q), t)];
  },
  fractions({ pixel, spectra, sum_to_one }) {
    return L.fractions(pixel, spectra, sum_to_one);
  },
  fractions_from({ gram, right, sum_to_one }) {
    return L.solver(gram, sum_to_one)(right);
  },
  peaks({ p, share }) {
    return T.peaks(Float64Array.from(p), share);
  },
};

let text = "";
for await (const part of process.stdin) text += part;
console.log(JSON.stringify(JSON.parse(text).map(({ run, ...problem }) => CASES[run](problem))));
