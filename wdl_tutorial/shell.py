"""From a cube to maps in one line of a shell: ``unmix``, ``inspect``, ``estimate``, ``convert`` and ``library``.

Exit codes: 0 done; 1 done, but the report says "do not use", or something was found; 2 a mistake in the command or a file
that cannot be read; 130 interrupted, with what was done left in place.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .cubefiles import load_cube
from .libraries import Spectra, load_library, match_library
from .rawfiles import check_new, gigabytes
from .results import SUFFIXES, save_cube
from .scenes import Scene


def main(command: str, arguments: Sequence[str]) -> int:
    """Run one of the commands: errors of input are one line on stderr, not a traceback."""
    shown: set[str] = set()

    def told(message: Any, *rest: Any, **more: Any) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            print(f"note: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = told
        try:
            return RUN[command](_parsed(command, arguments))
        except KeyboardInterrupt:
            print("interrupted; what was written before is left in place.", file=sys.stderr)
            return 130
        except (ValueError, TypeError, OSError, ImportError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2


# ---------------------------------------------------------------------------------------------- arguments


def _parser(command: str) -> argparse.ArgumentParser:
    told = {
        "unmix": "unmix a cube, and write the maps as GeoTIFF or ENVI",
        "inspect": "what is wrong with a cube, and what to do",
        "estimate": "seconds and memory of a run, before it runs",
        "convert": "a cube to another format, mended",
        "library": "list a spectral library, convert it, or bring it to the bands of a cube",
    }
    parser = argparse.ArgumentParser(prog=f"python -m wdl_tutorial {command}", description=told[command])
    parser.add_argument("path", help="the cube" if command != "library" else "the library")
    if command != "library":
        _cube_arguments(parser)
    if command in ("unmix", "estimate"):
        _run_arguments(parser)
    if command in ("unmix", "convert", "library"):
        parser.add_argument("--out", required=command == "convert", help="the file to write; its suffix says how")
        parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    if command == "unmix":
        parser.add_argument(
            "--doubt", action="store_true", help="three seeds, and a second method: where do they disagree?"
        )
        parser.add_argument("--quiet", action="store_true", help="no bar")
    if command in ("inspect", "convert"):
        parser.add_argument("--mend", action="store_true", help="mend what can be mended, and say so")
    if command == "inspect":
        parser.add_argument("--count", action="store_true", help="how many endmembers to ask for")
        parser.add_argument("--figure", help="draw the mean over noise of every band into this file")
    if command == "library":
        parser.add_argument("--bands-of", help="a cube, or a library, to whose bands it is brought")
        parser.add_argument("--match", help="a library of endmembers: which materials are they?")
    return parser


def _cube_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", help="which array of the file")
    parser.add_argument("--bands-axis", type=int, default=-1, help="0 for (bands, rows, cols)")
    parser.add_argument("--scale", type=float, help="reflectance = file / scale")
    parser.add_argument("--fill", type=float, nargs="*", help="values that mean no data")
    parser.add_argument("--units", help="of the wavelengths: nm or um")
    parser.add_argument("--rows", type=_part, help="a window, such as 0:500: these rows, 0-based, without the last")
    parser.add_argument("--cols", type=_part, help="likewise the columns")
    parser.add_argument("--drop", type=int, nargs="*", help="bands to leave out, 0-based")
    parser.add_argument("--geo", help="a file of the same pixels whose map this one lies on, where it carries none")
    parser.add_argument("--float32", action="store_true", help="half the memory")


def _part(text: str) -> slice:
    """``0:500`` as a slice."""
    try:
        return slice(*(int(end) if end else None for end in text.split(":", 1)))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be FIRST:END, such as 0:500; got {text!r}") from None


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--method", default="nnls", help="nnls, fcls, nmf, wahu, ... (default nnls)")
    parser.add_argument("-n", type=int, help="how many endmembers")
    parser.add_argument("--endmembers", help="a library file to unmix with, brought to the bands of the cube")
    parser.add_argument("--seed", type=int, default=0, help="of every draw")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="an option of the method")
    parser.add_argument("--config", help="a TOML file with any of these, under their long names")


def _parsed(command: str, arguments: Sequence[str]) -> argparse.Namespace:
    parser = _parser(command)
    first, _ = parser.parse_known_args(arguments)
    config = getattr(first, "config", None)
    if config:
        parser.set_defaults(**_from_toml(Path(config), set(vars(first)) - {"config", "path"}))
    return parser.parse_args(arguments)


def _from_toml(path: Path, known: set[str]) -> dict[str, Any]:
    """Defaults from a file; the command line goes before them. ``[options]`` are those of the method."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML: {error}.") from error
    options = given.pop("options", {})
    told = {key.replace("-", "_"): value for key, value in given.items()}
    told["n"] = told.pop("n_endmembers", told.get("n"))
    unknown = set(told) - known
    if unknown:
        raise ValueError(f"{path} sets {sorted(unknown)}, which this command does not know; it knows {sorted(known)}.")
    if not isinstance(options, dict):
        raise ValueError(f"{path}: options must be a table, [options].")
    return {key: value for key, value in told.items() if value is not None} | {"option": list(options.items())}


def _options(given: Sequence[Any]) -> dict[str, Any]:
    """NAME=VALUE as Python values: numbers, true, false, else text."""
    found = {}
    for item in given:
        name, text = item if isinstance(item, tuple) else item.partition("=")[::2]
        if not isinstance(item, tuple) and "=" not in item:
            raise ValueError(f"--option {item!r} must be NAME=VALUE.")
        found[name] = _value(text) if isinstance(text, str) else text
    return found


def _value(text: str) -> Any:
    known = {"true": True, "false": False, "none": None}
    if text.lower() in known:
        return known[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _loaded(given: argparse.Namespace) -> Scene:
    scene = load_cube(
        given.path,
        dataset=given.dataset,
        bands_axis=given.bands_axis,
        scale=given.scale,
        fill=given.fill or None,
        units=given.units,
        geo=given.geo,
        rows=given.rows,
        cols=given.cols,
        dtype=np.float32 if given.float32 else np.float64,
    )
    return scene.drop_bands(given.drop) if given.drop else scene


def _method_options(given: argparse.Namespace, scene: Scene) -> dict[str, Any]:
    options = _options(given.option)
    if given.endmembers:
        library = load_library(given.endmembers)
        options["endmembers"] = _on_bands(library, scene)
    return options


def _on_bands(library: Spectra, scene: Scene) -> Spectra:
    if scene.wavelengths is None:
        raise ValueError(
            "the cube has no wavelengths, so no library can be brought to its bands. Add them to its header."
        )
    same = np.shape(library.wavelengths) == np.shape(scene.wavelengths)
    if same and np.allclose(library.wavelengths, scene.wavelengths, atol=0.01):
        return library
    return library.resample(scene.wavelengths, scene.fwhm)


# ---------------------------------------------------------------------------------------------- commands


def _unmix(given: argparse.Namespace) -> int:
    from .trust import doubt
    from .unmixing import unmix

    if given.out:
        path = Path(given.out)
        if path.suffix.lower() not in SUFFIXES:
            raise ValueError(f"--out {path} ends in {path.suffix!r}; maps are saved as {', '.join(SUFFIXES)}.")
        check_new([path], given.overwrite)  # before the work, not after it
    scene = _loaded(given)
    print(scene)
    options, disputed = _method_options(given, scene), None
    bar = False if given.quiet else None  # in a terminal, for what takes more than a few seconds
    found = unmix(scene, given.method, given.n, random_state=given.seed, verbose=bar, **options)
    print(found)
    if given.out:  # first what there is: an interruption of what follows leaves it
        found.save(given.out, overwrite=given.overwrite)
    if given.doubt:
        second = "fcls" if given.method == "nnls" else "nnls"
        both = {name: options for name in (given.method,)} | {
            second: {k: options[k] for k in ("endmembers",) if k in options}
        }
        seeds = tuple(given.seed + k for k in range(3))
        disputed = doubt(scene, both, given.n or len(found.names), random_state=seeds, verbose=bar)
        print(disputed.reading())
    report = found.report(others=() if disputed is None else disputed.runs)
    print(report)
    if given.out:
        written = found.save(given.out, doubt=None if disputed is None else disputed.map, overwrite=True)
        print("written:", *written, sep="\n  ")
    return 1 if report.verdict == "do not use" else 0


def _inspect(given: argparse.Namespace) -> int:
    from .inspection import inspect_cube

    scene = _loaded(given)
    found = inspect_cube(scene)
    print(scene, found, sep="\n")
    if given.count:
        from .inspection import advise_n_endmembers

        print(advise_n_endmembers(scene))
    if given.figure:
        import matplotlib

        matplotlib.use("Agg")
        found.plot().figure.savefig(given.figure, dpi=150, bbox_inches="tight")
    if given.mend:
        print(found.mend())
    return 1 if found.findings else 0


def _estimate(given: argparse.Namespace) -> int:
    from .planning import estimate_run

    scene = _loaded(given)
    found = estimate_run(scene, given.method, given.n, random_state=given.seed, **_method_options(given, scene))
    print(found)
    print(f"the cube itself: {gigabytes(scene.cube.nbytes)}")
    return 0


def _convert(given: argparse.Namespace) -> int:
    scene = _loaded(given)
    if given.mend:
        from .inspection import inspect_cube

        scene = inspect_cube(scene).mend()
    print(scene)
    print("written:", *save_cube(scene, given.out, overwrite=given.overwrite), sep="\n  ")
    return 0


def _library(given: argparse.Namespace) -> int:
    library = load_library(given.path)
    if given.bands_of:
        try:
            other = load_library(given.bands_of)
            library = library.resample(other.wavelengths, other.fwhm)
        except ValueError:
            library = _on_bands(library, load_cube(given.bands_of))
    print(library)
    print("\n".join(f"  {name}" for name in library.names))
    if given.match:
        print(match_library(load_library(given.match), library))
    if given.out:
        print("written:", *library.save(given.out, overwrite=given.overwrite), sep="\n  ")
    return 0


RUN = {"unmix": _unmix, "inspect": _inspect, "estimate": _estimate, "convert": _convert, "library": _library}
