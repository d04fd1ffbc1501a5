"""The doors that are behind other doors: estimators of torch, sliders, scenes and files, generators, parts of LAND."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.io
from conftest import random_histograms
from fuzzing import Door

import wdl_tutorial as wt
from wdl_tutorial import datasets, diffusion, results, unmixing
from wdl_tutorial._array import to_numpy
from wdl_tutorial.presets import unbalanced_wahu

COST = wt.cost_matrix(np.arange(6) / 6)
CUBE = (4, 5, 6)
NM = np.linspace(400.0, 900.0, 6)


def cube(rng) -> np.ndarray:
    mixed = random_histograms(rng, 20, 3) @ (0.1 + rng.random((3, 6)))
    return (mixed + 0.001 * rng.random((20, 6))).reshape(CUBE)


def scene(rng) -> datasets.Scene:
    return datasets.Scene("made", cube(rng), NM, np.arange(20).reshape(4, 5) % 3, {1: "a", 2: "b"})


def library(rng) -> datasets.Spectra:
    names = tuple("abc")
    return datasets.Spectra(names, np.linspace(300, 1000, 30), 0.1 + rng.random((3, 30)), names, "made here")


@functools.cache
def run() -> unmixing.Unmixing:
    return wt.unmix(scene(np.random.default_rng(0)), "fcls", 2)


@functools.cache
def kept() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="wdl_tutorial_fuzz_")


def place(name: str) -> str:
    return os.path.join(kept().name, name)


def file_of_a_cube() -> str:
    path = place("cube.mat")
    if not os.path.exists(path):
        scipy.io.savemat(path, {"cube": cube(np.random.default_rng(0)), "more": np.eye(3)})
    return path


def file_of_a_library() -> str:
    path = place("library.csv")
    if not os.path.exists(path):
        library(np.random.default_rng(0)).save(path)
    return path


def looked_at(found: datasets.Scene) -> list:
    """What a scene holds, where it is valid."""
    return [found.pixels(), found.wavelengths]


def maps(found: unmixing.Unmixing) -> list:
    return [found.abundances[found.mask], found.endmembers]


# ------------------------------------------------------------------------------------------------------- generators


def some_steps(steps: Callable, domain: str) -> Callable:
    """Three states, whose scalings in the log domain are -inf where there is no mass."""

    def call(cost, eps, **arguments):
        kernel = wt.gibbs_kernel(cost, eps, domain=domain)
        with np.errstate(all="ignore"):
            last = list(itertools.islice(steps(kernel=kernel, **arguments), 3))[-1]
            return [np.exp(to_numpy(x)) if domain == "log" else x for x in last if x is not None]

    return call


GENERATORS = {
    "sinkhorn_steps": (wt.sinkhorn_steps, "kernel", ("p", "q")),
    "sinkhorn_log_steps": (wt.sinkhorn_log_steps, "log", ("p", "q")),
    "barycenter_steps": (wt.barycenter_steps, "kernel", ("atoms", "weights")),
    "barycenter_log_steps": (wt.barycenter_log_steps, "log", ("atoms", "weights")),
}


def given_to(names: tuple[str, str]) -> Callable:
    def sound(rng):
        shapes = ((6,), (6,)) if names == ("p", "q") else ((2, 6), (3, 2))
        arrays = {name: random_histograms(rng, *shape) for name, shape in zip(names, shapes)}
        return arrays | {"cost": COST.copy(), "eps": 0.1}

    return sound


DOORS: dict[str, Door] = {
    name: Door(
        some_steps(steps, domain),
        given_to(names),
        {names[0]: "array", names[1]: "array", "cost": "cost", "eps": "number"},
        heard={names[0]: "kernel bins arrays", names[1]: "kernel bins arrays", "cost": "kernel bins arrays"},
        nan=True,  # what the chapter "Why did I get NaN?" shows
        infinite=True,
    )
    for name, (steps, domain, names) in GENERATORS.items()
}

# ------------------------------------------------------------------------------------------------- scenes and files

MENDING = {"units": "nm", "scale": 2.0, "fill": -1.0, "bad_bands": [1], "negative": "keep", "dtype": np.float64}
MENDING_KINDS = {"units": "choice", "scale": "number", "fill": "number", "bad_bands": "array", "negative": "choice"}
MENDING_KINDS |= {"dtype": "thing", "mask": "array", "wavelengths": "array"}

DOORS |= {
    "datasets.make_scene": Door(
        lambda **a: looked_at(datasets.make_scene(**a)),
        lambda r: {"cube": cube(r), "wavelengths": NM.copy(), "mask": np.arange(20).reshape(4, 5) != 3} | MENDING
        | {"name": "mine", "offset": 0.0, "fwhm": np.full(6, 10.0), "band_names": list("abcdef"), "geo": None},
        {"cube": "array", "name": "text", "offset": "number", "fwhm": "array", "band_names": "names", "geo": "thing"}
        | MENDING_KINDS,
        heard={"cube": "band_names wavelengths mask mine", "mask": "mine", "fill": "mine", "bad_bands": "mine"},
    ),
    "datasets.load_cube with all arguments": Door(
        lambda **a: looked_at(datasets.load_cube(**a)),
        lambda r: {"path": file_of_a_cube(), "dataset": "cube", "bands_axis": 2, "wavelengths": NM.copy()}
        | {"rows": slice(1, 4), "cols": slice(None), "variable": None, "mask": np.ones((3, 5), bool)} | MENDING,
        {"path": "path", "dataset": "text", "bands_axis": "count", "rows": "thing", "cols": "thing", "variable": "text"}
        | MENDING_KINDS,
        heard={"wavelengths": "band", "fill": "pixel", "dataset": "variable", "variable": "dataset"}
        | {"bands_axis": "wavelengths", "mask": "pixel", "rows": "mask", "cols": "mask"},
    ),
    "datasets.load_library": Door(
        lambda path: datasets.load_library(path).spectra, lambda r: {"path": file_of_a_library()}, {"path": "path"},
        heard={"path": "library"},
    ),
    "datasets.available": Door(datasets.available, lambda r: {"name": "samson"}, {"name": "choice"}),
    "datasets.idnet_cube_available": Door(
        datasets.idnet_cube_available, lambda r: {"name": "DC1"}, {"name": "choice"}
    ),
    "datasets.wahu_salinas_pixels": Door(
        datasets.wahu_salinas_pixels,
        lambda r: {"scene": fields(r), "n_per_class": 3, "random_state": 0},
        {"scene": "thing", "n_per_class": "count", "random_state": "seed"},
    ),
    "datasets.Spectra.only": Door(
        lambda name: library(np.random.default_rng(0)).only(name).spectra, lambda r: {"name": "a"}, {"name": "text"},
        heard={"name": "spectrum"},
    ),
    "datasets.Spectra.resample": Door(
        lambda **a: library(np.random.default_rng(0)).resample(**a).spectra,
        lambda r: {"wavelengths": np.linspace(400, 900, 4), "fwhm": np.full(4, 30.0)},
        {"wavelengths": "array", "fwhm": "array"},
        heard={"wavelengths": "band fwhm", "fwhm": "wavelengths"},
    ),
    "datasets.Spectra.save": Door(
        lambda **a: [len(library(np.random.default_rng(0)).save(**a))],
        lambda r: {"path": place("out.csv"), "overwrite": True},
        {"path": "path", "overwrite": "flag"},
    ),
    "results.save_cube": Door(
        lambda **a: [len(results.save_cube(**a))],
        lambda r: {"scene": scene(r), "path": place("out.hdr"), "overwrite": True},
        {"scene": "thing", "path": "path", "overwrite": "flag"},
    ),
    "Unmixing.save": Door(
        lambda **a: [len(run().save(**a))],
        lambda r: {"path": place("maps.npz"), "doubt": r.random((4, 5)), "overwrite": True},
        {"path": "path", "doubt": "array", "overwrite": "flag"},
    ),
    "Unmixing.apply": Door(
        lambda **a: maps(run().apply(**a)),
        lambda r: {"scene": cube(r), "mask": np.arange(20).reshape(4, 5) != 3},
        {"scene": "array", "mask": "array"},
        heard={"scene": "mask bands", "mask": "scene"},
    ),
    "Unmixing.report": Door(
        lambda others: [f.value for f in run().report(others=others).findings],
        lambda r: {"others": [wt.unmix(scene(r), "nnls", 2)]},
        {"others": "thing"},
    ),
    "unmix with endmembers": Door(
        lambda **a: maps(wt.unmix(**a)),
        lambda r: {"scene": scene(r), "method": "nnls", "endmembers": 0.1 + r.random((3, 6)), "mask": np.ones((4, 5), bool)},
        {"scene": "thing", "method": "choice", "endmembers": "array", "mask": "array"},
        heard={"endmembers": "n_endmembers names spectrum bands", "method": "endmembers option"},
    ),
    "unmix with corners": Door(
        lambda **a: maps(wt.unmix(cube(np.random.default_rng(0)), "fcls", 2, **a)),
        lambda r: {"corners": "vca", "snr_db": 20.0},
        {"corners": "choice", "snr_db": "number"},
    ),
    "unmix with a penalty": Door(
        lambda **a: maps(wt.unmix(cube(np.random.default_rng(0)), "sparse", **a)),
        lambda r: {"penalty": 1e-3, "endmembers": 0.1 + r.random((3, 6))},
        {"penalty": "number", "endmembers": "array"},
        heard={"endmembers": "n_endmembers names spectrum bands"},
    ),
    "unmix by unbalanced WaHU": Door(
        lambda **a: maps(wt.unmix(cube(np.random.default_rng(0)), "wahu_unbalanced", 2, max_iter=2, **a)),
        lambda r: {"n_training": 5, "setting": "salinas", "marginal_weight": 1.0},
        {"n_training": "count", "setting": "choice", "marginal_weight": "number"},
        heard={"marginal_weight": "eps"},
    ),
    "unbalanced_wahu": Door(
        unbalanced_wahu,
        lambda r: {"X": 0.1 + r.random((5, 6)), "positions": NM.copy(), "n_atoms": 2, "marginal_weight": 1.0}
        | {"loss": "kl_reverse", "setting": "salinas", "max_iter": 2, "n_jobs": None, "atoms": r.random((2, 6))},
        {"X": "array", "positions": "array", "n_atoms": "count", "marginal_weight": "number", "loss": "choice"}
        | {"setting": "choice", "max_iter": "steps", "n_jobs": "steps", "atoms": "array"},
        heard={"X": "positions n_atoms atoms", "positions": "X", "atoms": "X positions n_atoms", "marginal_weight": "eps"},
    ),
    "unmixing.options_of": Door(
        lambda method: [len(unmixing.options_of(method))], lambda r: {"method": "fcls"}, {"method": "choice"}
    ),
    "linear.nfindr": Door(
        lambda **a: (found := wt.linear.nfindr(**a)) and [found.endmembers, found.indices],
        lambda r: {"X": cube(r).reshape(20, 6), "n_endmembers": 3, "random_state": 0},
        {"X": "array", "n_endmembers": "count", "random_state": "seed"},
    ),
    "linear.atgp": Door(
        lambda **a: (found := wt.linear.atgp(**a)) and [found.endmembers, found.indices],
        lambda r: {"X": cube(r).reshape(20, 6), "n_endmembers": 3},
        {"X": "array", "n_endmembers": "count"},
    ),
    "linear.sparse": Door(
        wt.linear.sparse,
        lambda r: {"X": cube(r).reshape(20, 6), "endmembers": 0.1 + r.random((4, 6)), "penalty": 1e-3},
        {"X": "array", "endmembers": "array", "penalty": "number"},
    ),
}  # fmt: skip


def fields(rng) -> datasets.Scene:
    """A scene in the shape of Salinas A."""
    labels = np.repeat([[1, 1, 1, 1, 5, 5, 5, 5]], 3, axis=0)
    return datasets.Scene("salinas-a", 0.1 + rng.random((3, 8, 204)), np.linspace(400, 2500, 204), labels)


# ----------------------------------------------------------------------------------------------------- parts of LAND


def graph(rng):
    return diffusion.neighbor_graph(diffusion.nearest_neighbors(rng.normal(size=(15, 2)), 4))


DOORS |= {
    "neighbor_graph": Door(
        lambda **a: diffusion.neighbor_graph(**a).data,
        lambda r: {"neighbors": diffusion.nearest_neighbors(r.normal(size=(15, 2)), 4), "bandwidth": 1.0},
        {"neighbors": "thing", "bandwidth": "number"},
    ),
    "diffusion_pairs": Door(
        diffusion.diffusion_pairs,
        lambda r: {"graph": graph(r), "n_eigenpairs": 3, "random_state": 0},
        {"graph": "thing", "n_eigenpairs": "count", "random_state": "seed"},
    ),
    "diffuse": Door(
        diffusion.diffuse,
        lambda r: {"graph": graph(r), "start": 2, "n_steps": 3},
        {"graph": "thing", "start": "count", "n_steps": "steps"},
    ),
}


# ---------------------------------------------------------------------------------------------------------- networks


def vae(**options):
    return wt.deep.SpectralVAE(**({"n_latent": 2, "n_hidden": 4, "n_layers": 1, "n_epochs": 1} | options))


@functools.cache
def trained():
    return vae().fit(cube(np.random.default_rng(0)).reshape(20, 6))


def fit_vae(X, **options):
    model = vae(**options).fit(X)
    return [model.transform(X), model.loss_curve_, model.inverse_transform(model.transform(X))]


def fit_idnet(X, **options):
    model = wt.deep.IDNet(**options).fit(X)
    return [model.abundances_, model.endmembers_, model.reconstruct(), model.loss_curve_]


if importlib.util.find_spec("torch") is not None:
    DOORS |= {
        "deep.SpectralVAE.fit": Door(
            fit_vae,
            lambda r: {"X": cube(r).reshape(20, 6), "n_latent": 2, "n_hidden": 4, "n_layers": 1, "n_epochs": 1}
            | {"batch_size": 8, "learning_rate": 1e-3, "likelihood": "gaussian", "init": "keras", "device": "cpu"}
            | {"checkpoint_every": 1, "random_state": 0},
            {"X": "array", "n_latent": "count", "n_hidden": "count", "n_layers": "steps", "n_epochs": "steps"}
            | {"batch_size": "count", "learning_rate": "number", "likelihood": "choice", "init": "choice"}
            | {"device": "text", "checkpoint_every": "count", "random_state": "seed"},
            heard={"X": "learning_rate"},
            atol=1e-6,
        ),
        "deep.SpectralVAE.transform": Door(
            lambda X: trained().transform(X), lambda r: {"X": cube(r).reshape(20, 6)}, {"X": "array"}
        ),
        "deep.SpectralVAE.inverse_transform": Door(
            lambda code: trained().inverse_transform(code), lambda r: {"code": r.normal(size=(4, 2))}, {"code": "array"}
        ),
        "deep.IDNet.fit": Door(
            fit_idnet,
            lambda r: {"X": cube(r).reshape(20, 6), "n_endmembers": 2, "labels": "given", "sparsity": 0.1, "tol": 0.0}
            | {"latent_dim": 1, "n_layers": 1, "n_samples": 1, "n_importance": 1, "nonlinear_gain": 0.1, "bundle_size": 3}
            | {"label_snr": 30.0, "label_smoothing": 1e-3, "min_concentration": 1e-2, "batch_size": 20, "max_iter": 1}
            | {"learning_rate": 1e-3, "supervised_weight": 1.0, "label_weight": 1.0, "random_state": 0}
            | {"learning_rate_decay": 0.9, "decay_epochs": 1, "init_endmembers": 0.1 + r.random((2, 6)), "device": "cpu"},
            {"X": "array", "n_endmembers": "count", "labels": "choice", "sparsity": "number", "tol": "number"}
            | {"latent_dim": "count", "n_layers": "steps", "n_samples": "steps", "n_importance": "steps"}
            | {"nonlinear_gain": "number", "bundle_size": "count", "label_snr": "number", "label_smoothing": "number"}
            | {"min_concentration": "number", "batch_size": "count", "max_iter": "steps", "learning_rate": "number"}
            | {"supervised_weight": "number", "label_weight": "number", "random_state": "seed"}
            | {"learning_rate_decay": "number", "decay_epochs": "count", "init_endmembers": "array", "device": "text"},
            heard={"X": "n_endmembers init_endmembers pixels", "n_endmembers": "init_endmembers label_smoothing"},
        ),
        "deep.IDNet.preset": Door(
            lambda name: [wt.deep.IDNet.preset(name).n_endmembers], lambda r: {"name": "samson"}, {"name": "choice"},
            heard={"name": "preset"},
        ),
    }  # fmt: skip

# ----------------------------------------------------------------------------------------------------------- sliders


def state_of(demo: type) -> Callable:
    """What a demo holds of what it was given."""
    return lambda **values: [getattr(demo(**values), name) for name in values]


def kind_of(trait: Any) -> str:
    import traitlets

    known = {traitlets.Float: "number", traitlets.Int: "count", traitlets.Bool: "flag", traitlets.Unicode: "text"}
    listed = {"names": "names", "epochs": "array"}
    return next((k for t, k in known.items() if isinstance(trait, t)), None) or (
        "choice" if isinstance(trait, traitlets.Enum) else listed.get(trait.name, "array")
    )


def demo_doors() -> dict[str, Door]:
    from wdl_tutorial import widgets

    found = {}
    for name in ("BarycenterTriangle", "DipOrPeak", "DraggableTriangle", "DrawAtoms", "GradientFilm", "OrphanPeak",
                 "PlanByHand", "ScalingSteps", "ShadeTriangle", "TwoPeaks", "Underflow", "Unmix60"):  # fmt: skip
        demo = getattr(widgets, name)
        traits = {k: t for k, t in demo.class_traits().items() if k in [*demo._own_traits(), "title", "caption", "alt"]}
        start = demo()
        values = {k: getattr(start, k) for k in traits}
        found[f"widgets.{name}"] = Door(
            state_of(demo), functools.partial(_copied, values), {k: kind_of(t) for k, t in traits.items()}
        )
    return found


def _copied(values: dict[str, Any], rng: Any) -> dict[str, Any]:
    return dict(values)


@functools.cache
def teaching():
    scene = datasets.make_teaching_scene().crop(slice(0, 16), slice(0, 16))
    return scene, wt.LAND(8, 4, n_eigenpairs=3).fit(scene.pixels())


if importlib.util.find_spec("anywidget") is not None:
    DOORS |= demo_doors()
    DOORS |= {
        "widgets.FramePlayer": Door(
            lambda **a: [len(wt.widgets.FramePlayer(**a).frames)],
            lambda r: {"frames": [np.zeros((4, 4)), np.ones((4, 4))], "captions": ["a", "b"], "handles": {"k": [0, 1]}}
            | {"title": "made", "dpi": 50, "caption": "words", "alt": "words"},
            {"frames": "array", "captions": "names", "handles": "thing", "title": "text", "dpi": "count"}
            | {"caption": "text", "alt": "text"},
            heard={"captions": "frames", "frames": "handles captions"},
        ),
        "widgets.Predict": Door(
            lambda **a: [len(wt.widgets.Predict(**a).options)],
            lambda r: {"key": next(iter(wt.widgets.questions())), "part": "vote"},
            {"key": "choice", "part": "choice"},
            heard={"key": "prediction"},
        ),
        "widgets.explore": Door(
            lambda **a: [wt.widgets.explore(lambda ax, t: ax.plot([0, t]), **a).values["t"]],
            lambda r: {"t": (0.0, 1.0), "dpi": 20},
            {"t": "thing", "dpi": "count"},
        ),
        "widgets.InkDrop": Door(
            lambda **a: [wt.widgets.InkDrop(**a).where()],
            lambda r: {"scene": teaching()[0], "n_neighbors": 5, "every": 2, "start": 0, "time": 3},
            {"scene": "thing", "n_neighbors": "count", "every": "count", "start": "count", "time": "number"},
            heard={"n_neighbors": "neighbours", "every": "pixels"},
        ),
        "widgets.LabellingRace": Door(
            lambda **a: [wt.widgets.LabellingRace(**a).rows],
            lambda r: {"scene": teaching()[0], "land": teaching()[1], "n_draws": 2, "random_state": 0},
            {"scene": "thing", "land": "thing", "n_draws": "steps", "random_state": "seed"},
        ),
        "widgets.DoubtDashboard": Door(
            lambda **a: [wt.widgets.DoubtDashboard(**a).rows],
            lambda r: {"scene": scene(r), "runs": [run(), wt.unmix(scene(r), "nnls", 2)], "every": 1, "n_bands": 4},
            {"scene": "thing", "runs": "thing", "every": "count", "n_bands": "count"},
        ),
        "widgets.label_by_hand": Door(
            lambda **a: [wt.widgets.label_by_hand(**a).state()["n_questions"]],
            lambda r: dict(zip(("scene", "land"), teaching())) | {"classes": ["a", "b"], "budget": 3, "path": None}
            | {"candidates": np.arange(9)},
            {"scene": "thing", "land": "thing", "classes": "names", "budget": "count", "path": "path"}
            | {"candidates": "array"},
        ),
    }  # fmt: skip
