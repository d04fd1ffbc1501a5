"""One table beside the peers that install from a registry: CPU seconds to an error of 1e-6 in the marginals, peer over ours.

Every row runs ours and a peer by turns; medians of the ratios, with their ranges. Above 1 we are faster. A peer without a
stopping rule of that kind (torch, POT) is told how many iterations the plain fixed point takes, which is the same for all;
OTT-JAX stops by its own rule at the same threshold, compiled beforehand, in float64; geomloss anneals and is as exact as it
is. OTT-JAX and geomloss are measured where they can be imported (python -m pip install ott-jax geomloss).

    python benchmarks/bench_peers.py             prints, and compares with benchmarks/recorded_peers.json
    python benchmarks/bench_peers.py --record    writes that file anew, its table and its drawing for the book
    python benchmarks/bench_peers.py --only NAME the rows whose name holds NAME
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import ot
import torch
from harness import peak_mb, peak_of
from sklearn.decomposition import NMF

import wdl_tutorial as wt

HERE = Path(__file__).resolve().parent
RECORD, TABLE = HERE / "recorded_peers.json", HERE / "recorded_peers.md"
DRAWING = HERE.parent / "book" / "images" / "peers.svg"
ROUNDS, CHANGE, TOL, EPS = 5, 0.25, 1e-6, 1e-2
LONG, LONGEST = 1.0, 5.0  # CPU seconds: a row with a side that takes longer has three rounds, or the first alone
OTT, GEOMLOSS = (importlib.util.find_spec(name) is not None for name in ("ott", "geomloss"))

Row = tuple[str, str, Callable, Callable]  # problem, peer, ours, theirs


def cpu(function: Callable) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


# ------------------------------------------------------------------------------- the plainest good torch code: one panel


def torch_sinkhorn(p, q, product, n_iter, share=1.0):
    """``product()`` makes the kernel, for all start from a cost; ``share`` is rho / (rho + eps) of relaxed marginals."""
    p, q = (torch.tensor(z) for z in (p, q))

    def run():
        times, u = product(), torch.ones_like(p)
        for _ in range(n_iter):
            v = (q / times(u)) ** share
            u = (p / times(v)) ** share
        return u, v

    return run


def torch_barycenter(atoms, weights, product, n_iter):
    d, w = (torch.tensor(z) for z in (atoms, weights))

    def run():
        times = product()
        b = torch.ones((len(w), *d.shape), dtype=d.dtype)
        for _ in range(n_iter):
            phi = times(d / times(b))
            p = torch.exp((w[..., None] * torch.log(phi)).sum(1))
            b = p[:, None] / phi
        return p

    return run


def torch_log(p, q, cost, eps, n_iter):
    p, q, scaled = (torch.tensor(z) for z in (np.log(p), np.log(q), -cost / eps))

    def run():
        f = torch.zeros_like(p)
        for _ in range(n_iter):
            g = q - torch.logsumexp(scaled + f[:, :, None], 1)
            f = p - torch.logsumexp(scaled + g[:, None, :], 2)
        return f, g

    return run


def matrix(cost, eps):
    cost = torch.tensor(cost)

    def product():
        kernel = torch.exp(-cost / eps)
        return lambda x: x @ kernel

    return product


def separable(side, eps):
    """The kernel of a square image: one of a line for each axis."""
    cost = torch.tensor(wt.cost_matrix(np.linspace(0, 1, side)))

    def product():
        kernel = torch.exp(-cost / eps)
        return lambda x: (kernel @ x.reshape(*x.shape[:-1], side, side) @ kernel).reshape(x.shape)

    return product


# ------------------------------------------------------------------------------------------------------------- OTT-JAX


def ott_sinkhorn(p, q, geometry, *, log, tau=1.0):
    """A batch is a compiled loop: mapped over at once (vmap) it took fifteen times as long."""
    import jax
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    solver = sinkhorn.Sinkhorn(threshold=TOL, max_iterations=20_000, lse_mode=log)

    def one(a, b):
        return solver(linear_problem.LinearProblem(geometry(), a, b, tau_a=tau, tau_b=tau)).f

    solve = jax.jit(one if p.ndim == 1 else lambda a, b: jax.lax.map(lambda pair: one(*pair), (a, b)))
    p, q = jax.numpy.asarray(p), jax.numpy.asarray(q)
    return lambda: jax.block_until_ready(solve(p, q))


def ott_matrix(cost, eps):
    from ott.geometry import geometry

    return lambda: geometry.Geometry(cost, epsilon=eps)


def ott_grid(side, eps):
    import jax.numpy as jnp
    from ott.geometry import grid

    line = jnp.linspace(0, 1, side)
    return lambda: grid.Grid(x=[line, line], epsilon=eps)


# ------------------------------------------------------------------------------------------------------------- the rows


def bumps(n: int, seed: int = 0) -> np.ndarray:
    x, rng = np.linspace(0, 1, 200), np.random.default_rng(seed)
    return wt.normalize(np.exp(-0.5 * ((x - rng.uniform(0.2, 0.8, (n, 1))) / 0.05) ** 2) + 1e-3)


def blots(n: int, side: int) -> np.ndarray:
    return wt.normalize(np.random.default_rng(0).random((n, side * side)) ** 8 + 1e-3)


LINE, COST = wt.GridCost(200, spacing=1 / 199), wt.cost_matrix(np.linspace(0, 1, 200))


def sinkhorn_rows() -> Iterator[Row]:
    """Two histograms of 200 bins, one pair or many."""
    for n in (1, 100, 1000):
        p, q, name = bumps(n), bumps(n, 1), f"Sinkhorn, 200 bins x {n}"
        k = wt.sinkhorn(p, q, LINE, eps=EPS, tol=TOL, acceleration=None).n_iter
        one, other = (p[0], q[0]) if n == 1 else (p, q)

        def ours(one=one, other=other):
            return wt.sinkhorn(one, other, LINE, eps=EPS, tol=TOL)

        yield name, "torch", ours, torch_sinkhorn(p, q, matrix(COST, EPS), k)
        yield (
            name,
            "POT",
            ours,
            lambda p=p, q=q, k=k: [ot.sinkhorn(a, b, COST, EPS, numItermax=k, stopThr=0) for a, b in zip(p, q)],
        )
        if OTT and n < 1000:
            yield name, "OTT-JAX", ours, ott_sinkhorn(one, other, ott_matrix(COST, EPS), log=False)
    if GEOMLOSS:
        from geomloss import SamplesLoss

        p, q, points = bumps(1)[0], bumps(1, 1)[0], torch.linspace(0, 1, 200, dtype=torch.float64)[:, None]
        loss = SamplesLoss("sinkhorn", p=2, blur=(EPS / 2) ** 0.5, debias=False)  # its cost is |x - y|^2 / 2
        given = torch.tensor(p), points, torch.tensor(q), points
        yield (
            "Sinkhorn, 200 bins x 1",
            "geomloss",
            lambda: wt.sinkhorn(p, q, LINE, eps=EPS, tol=TOL),
            lambda: loss(*given),
        )


def log_rows() -> Iterator[Row]:
    """The same in the log domain, at an eps where the kernel domain has no digits left."""
    eps = 1e-3
    for n in (1, 100):
        p, q, name = bumps(n), bumps(n, 1), f"Sinkhorn, log domain, 200 bins x {n}"
        k = wt.sinkhorn(p, q, LINE, eps=eps, tol=TOL, domain="log", acceleration=None).n_iter
        one, other = (p[0], q[0]) if n == 1 else (p, q)

        def ours(one=one, other=other):
            return wt.sinkhorn(one, other, LINE, eps=eps, tol=TOL, domain="log")

        if n == 1:  # a hundred take torch minutes: ten thousand exponentials times a hundred, each round
            yield name, "torch", ours, torch_log(p, q, COST, eps, k)
            yield (
                name,
                "POT",
                ours,
                lambda p=one, q=other, k=k: ot.sinkhorn(p, q, COST, eps, "sinkhorn_log", numItermax=k, stopThr=0),
            )
        if OTT:
            yield name, "OTT-JAX", ours, ott_sinkhorn(one, other, ott_matrix(COST, eps), log=True)


def unbalanced_rows() -> Iterator[Row]:
    """Marginals at a price of 1, of unequal masses."""
    rho, share = 1.0, 1.0 / (1.0 + EPS)
    for n in (1, 100):
        p, q, name = bumps(n), 1.5 * bumps(n, 1), f"unbalanced Sinkhorn, 200 bins x {n}"
        k = wt.sinkhorn(p, q, LINE, eps=EPS, tol=TOL, marginal_weight=rho, acceleration=None).n_iter
        one, other = (p[0], q[0]) if n == 1 else (p, q)

        def ours(one=one, other=other):
            return wt.sinkhorn(one, other, LINE, eps=EPS, tol=TOL, marginal_weight=rho)

        yield name, "torch", ours, torch_sinkhorn(p, q, matrix(COST, EPS), k, share)
        if n == 1:
            yield (
                name,
                "POT",
                ours,
                lambda p=one, q=other, k=k: ot.unbalanced.sinkhorn_unbalanced(
                    p, q, COST, EPS, rho, reg_type="entropy", numItermax=k, stopThr=0
                ),
            )
        if OTT:
            yield name, "OTT-JAX", ours, ott_sinkhorn(one, other, ott_matrix(COST, EPS), log=False, tau=share)


def barycenter_rows() -> Iterator[Row]:
    """Barycenters of three atoms of 200 bins."""
    atoms = bumps(3)
    for n in (1, 100, 1000):
        weights, name = np.random.default_rng(0).dirichlet(np.ones(3), n), f"barycenter, 200 bins x {n}"
        k = wt.barycenter(atoms, weights, LINE, eps=EPS, tol=TOL, acceleration=None).n_iter
        given = weights[0] if n == 1 else weights

        def ours(w=given):
            return wt.barycenter(atoms, w, LINE, eps=EPS, tol=TOL)

        yield name, "torch", ours, torch_barycenter(atoms, weights, matrix(COST, EPS), k)
        if n < 1000:
            yield (
                name,
                "POT",
                ours,
                lambda w=weights, k=k: [
                    ot.bregman.barycenter(atoms.T.copy(), COST, EPS, one, numItermax=k, stopThr=0) for one in w
                ],
            )


def image_rows() -> Iterator[Row]:
    """Square images: two of them, and the barycenter of three."""
    weights = np.array([0.2, 0.3, 0.5])
    for side in (64, 128):
        images, square = blots(3, side), wt.GridCost((side, side), spacing=1 / (side - 1))
        product = separable(side, EPS)
        p, q = images[0], images[1]
        name = f"Sinkhorn, {side} x {side}"
        k = wt.sinkhorn(p, q, square, eps=EPS, tol=TOL, acceleration=None).n_iter

        def ours(p=p, q=q, square=square):
            return wt.sinkhorn(p, q, square, eps=EPS, tol=TOL)

        yield name, "torch", ours, torch_sinkhorn(p[None], q[None], product, k)
        if OTT:
            yield name, "OTT-JAX", ours, ott_sinkhorn(p, q, ott_grid(side, EPS), log=False)
        name = f"barycenter, {side} x {side}"
        k = wt.barycenter(images, weights, square, eps=EPS, tol=TOL, acceleration=None).n_iter

        def mean(images=images, square=square):
            return wt.barycenter(images, weights, square, eps=EPS, tol=TOL)

        yield name, "torch", mean, torch_barycenter(images, weights[None], product, k)
        yield (
            name,
            "POT",
            mean,
            lambda images=images, side=side, k=k: ot.bregman.convolutional_barycenter2d(
                images.reshape(3, side, side), EPS, weights, numItermax=k, stopThr=0
            ),
        )


def linear_rows() -> Iterator[Row]:
    """What a model that moves mass costs beside one that does not: four atoms of 200 spectra."""
    X = wt.barycenter(bumps(4), np.random.default_rng(0).dirichlet(np.ones(4), 200), LINE, eps=5e-3, tol=1e-7).histogram
    X = wt.normalize(X)
    model = wt.WassersteinDictionary(4, cost=LINE, eps=5e-3, n_iter=50, max_iter=50, tol=None, random_state=0)
    nmf = NMF(4, init="nndsvda", max_iter=1000, random_state=0)
    yield "a dictionary, 4 atoms of 200 spectra", "NMF", lambda: model.fit(X), lambda: nmf.fit(X)


def rows() -> Iterator[Row]:
    if OTT:
        import jax

        jax.config.update("jax_enable_x64", True)
    for group in (sinkhorn_rows, log_rows, unbalanced_rows, barycenter_rows, image_rows, linear_rows):
        yield from group()


# ----------------------------------------------------------------------------------------------------------- the record

MEMORY = {"barycenter, 200 bins x 1000": "torch", "barycenter, 128 x 128": "POT", "Sinkhorn, 128 x 128": "OTT-JAX"}


def memory() -> dict[str, dict[str, float]]:
    """Peak memory beyond the imports and the data, in MB: ours, and one peer's."""
    found = {}
    for problem, peer in MEMORY.items():
        if peer != "OTT-JAX" or OTT:
            found[problem] = {who: round(peak_of(__file__, f"--peak={problem}={who}"), 1) for who in ("ours", peer)}
    return found


def peak(problem: str, who: str) -> None:
    """One side of one row, in this process; prints how far it raised the peak."""
    for name, peer, ours, theirs in rows():
        if name == problem and peer == (MEMORY[problem] if who == "ours" else who):
            Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak counts from here
            before = peak_mb()
            (ours if who == "ours" else theirs)()
            print(peak_mb() - before)
            return


def measure(only: str) -> dict[str, dict]:
    table: dict[str, dict] = {}
    for problem, peer, ours, theirs in rows():
        name = f"{problem}, {peer}"
        if only not in name:
            continue
        pairs = [(cpu(ours), cpu(theirs))]  # which warms both up, and compiles
        if max(pairs[0]) < LONGEST:
            pairs = [(cpu(ours), cpu(theirs)) for _ in range(3 if max(pairs[0]) > LONG else ROUNDS)]
        ratios = sorted(b / max(a, 1e-9) for a, b in pairs)
        table[name] = {
            "ratio": float(f"{statistics.median(ratios):.3g}"),
            "range": [float(f"{r:.3g}") for r in (ratios[0], ratios[-1])],
            "rounds": len(pairs),
            "ours_ms": float(f"{1e3 * statistics.median(a for a, _ in pairs):.3g}"),
        }
        low, high = table[name]["range"]
        print(
            f"{name:52s} {table[name]['ratio']:8.3g}  ({low:.3g} to {high:.3g})   ours {table[name]['ours_ms']:.3g} ms",
            flush=True,
        )
    return table


def by_problem(table: dict[str, dict]) -> dict[str, dict[str, dict]]:
    """{problem: {peer: numbers}}"""
    found: dict[str, dict[str, dict]] = {}
    for name, row in table.items():
        problem, _, peer = name.rpartition(", ")
        found.setdefault(problem, {})[peer] = row
    return found


PEERS = ("POT", "torch", "OTT-JAX", "geomloss", "NMF")


def as_markdown(record: dict) -> str:
    lines = ["| Problem | ours, ms | " + " | ".join(PEERS) + " |", "|---|---|" + "---|" * len(PEERS)]
    for problem, held in by_problem(record["rows"]).items():
        ours = statistics.median(row["ours_ms"] for row in held.values())
        cells = [
            "{ratio:g} ({0:g} to {1:g})".format(*held[peer]["range"], **held[peer]) if peer in held else ""
            for peer in PEERS
        ]
        lines.append(f"| {problem} | {ours:.3g} | " + " | ".join(cells) + " |")
    lines += ["", "Peak memory beyond imports and data, MB:", ""]
    lines += [
        f"* {problem}: " + ", ".join(f"{who} {mb:g}" for who, mb in held.items())
        for problem, held in record["memory"].items()
    ]
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return "\n".join([*lines, "", f"Measured with {versions}; one thread of CPU, CPU seconds.", ""])


def draw(record: dict) -> None:
    """A dot for each ratio, on a logarithmic axis; right of the line we are faster."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "peers"
    problems = by_problem(record["rows"])
    figure = Figure(figsize=(8, 0.36 * len(problems) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    for place, peer in enumerate(PEERS):
        held = [(k, found[peer]) for k, found in enumerate(problems.values()) if peer in found]
        if held:
            y = [k + 0.13 * (place - 2) for k, _ in held]
            ratio = np.array([row["ratio"] for _, row in held])
            low, high = np.array([row["range"] for _, row in held]).T
            axes.errorbar(
                ratio, y, xerr=[ratio - low, high - ratio], fmt="osD^v"[place], color=f"C{place}", ms=5, label=peer
            )
    axes.axvline(1, color="black", linewidth=1)
    axes.set(xscale="log", xlabel="CPU seconds of the peer over ours (right of the line: we are faster)")
    axes.set_yticks(range(len(problems)), list(problems))
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="best", fontsize=8)
    figure.savefig(DRAWING, metadata={"Date": None})


def versions() -> dict[str, str]:
    names = ("numpy", "torch", "POT", "scikit-learn", "ott-jax", "jax", "geomloss")
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    asked = [a for a in sys.argv if a.startswith("--peak=")]
    if asked:
        peak(*asked[0].removeprefix("--peak=").rsplit("=", 1))
        return
    table = measure(sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else "")
    if "--record" in sys.argv:
        record = {"rows": table, "memory": {}, "versions": versions()}
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")  # what took minutes is kept first
        record["memory"] = memory()
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        TABLE.write_text(as_markdown(record), encoding="utf-8")
        draw(record)
        return
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))["rows"] if RECORD.exists() else {}
    slower = {k: (recorded[k]["ratio"], v["ratio"]) for k, v in table.items() if k in recorded}
    slower = {k: pair for k, pair in slower.items() if pair[1] < (1 - CHANGE) * pair[0]}
    for name, (before, now) in slower.items():
        print(f"SLOWER by more than a quarter: {name}, {before} recorded, {now} now")
    if not slower:
        print("no ratio fell by more than a quarter since the last record")


if __name__ == "__main__":
    main()
