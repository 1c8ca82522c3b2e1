# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what takes long to make, in $MTP_APPLIANCE_CACHE or the user's cache."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder(name: str) -> Path:
    """Where things of a kind are kept."""
    explicit = os.environ.get("MTP_APPLIANCE_CACHE")
    if explicit:
        return Path(explicit) / name
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mtp-appliance" / name


def key(parts: Iterable[str]) -> str:
    """Make a name of all that determines a thing."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def get(
    folder: Path,
    name: str,
    make: Callable[[Path], None],
    *,
    force: bool = False,
    forget: Callable[[Path], None] = shutil.rmtree,
) -> Path:
    """Give the directory `name` in `folder`; where it is not there, `make` fills it.

    Others of the same kind go: those whose names begin the same, up to a dash. Things of one kind
    are made one after the other. `forget` removes what making has left where it failed, and what it
    left where it was ended from outside.
    """
    wanted = folder / name
    with _locked(folder, _kind(name)):
        if force:
            shutil.rmtree(wanted, ignore_errors=True)
        if not wanted.is_dir():
            _make(wanted, make, forget)
            _prune(wanted)
    return wanted


@contextmanager
def _locked(folder: Path, kind: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"lock-{kind}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(wanted: Path, make: Callable[[Path], None], forget: Callable[[Path], None]) -> None:
    begun = f"making-{_kind(wanted.name)}-"
    for remains in wanted.parent.glob(f"{begun}*"):
        forget(remains)
    work = Path(tempfile.mkdtemp(dir=wanted.parent, prefix=begun))
    try:
        make(work)
        work.rename(wanted)
    finally:
        if work.exists():
            forget(work)


def _kind(name: str) -> str:
    return name.rpartition("-")[0]


def _prune(keep: Path) -> None:
    for each in keep.parent.iterdir():
        if each.is_dir() and each != keep and _kind(each.name) == _kind(keep.name):
            shutil.rmtree(each, ignore_errors=True)
