"""The sliders: their numbers against the package's, their modules, their classes.

The JavaScript is run by Node.js; those tests are skipped where there is none.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_close, gaussian, random_histograms
from traitlets import TraitError

import wdl_tutorial as wt
from wdl_tutorial import barycenters, kernels, transport, widgets
from wdl_tutorial.scaling import Variant
from wdl_tutorial.widgets import source
from wdl_tutorial.widgets.shapes import clouded_scene, shaded_minerals

HERE = Path(__file__).resolve().parent
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
N_PROBLEMS = 200


def javascript(problems: list[dict], cases: str = "transport_cases.mjs") -> list:
    """The answers of transport.js, or of another file of cases."""
    run = subprocess.run(
        [NODE, str(HERE / "js" / cases), str(source.FOLDER)],
        input=json.dumps(problems, default=lambda a: np.asarray(a).tolist()),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


def nth(steps, n):
    return next(islice(steps, n - 1, None))


def first_underflow(cost: np.ndarray) -> float:
    """The eps at which the first entry of exp(-cost/eps) leaves the normal numbers of float64."""
    return float(cost.max() / -np.log(np.finfo(float).smallest_normal))


def random_problem(rng: np.random.Generator, n: int | None = None) -> dict:
    """Positions, cost power, histograms, and an eps between the first underflow and the range of the cost."""
    n = n or int(rng.integers(8, 40))
    positions = np.linspace(0, float(rng.uniform(0.5, 200)), n)
    power = int(rng.choice([1, 2]))
    cost = wt.cost_matrix(positions, power=power)
    eps = float(np.exp(rng.uniform(np.log(first_underflow(cost)), np.log(cost.max()))))
    m = int(rng.integers(2, 5))
    return {
        "positions": positions,
        "power": power,
        "eps": eps,
        "p": random_histograms(rng, n),
        "q": random_histograms(rng, n),
        "atoms": random_histograms(rng, m, n),
        "weights": random_histograms(rng, m),
        "n_iter": int(rng.integers(1, 60)),
    }


def sinkhorn_plan(problem: dict, domain: str, marginal_weight: float | None = None) -> np.ndarray:
    """The package's plan after exactly n_iter iterations."""
    cost = wt.cost_matrix(problem["positions"], power=problem["power"])
    kernel = kernels.gibbs_kernel(cost, problem["eps"], domain=domain)
    steps = transport.sinkhorn_log_steps if domain == "log" else transport.sinkhorn_steps
    u, v = nth(steps(problem["p"], problem["q"], kernel, marginal_weight=marginal_weight), problem["n_iter"])
    if domain == "log":
        return np.exp(u[:, None] + v[None, :] - cost / problem["eps"])
    return u[:, None] * np.exp(-cost / problem["eps"]) * v[None, :]


def package_barycenter(problem: dict, domain: str, **options) -> np.ndarray:
    cost = wt.cost_matrix(problem["positions"], power=problem["power"])
    kernel = kernels.gibbs_kernel(cost, problem["eps"], domain=domain)
    steps = barycenters.steps_of(problem["atoms"], problem["weights"], kernel, Variant(**options))
    return nth(steps, problem["n_iter"]).histogram


@pytest.fixture
def problems(rng) -> list[dict]:
    return [random_problem(rng) for _ in range(N_PROBLEMS)]


@needs_node
@pytest.mark.parametrize("domain, atol", [("kernel", 1e-12), ("log", 1e-9)])
def test_sinkhorn_in_javascript_is_the_packages(problems, domain, atol):
    answers = javascript([{"run": "sinkhorn", "domain": domain, **p} for p in problems])
    for problem, answer in zip(problems, answers):
        expected = sinkhorn_plan(problem, domain)
        assert_close(np.reshape(answer["plan"], expected.shape), expected, atol=atol)


@needs_node
@pytest.mark.parametrize("domain, atol", [("kernel", 1e-12), ("log", 1e-9)])
@pytest.mark.parametrize("debiased", [False, True])
def test_barycenters_in_javascript_are_the_packages(problems, domain, atol, debiased):
    answers = javascript([{"run": "barycenter", "domain": domain, "debiased": debiased, **p} for p in problems])
    for problem, answer in zip(problems, answers):
        assert_close(answer, package_barycenter(problem, domain, debiased=debiased), atol=atol)


@needs_node
@pytest.mark.parametrize("domain, atol", [("kernel", 1e-12), ("log", 1e-9)])
def test_unbalanced_problems_in_javascript_are_the_packages(problems, rng, domain, atol):
    # from almost free to almost balanced: rho 10^8 times eps is where a literal power mean loses its digits
    for problem in problems:
        problem["marginal_weight"] = problem["eps"] * 10.0 ** rng.uniform(-1, 8)
    plans = javascript([{"run": "sinkhorn", "domain": domain, **p} for p in problems])
    means = javascript([{"run": "barycenter", "domain": domain, **p} for p in problems])
    for problem, plan, mean in zip(problems, plans, means):
        weight = problem["marginal_weight"]
        expected = sinkhorn_plan(problem, domain, weight)
        assert_close(np.reshape(plan["plan"], expected.shape), expected, atol=atol * max(1.0, expected.sum()))
        expected = package_barycenter(problem, domain, marginal_weight=weight)
        assert_close(mean, expected, atol=atol * max(1.0, expected.sum()))


@needs_node
def test_the_linear_time_kernel_in_javascript_is_the_dense_one(problems):
    problems = [{**p, "power": 1, "eps": 0.05 * p["positions"][-1]} for p in problems[:50]]
    for problem, answer in zip(problems, javascript([{"run": "barycenter", "kind": "line", **p} for p in problems])):
        assert_close(answer, package_barycenter(problem, "kernel"), atol=1e-12)


@needs_node
@pytest.mark.parametrize("power", [1, 2])
def test_barycenters_of_images_in_javascript_are_the_packages(rng, power):
    # sizes on and off the blocks of four rows and two columns that the product is cut into
    problems = [
        {"size": n, "power": power, "eps": 3.0, "n_iter": 12, "atoms": random_histograms(rng, 3, n * n)}
        | {"weights": random_histograms(rng, 3)}
        for n in (4, 7, 9, 10, 32)
    ]
    for problem, answer in zip(problems, javascript([{"run": "grid", **p} for p in problems])):
        n = problem["size"]
        expected = wt.barycenter(
            problem["atoms"], problem["weights"], wt.GridCost((n, n), power=power), eps=3.0, n_iter=12
        )
        assert_close(answer, expected.histogram, atol=1e-12)


@needs_node
def test_gradients_in_javascript_are_the_slopes_of_the_packages_loss(rng):
    problem = random_problem(rng, n=12) | {"n_iter": 5, "target": random_histograms(rng, 12)}
    problem["eps"] = 0.05 * problem["positions"][-1] ** problem["power"]
    (answer,) = javascript([{"run": "gradient", **problem}])

    def loss(atoms, weights):
        moved = problem | {"atoms": atoms, "weights": weights}
        return float(np.sum((package_barycenter(moved, "kernel") - problem["target"]) ** 2))

    for name in ("atoms", "weights"):
        slopes, base = np.zeros_like(problem[name]), problem[name]
        for index in np.ndindex(base.shape):
            h = 1e-6 * (np.arange(base.size).reshape(base.shape) == np.ravel_multi_index(index, base.shape))
            up, down = problem | {name: base + h}, problem | {name: base - h}
            slopes[index] = (loss(up["atoms"], up["weights"]) - loss(down["atoms"], down["weights"])) / 2e-6
        assert_close(answer[name], slopes, atol=1e-7 * np.abs(slopes).max())


@needs_node
def test_quantile_plans_in_javascript_are_the_packages(problems):
    answers = javascript([{"run": "segments", **p} for p in problems])
    distances = javascript([{"run": "wasserstein", **p} for p in problems])
    for problem, answer, distance in zip(problems, answers, distances):
        expected = wt.displacement(problem["p"], problem["q"], problem["positions"])
        assert_close(answer["mass"], expected.mass, atol=1e-12)
        assert_close(answer["start"], expected.start, atol=1e-9)
        assert_close(answer["end"], expected.end, atol=1e-9)
        exact = wt.wasserstein_1d(problem["p"], problem["q"], problem["positions"], power=problem["power"])
        assert_close(distance, exact, rtol=1e-12)


@needs_node
def test_averages_of_positions_start_and_end_at_the_atoms_and_move_the_mean_evenly():
    p, q = gaussian(200, 50, 5), gaussian(200, 130, 10)
    ts = [0.0, 0.25, 0.5, 0.75, 1.0]
    averages = javascript([{"run": "displaced", "p": p, "q": q, "t": t} for t in ts])
    assert_close(averages[0], p, atol=1e-12)
    assert_close(averages[-1], q, atol=1e-12)
    assert_close([np.dot(a, np.arange(200)) for a in averages], [50, 70, 90, 110, 130], atol=1e-6)
    variances = [np.dot(a, np.arange(200) ** 2) - np.dot(a, np.arange(200)) ** 2 for a in averages]
    assert_close(np.sqrt(variances), [5, 6.25, 7.5, 8.75, 10], atol=0.02)  # a Gaussian in between


@needs_node
def test_peaks_are_counted_as_an_eye_counts_them():
    p, q = gaussian(200, 50, 5), gaussian(200, 130, 10)
    histograms = [p, (p + q) / 2, np.ones(20), np.r_[3.0, 2, 1, 2, 3], np.r_[1.0, 2, 1.99, 2, 1]]
    answers = javascript([{"run": "peaks", "p": h, "share": 0.05} for h in histograms])
    assert answers == [[50], [50, 130], [0], [0, 4], [1]]


@needs_node
def test_fractions_in_javascript_are_the_packages(rng):
    spectra = rng.uniform(0.1, 0.9, (3, 30))
    pixels = rng.dirichlet(np.ones(3), 60) @ spectra * rng.uniform(0.4, 1.5, (60, 1)) + rng.normal(0, 0.05, (60, 30))
    expected = (wt.linear.nnls(pixels, spectra).abundances, wt.linear.fcls(pixels, spectra).abundances)
    for constrained in (False, True):
        answers = javascript(
            [{"run": "fractions", "pixel": x, "spectra": spectra, "sum_to_one": constrained} for x in pixels]
        )
        assert_close(answers, expected[constrained], atol=1e-9)


@needs_node
def test_twenty_percent_shade_misleads_fcls_and_not_nnls():
    truth, spectra = np.array([0.5, 0.3, 0.2]), shaded_minerals()[0]
    problems = [
        {"run": "fractions", "pixel": shade * truth @ spectra, "spectra": spectra, "sum_to_one": constrained}
        for constrained in (True, False)
        for shade in (0.8, 1.2)
    ]
    answers = np.array(javascript(problems))
    assert_close(answers[:2], [[0.0, 0.9, 0.1], [0.89, 0.0, 0.11]], atol=0.01)
    assert_close(answers[2:] / answers[2:].sum(1, keepdims=True), [truth, truth], atol=1e-9)


@needs_node
def test_a_clouded_scene_unmixes_from_products_of_spectra_alone():
    spectra, (scene, cloud) = shaded_minerals()[0], clouded_scene()
    under, fractions = cloud > 0.5, scene[::3, ::4].reshape(-1, 3)
    pixels = (0.8 * scene @ spectra)[::3, ::4].reshape(-1, spectra.shape[1])
    common = {"run": "fractions_from", "gram": spectra @ spectra.T}
    for constrained, solver in ((True, wt.linear.fcls), (False, wt.linear.nnls)):
        problems = [{**common, "right": spectra @ x, "sum_to_one": constrained} for x in pixels]
        assert_close(javascript(problems), solver(pixels, spectra).abundances, atol=1e-9)
    assert_close(scene.sum(-1), 1.0, atol=2e-3)
    assert 0.2 < under.mean() < 0.5
    shaded = wt.linear.fcls(0.8 * scene[under] @ spectra, spectra).abundances[:, 1]
    assert shaded.mean() > 2.5 * scene[under][:, 1].mean()
    assert_close(wt.linear.nnls(0.8 * fractions @ spectra, spectra).abundances, 0.8 * fractions, atol=1e-9)


@needs_node
def test_another_triangle_that_fits_holds_every_pixel_and_is_another_one(tmp_path):
    file = tmp_path / "triangle.mjs"
    exported = "export { area, cloud, fitting, outside, uniform, TRUTH };"
    file.write_text(source.esm("draggable_triangle.js") + exported, encoding="utf-8")
    check = """
        const { area, cloud, fitting, outside, uniform, TRUTH } = await import(process.argv[1]);
        console.log(JSON.stringify([1, 0.8, 0.6, 0.4].map((purest) => {
          const random = uniform(11), points = cloud(purest);
          return [0, 1, 2, 3, 4].map(() => {
            const corners = fitting(points, purest, random);
            return { corners, off: Math.max(...points.map((p) => outside(p, corners))), size: area(corners) / area(TRUTH) };
          });
        })));
    """
    run = subprocess.run(
        [NODE, "--input-type=module", "-e", check, file.as_uri()], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr[-2000:]
    for purest, found in zip((1, 0.8, 0.6, 0.4), json.loads(run.stdout)):
        assert max(one["off"] for one in found) < 1e-9
        assert len({str(one["corners"]) for one in found}) == 5
        sizes = [one["size"] for one in found]
        assert min(sizes) >= 1 if purest == 1 else min(sizes) < 1  # the true one is smallest only where pixels are pure


# ------------------------------------------------------------------------------------------------ states in the address

INITIAL = {"weights": [0.3, 0.3, 0.4], "t": 0.5, "on": False, "shapes": "line", "clicks": []}
READ = {
    "#demo=weights:0.2_0.3_0.5,t:0.25,on:true,shapes:plane,clicks:4_7": {
        "weights": [0.2, 0.3, 0.5],
        "t": 0.25,
        "on": True,
        "shapes": "plane",
        "clicks": [4, 7],
    },
    "#demo=t%3A0.25": {"t": 0.25},  # as some mail programs write it
    "#%": {},
    "#100%&demo=t:0.25": {"t": 0.25},  # one stray sign beside a sound part
    "#demo=t:0.25,shapes:%E0%A4": {"t": 0.25, "shapes": "%E0%A4"},
    "#demo=weights:Infinity_0_0,t:NaN": {},
    "#demo=t:,on:yes,weights:": {"weights": []},
    "#demo=t:1e999,weights:0.1_x_0.2": {},
    "#demo=unknown:3,constructor:1,__proto__:2": {},
    "#other=t:0.25": {},
    "": {},
}


@needs_node
def test_an_address_that_was_mangled_leaves_every_demo_standing():
    problems = [{"run": "read", "hash": text, "name": "demo", "initial": INITIAL} for text in READ]
    assert dict(zip(READ, javascript(problems, "state_cases.mjs"))) == READ


@needs_node
def test_a_state_that_is_written_is_read_again_and_the_other_demos_keep_theirs():
    values = {**INITIAL, "weights": [0.25, 0.25, 0.5], "on": True, "clicks": [12, 3]}
    given = {"name": "demo", "initial": INITIAL}
    (written,) = javascript(
        [{"run": "write", "hash": "#other=a:1&demo=t:0.1", "values": values, **given}], "state_cases.mjs"
    )
    assert written == "other=a:1&demo=weights:0.25_0.25_0.5,on:true,clicks:12_3"
    (again,) = javascript([{"run": "read", "hash": f"#{written}", **given}], "state_cases.mjs")
    assert again == {key: values[key] for key in ("weights", "on", "clicks")}
    (unmoved,) = javascript([{"run": "write", "hash": "", "values": INITIAL, **given}], "state_cases.mjs")
    assert unmoved == ""


# ------------------------------------------------------------------------------------------------ modules and classes

DEMOS = [
    name
    for name in wt.widgets.__all__
    if name not in ("FramePlayer", "Predict", "explore", "label_by_hand", "questions")
]


@pytest.fixture
def agg():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    return matplotlib


def make(name: str):
    pytest.importorskip("anywidget")
    return getattr(wt.widgets, name)()


@needs_node
@pytest.mark.parametrize("name", [*DEMOS, "FramePlayer", "Predict"])
def test_each_demo_is_one_module_that_imports_nothing(name, tmp_path):
    pytest.importorskip("anywidget")
    code = getattr(wt.widgets, name)._esm
    assert "import " not in code.replace("import wdl_tutorial", "")
    file = tmp_path / "demo.mjs"
    file.write_text(code, encoding="utf-8")
    check = f"import('{file.as_uri()}').then((m) => console.log(typeof m.default.render))"
    run = subprocess.run([NODE, "-e", check], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split()[-1] == "function"


def test_every_file_of_a_demo_is_small():
    sizes = {path.name: path.stat().st_size for path in source.FOLDER.glob("*.js")}
    assert len(sizes) > 12
    assert max(sizes.values()) < 30_000, sizes


def test_modules_that_import_each_other_in_a_circle_are_refused(tmp_path, monkeypatch):
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\n')
    (tmp_path / "b.js").write_text('import { a } from "./a.js";\n')
    monkeypatch.setattr(source, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"a\.js -> b\.js -> a\.js"):
        source.modules("a.js")


@pytest.mark.parametrize(
    "line",
    [
        'import { one as other } from "./b.js";',
        'import * as all from "./b.js";',
        'import whole from "./b.js";',
        'import "./b.js";',
        "export { one as other };",
        'export * from "./b.js";',
    ],
)
def test_an_import_that_renames_is_refused_in_words(tmp_path, monkeypatch, line):
    (tmp_path / "a.js").write_text(f"// a demo\n{line}\nconst here = 1;\n")
    (tmp_path / "b.js").write_text("export const one = 1;\n")
    monkeypatch.setattr(source, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"a\.js says (im|ex)port .* a name keeps its name"):
        source.modules("a.js")


def test_imports_over_several_lines_are_put_together(tmp_path, monkeypatch):
    (tmp_path / "a.js").write_text('import {\n  one,\n  two,\n} from "./b.js";\nexport default one + two;\n')
    (tmp_path / "b.js").write_text("export const one = 1;\nexport const two = 2;\n")
    monkeypatch.setattr(source, "FOLDER", tmp_path)
    assert source.esm.__wrapped__("a.js") == "const one = 1;\nconst two = 2;\n\nexport default one + two;\n"


@pytest.mark.parametrize("name", DEMOS)
def test_each_demo_says_its_message_in_words(name):
    demo = make(name)
    assert demo.alt.endswith(".") and demo.caption.endswith(".")
    assert len(demo.alt) > 60
    assert repr(demo) == f"{name}: {demo.alt}"
    assert "Chapter" in getattr(wt.widgets, name).__doc__


@pytest.mark.parametrize("name", DEMOS)
def test_each_demo_shows_a_picture_where_no_script_runs(name, agg):
    data, _ = make(name)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"].startswith(f"{name}: ")


def test_the_state_of_a_demo_reaches_its_page():
    demo = make("TwoPeaks")
    demo.t = 0.25
    state = demo.get_state()
    assert state["t"] == 0.25
    assert state["caption"] and "displacedHistogram" in state["_esm"] and ".wdl-demo" in state["_css"]


@pytest.mark.parametrize(
    "name, values, message",
    [
        ("TwoPeaks", {"tee": 0.3}, "TwoPeaks has no tee; it takes crumb, left, right, t, width"),
        ("TwoPeaks", {"t": 1.5}, "t"),
        ("BarycenterTriangle", {"weights": [0.5, 0.5, 0.5]}, "must be non-negative and sum to 1"),
        ("BarycenterTriangle", {"atoms": [[np.nan, 1.0]]}, "must be finite"),
        ("Underflow", {"precision": "float16"}, "float16"),
    ],
)
def test_a_demo_refuses_what_it_cannot_draw(name, values, message):
    traitlets = pytest.importorskip("traitlets")
    pytest.importorskip("anywidget")
    with pytest.raises((TypeError, traitlets.TraitError), match=message):
        getattr(wt.widgets, name)(**values)


def test_arrays_of_other_backends_are_welcome():
    torch = pytest.importorskip("torch")
    demo = make("BarycenterTriangle")
    demo.weights = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    assert_close(demo.weights, [0.2, 0.3, 0.5], atol=1e-15)


def test_without_the_extra_the_first_demo_names_it_and_the_import_does_not_fail():
    code = """
import sys
sys.modules["anywidget"] = sys.modules["ipywidgets"] = None
import wdl_tutorial as wt
from wdl_tutorial.scaling import Variant
for name in ("TwoPeaks", "FramePlayer", "explore"):
    try:
        getattr(wt.widgets, name)
    except ImportError as error:
        print(name, "extra 'book'" in str(error))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=HERE.parent)
    assert run.stdout.split() == ["TwoPeaks", "True", "FramePlayer", "True", "explore", "True"], run.stderr


def test_an_unknown_demo_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'ThreePeaks'"):
        wt.widgets.ThreePeaks  # noqa: B018


# ------------------------------------------------------------------------------------------------ frames and explore


def test_the_player_takes_figures_arrays_and_bytes(agg):
    pytest.importorskip("anywidget")
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    ax.plot([0, 1])
    png = wt.widgets.FramePlayer([np.zeros((4, 4))], ["dark"]).frames[0]
    player = wt.widgets.FramePlayer(
        [figure, np.full((4, 4, 3), 255, dtype=np.uint8), png, np.eye(3)],
        ["a line", "white", "dark", "a diagonal"],
        handles={"row": ["a", "b"], "column": [0, 1]},
    )
    assert all(frame.startswith(b"\x89PNG") for frame in player.frames)
    assert player.handles == [["row", ["a", "b"]], ["column", ["0", "1"]]]
    player.at = [1, 0]
    assert player.index == 2
    assert player.first_picture() == player.frames[2]


def test_a_figure_takes_a_third_of_its_bytes_and_looks_the_same(agg):
    pytest.importorskip("anywidget")
    import io

    import matplotlib.pyplot as plt
    from matplotlib.image import imread

    figure, ax = plt.subplots(figsize=(5, 4))
    for row in np.random.default_rng(0).random((40, 100)):
        ax.plot(np.cumsum(row), color="0.7", linewidth=0.4)
    ax.plot(np.arange(100) / 2)
    plain = io.BytesIO()
    figure.savefig(plain, format="png", dpi=100, bbox_inches=None)
    (small,) = wt.widgets.FramePlayer([figure], ["lines"]).frames
    assert len(small) < 0.5 * len(plain.getvalue())
    before, after = (imread(io.BytesIO(data))[..., :3] for data in (plain.getvalue(), small))
    assert before.shape == after.shape
    assert np.abs(before - after).mean() < 0.005


@pytest.mark.parametrize(
    "frames, captions, options, message",
    [
        ([np.zeros((2, 2))], ["a", "b"], {}, "captions must be 1, one for each frames; got 2 names for 1 frames"),
        ([np.zeros((2, 2))] * 3, ["a"] * 3, {"handles": {"row": [1, 2]}}, "2 positions together, but there are 3"),
        ([np.full((2, 2), 7.0)], ["a"], {}, "must lie in .0, 1.; it spans 7 to 7"),
        ([np.zeros(5)], ["a"], {}, "shape .5,."),
        ([b"GIF89a"], ["a"], {}, "must be PNG"),
    ],
)
def test_the_player_refuses_frames_that_do_not_fit(agg, frames, captions, options, message):
    pytest.importorskip("anywidget")
    with pytest.raises(ValueError, match=message):
        wt.widgets.FramePlayer(frames, captions, **options)


@pytest.fixture
def explore(agg):
    pytest.importorskip("ipywidgets")
    return wt.widgets.explore


def test_explore_draws_again_when_a_slider_moves(explore):
    seen = []

    def draw(ax, t, power=2, mode="dash"):
        seen.append((t, power, mode))
        ax.plot([0, t**power])

    view = explore(draw, t=(0.0, 1.0), power=(1, 4), mode=["solid", "dash"])
    first = view.picture.value
    view.sliders["t"].value = 0.9
    assert seen == [(0.5, 2, "dash"), (0.9, 2, "dash")]
    assert bytes(view.picture.value).startswith(b"\x89PNG") and view.picture.value != first


def test_an_error_in_draw_is_shown_and_the_next_move_recovers(explore):
    def draw(ax, t):
        ax.plot([0, 1 / t])

    view = explore(draw, t=(0, 4))
    good = view.picture.value
    view.sliders["t"].value = 0
    assert view.error.startswith("ZeroDivisionError") and "ZeroDivisionError" in view.note.value
    assert view.picture.value == good  # the last good picture stays
    view.sliders["t"].value = 3
    assert view.error == view.note.value == ""
    assert view.picture.value != good


def test_a_draw_that_returns_no_figure_says_so(explore):
    view = explore(lambda t: t, t=(0, 4))
    assert "must take ax, or return a matplotlib Figure or Axes; it returned int" in view.error


def test_of_a_burst_of_moves_only_the_newest_is_drawn(explore):
    seen = []
    view = explore(lambda ax, t: seen.append(t), t=(0, 100))

    async def burst():
        for value in range(1, 41):
            view.sliders["t"].value = value
        await asyncio.sleep(0.1)

    asyncio.run(burst())
    assert seen == [50, 40]


def test_a_long_drag_is_drawn_while_it_lasts(explore):
    seen = []
    view = explore(lambda ax, t: seen.append(t), t=(0, 1000))

    async def drag():
        for value in range(1, 61):
            view.sliders["t"].value = value
            await asyncio.sleep(0.003)
        await asyncio.sleep(0.1)

    asyncio.run(drag())
    assert seen[-1] == 60
    assert 3 <= len(seen) < 60  # fewer pictures than moves; how many depends on the machine's load


@pytest.mark.parametrize(
    "sliders, error, message",
    [
        ({}, TypeError, "no slider was given"),
        ({"s": (0, 1)}, TypeError, "draw has no argument s; its arguments are ax, t"),
        ({"t": (1, 0)}, ValueError, "low < high"),
        ({"t": "red"}, ValueError, "got 'red'"),
    ],
)
def test_explore_refuses_sliders_that_make_no_sense(explore, sliders, error, message):
    with pytest.raises(error, match=message):
        explore(lambda ax, t: None, **sliders)


@pytest.mark.parametrize("value", [np.float32(0.25), np.float64(0.25), np.float16(0.25)])
def test_a_slider_takes_a_number_of_any_type(value):
    assert widgets.TwoPeaks(t=value).t == 0.25


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.5", None, [0.5], True, 10**400])
def test_a_slider_is_never_at_what_is_no_number(value):
    with pytest.raises(TraitError, match="t of TwoPeaks must be from 0 to 1; got "):
        widgets.TwoPeaks(t=value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: widgets.InkDrop(every=0), "every must be an integer from 1 to"),
        (lambda: widgets.InkDrop(start=2**63), "start must be an integer from 0 to"),
        (lambda: widgets.InkDrop(scene=3), "scene must be a Scene; got 3"),
        (lambda: widgets.LabellingRace(random_state="seed"), "random_state must be a non-negative integer"),
        (lambda: widgets.LabellingRace(n_draws=0), "n_draws must be an integer from 1 to 1000; got 0"),
        (lambda: widgets.FramePlayer([np.zeros((2, 2))], ["a"], handles=3), "handles must be a dict"),
        (lambda: widgets.FramePlayer(None, ["a"]), "frames must be a list of pictures; got None"),
        (lambda: widgets.Predict({}), "there is no prediction of the key {}"),
        (lambda: widgets.DrawAtoms(data=1j * np.ones(3)), "data: expected real numbers"),
        (
            lambda: widgets.explore(lambda ax, t: None, t=(0.0, 1.0), dpi=0),
            "dpi must be an integer from 1 to 1000; got 0",
        ),
    ],
)
def test_what_a_slider_cannot_be_made_of_is_named(make, message):
    with pytest.raises((ValueError, TypeError, TraitError), match=message):
        make()
