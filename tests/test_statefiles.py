"""Fits on disk: whole or not there, one clear error for what cannot be written or read, and nothing half fitted."""

from __future__ import annotations

import errno
import os
import stat
import threading

import numpy as np
import pytest

from wdl_tutorial.statefiles import all_or_nothing, check_writable, keep, read_state, write_state


def a_state(n: int = 1000) -> dict[str, np.ndarray]:
    return {"text": np.asarray('{"a": 1}'), "x": np.arange(float(n))}


def test_two_fits_that_write_to_one_path_at_once_leave_a_whole_file(tmp_path):
    path, failed = tmp_path / "fit.npz", []

    def write(k: int) -> None:
        try:
            for _ in range(40):
                write_state(path, a_state(20_000) | {"who": np.asarray(k)})
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(k,)) for k in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    arrays, _ = read_state(path, "fit")
    assert int(arrays["who"]) in (1, 2) and len(arrays["x"]) == 20_000
    assert [p.name for p in tmp_path.iterdir()] == ["fit.npz"]  # nothing lies about


def test_a_file_that_is_written_may_be_read_by_the_colleagues_who_could_before(tmp_path):
    before = os.umask(0o022)
    try:
        write_state(tmp_path / "fit.npz", a_state())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "fit.npz").stat().st_mode) == 0o644


def test_a_path_that_takes_no_file_is_refused_before_the_work(tmp_path, monkeypatch):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check_writable(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"fit.npz cannot be written: there is no folder .*missing. Make it"):
        check_writable(tmp_path / "missing" / "fit.npz")

    def refused(file, mode="r", *args, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(file))

    monkeypatch.setattr("builtins.open", refused)  # as in a folder that is read-only, which root does not notice
    with pytest.raises(
        PermissionError, match=r"fit.npz cannot be written \(Permission denied\). Give a path in a folder"
    ):
        check_writable(tmp_path / "fit.npz")


def full_disk(file, **arrays):
    file.write(b"some bytes")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "fit.npz"
    write_state(path, a_state(3))
    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match=r"fit.npz was not written: No space left") as told:
        write_state(path, a_state())
    assert told.value.errno == errno.ENOSPC
    assert len(read_state(path, "fit")[0]["x"]) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["fit.npz"]


def test_a_checkpoint_that_finds_no_room_warns_and_the_fit_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.warns(UserWarning, match=r"could not be kept, and the fit goes on without it. .*fit.npz .*No space"):
        keep(tmp_path / "fit.npz", lambda: write_state(tmp_path / "fit.npz", a_state()))


@pytest.mark.parametrize("text", ["[1, 2]", "not json", "3"])
def test_a_file_with_another_text_is_named(tmp_path, text):
    np.savez(tmp_path / "odd.npz", text=np.asarray(text))
    with pytest.raises(ValueError, match=r"odd.npz is no fit, or is damaged"):
        read_state(tmp_path / "odd.npz", "fit")


def test_a_fit_that_fails_leaves_what_was_there():
    class Estimator:
        pass

    held = Estimator()
    held.setting, held.atoms_ = 3, "old"
    with pytest.raises(KeyboardInterrupt), all_or_nothing(held):
        held.atoms_, held.loss_ = "new", 1.0
        raise KeyboardInterrupt
    assert vars(held) == {"setting": 3, "atoms_": "old"}
    with all_or_nothing(held):
        held.atoms_ = "new"
    assert held.atoms_ == "new"
