# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage for pi-gen, by pi-gen's own contract: its variables, its functions, its file names."""

import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from image import base

ROOT = Path(__file__).parent.parent.parent
STAGE = ROOT / "image/stage-mtp-appliance"
CONFIG = ROOT / "pi-gen-config"
#: What pi-gen runs in a directory of a stage, in this order for each number.
_STEP = re.compile(r"\d\d-(debconf|packages|packages-nr|patches|run\.sh|run-chroot\.sh)")
#: As pi-gen's scripts/common has them, but for the chroot: this root is no system that runs.
_COMMON = """
copy_previous() { mkdir -p "$ROOTFS_DIR" && cp -a "$PREV_ROOTFS_DIR/." "$ROOTFS_DIR/"; }
on_chroot() { cat >>"$WORK_DIR/chroot"; }
export -f copy_previous on_chroot
"""
#: As pi-gen's build.sh takes the lists: comments and empty lines away, one line.
_PACKAGES = r"s/#.*//; /^\s*$/d"


def bash(script: str, **variables: str | Path) -> str:
    environment = os.environ | {name: str(value) for name, value in variables.items()}
    done = subprocess.run(
        ["bash", "-ec", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_config_is_what_pi_gen_wants() -> None:
    names = (
        "IMG_NAME",
        "STAGE_LIST",
        "ENABLE_SSH",
        "ENABLE_CLOUD_INIT",
        "FIRST_USER_NAME",
        "RELEASE",
    )
    said = bash(
        f'source {CONFIG}; for n in {" ".join(names)}; do echo "${{!n}}"; done'
    ).splitlines()
    found = dict(zip(names, said, strict=True))
    assert found["STAGE_LIST"].split() == ["stage0", "stage1", str(STAGE)]
    assert (found["ENABLE_SSH"], found["ENABLE_CLOUD_INIT"]) == ("0", "0")
    assert found["RELEASE"] == base.SUITE
    # build.sh refuses any other name.
    assert re.fullmatch("[a-z][-a-z0-9_]*", found["FIRST_USER_NAME"])


def test_in_a_container_the_project_is_where_it_was_mounted(tmp_path: Path) -> None:
    copy = tmp_path / "config"
    copy.write_text(CONFIG.read_text())
    assert "/mtp-appliance/image/stage-mtp-appliance" in bash(f'source {copy}; echo "$STAGE_LIST"')


def test_pi_gen_is_pinned_to_the_commit_that_the_document_names() -> None:
    commit = bash(f"source {CONFIG}; echo $PI_GEN_COMMIT").strip()
    assert re.fullmatch("[0-9a-f]{40}", commit)
    assert commit in (ROOT / "docs/image.md").read_text()


def test_every_file_is_one_that_pi_gen_looks_at() -> None:
    assert {each.name for each in STAGE.iterdir() if each.is_file()} == {"prerun.sh"}
    steps = [step for folder in STAGE.iterdir() if folder.is_dir() for step in folder.iterdir()]
    assert len(steps) >= 3
    for step in steps:
        assert _STEP.fullmatch(step.name), step
        # What is not executable is left out without a word.
        assert step.suffix != ".sh" or "chroot" in step.name or os.access(step, os.X_OK)


def test_the_list_of_packages_is_the_recipes() -> None:
    path = STAGE / "00-appliance/00-packages-nr"
    taken = subprocess.check_output(["sed", _PACKAGES, path], text=True).split()
    assert tuple(taken) == base.packages()


@pytest.fixture
def stage(tmp_path: Path) -> dict[str, Path]:
    """Variables as build.sh exports them to a stage."""
    before = tmp_path / "stage1/rootfs"
    (before / "etc/ssh").mkdir(parents=True)
    (before / "etc/issue").write_text("Debian\n")
    (before / "proc").mkdir()
    return {
        "WORK_DIR": tmp_path,
        "DEPLOY_DIR": tmp_path / "deploy",
        "ROOTFS_DIR": tmp_path / "stage-mtp-appliance/rootfs",
        "PREV_ROOTFS_DIR": before,
    }


def test_the_stage_hands_over_the_root(stage: dict[str, Path]) -> None:
    for script in (STAGE / "prerun.sh", *sorted(STAGE.glob("*/*-run.sh"))):
        bash(f"{_COMMON}\ncd {script.parent}; ./{script.name}", **stage)
    with tarfile.open(stage["DEPLOY_DIR"] / "mtp-appliance-root.tar") as archive:
        names = archive.getnames()
    assert {"./etc/issue", "./proc"} <= set(names)
    assert [each.name for each in stage["DEPLOY_DIR"].iterdir()] == ["mtp-appliance-root.tar"]


def test_a_second_run_goes_on_from_what_is_there(stage: dict[str, Path]) -> None:
    kept = stage["ROOTFS_DIR"] / "kept"
    kept.parent.mkdir(parents=True)
    kept.touch()
    bash(f"{_COMMON}\n{STAGE}/prerun.sh", **stage)
    assert kept.exists()
    assert not (stage["ROOTFS_DIR"] / "etc").exists()
