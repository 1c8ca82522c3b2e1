# SPDX-License-Identifier: GPL-3.0-or-later
"""Unplugged at any time: the old file or the new one, whole, and what was answered OK is there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.storage import WriteSafety, flushing
from appliance.storage.upload import StagedUpload
from tests.unit.storage.power_cuts import Scenario, Starts, check, play
from tests.unit.storage.recorder import Recorder

ACTS = 14
SAFETIES = pytest.mark.parametrize("safety", WriteSafety)


@SAFETIES
@pytest.mark.parametrize("seed", range(10))
def test_the_power_fails_at_any_step(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, safety: WriteSafety
) -> None:
    (root / "old").write_bytes(b"was there before")
    (root / "folder").mkdir()
    (root / "folder" / "below").write_bytes(b"was below before")
    scenario = Scenario(root, safety, monkeypatch)
    play(scenario, seed, ACTS)
    scenario.close()
    starts = Starts(tmp_path / "started")
    assert check(scenario, starts) == []
    assert len(starts) > ACTS


def replace_and_delete(scenario: Scenario) -> None:
    scenario.upload("old")
    scenario.upload("new")
    scenario.make_folder("folder")
    scenario.upload("folder/file")
    scenario.move("new", "folder")
    scenario.rename("old", "renamed")
    scenario.delete("folder/file")
    scenario.close()


def nothing(*_: object) -> Callable[[int], None]:
    """Do not sync, nor note that something was."""
    return lambda _: None


@SAFETIES
@pytest.mark.parametrize(
    ("owner", "functions"),
    [
        (None, ()),
        (StagedUpload, ("sync",)),
        (Recorder, ("_fdatasync",)),
        (Recorder, ("_fsync",)),
        (flushing, ("sync",)),
    ],
    ids=["as it is", "no sync of uploads", "no fdatasync", "no fsync", "no sync of folders"],
)
def test_what_does_not_sync_is_found_out(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    safety: WriteSafety,
    owner: object,
    functions: tuple[str, ...],
) -> None:
    (root / "old").write_bytes(b"was there before")
    if owner is not None:
        monkeypatch.setattr(Recorder, "_sync_all", nothing)
    for name in functions:
        monkeypatch.setattr(owner, name, nothing)
    scenario = Scenario(root, safety, monkeypatch)
    replace_and_delete(scenario)
    wrong = check(scenario, Starts(tmp_path / "started"))
    assert bool(wrong) is (owner is not None), wrong
