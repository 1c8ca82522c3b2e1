# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of the program beside one another, each in a directory of its own, whole or not there.

    0.2.0-1f2e3d4c/    appliance/ webui/ ... with bytecode; named after version and content
    keys/              keys that the owner trusts (`*.pub`)
    chosen             which one is to run (`appliance/update/choice.py`)
    .new               one that is being written; the next installation removes it

A version is written into `.new`, each file and directory is synced, then it gets its name in one
rename, then the directory of versions is synced: a name stands for a whole version at every moment.
"""

import importlib.util
import marshal
import os
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.update.archive import ENTRY
from appliance.update.manifest import Manifest
from appliance.update.version import is_version

KEYS = "keys"
_NEW = ".new"
_DIGITS = 8
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: PEP 552: the bytecode goes with the source by its hash, which nobody checks at a start.
_UNCHECKED_HASH = (0b01).to_bytes(4, "little")
#: Bytes of a file's last block and its inode, and what bytecode takes beside a byte of source.
_BLOCK, _BYTECODE, _RESERVE = 4096 + 256, 1.2, 1 << 20


def directory_name(manifest: Manifest) -> str:
    """Name the directory of a version."""
    return f"{manifest.version}-{manifest.sha256[:_DIGITS]}"


def version_in(name: str) -> str:
    """Say which version a directory is named after; "" where it is none of a version."""
    version, _, digits = name.rpartition("-")
    is_one = is_version(version) and len(digits) == _DIGITS and digits.isalnum()
    return version if is_one else ""


def installed(folder: Path) -> tuple[str, ...]:
    """Name the directories of versions that are there."""
    with suppress(OSError):
        names = [each.name for each in folder.iterdir() if version_in(each.name)]
        return tuple(sorted(name for name in names if (folder / name / ENTRY).is_file()))
    return ()


def prune(folder: Path, keep: Collection[str]) -> None:
    """Remove what an installation that was broken off has left, and versions not to be kept."""
    for name in (_NEW, *installed(folder)):
        if name not in keep:
            # First the name goes: what is half removed has none that counts.
            doomed = folder / _NEW
            if name != _NEW:
                (folder / name).rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)


def require_room(folder: Path, manifest: Manifest) -> None:
    """Refuse what will not fit; ApplianceError."""
    blocks = 2 * manifest.files * _BLOCK
    need = int(manifest.unpacked * (1 + _BYTECODE)) + blocks + _RESERVE
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if free < need:
        raise no_room(f"there is no room for the update: it needs {need >> 20} MB where "
                      f"{free >> 20} MB are free")  # fmt: skip


def no_room(what: str = "there is no room for the update") -> ApplianceError:
    """Say that the place of versions is full."""
    return ApplianceError(what, hint="settings and versions lie there, not the share: flash anew")


def install(folder: Path, name: str, files: Mapping[str, bytes]) -> None:
    """Write a version, unless it is there; where that fails, nothing of it is left."""
    if (folder / name).is_dir():
        return
    top = os.open(folder, _DIRECTORY)
    try:
        os.mkdir(_NEW.encode(), 0o755, dir_fd=top)
        _write_tree(top, files, folder / name)
        os.rename(_NEW.encode(), name.encode(), src_dir_fd=top, dst_dir_fd=top)
        os.fsync(top)
    except (OSError, ApplianceError):
        shutil.rmtree(folder / _NEW, ignore_errors=True)
        raise
    finally:
        os.close(top)


def _write_tree(top: int, files: Mapping[str, bytes], final: Path) -> None:
    """Write all files and directories into `.new`, bytecode too, and sync each of them."""
    new = os.open(_NEW.encode(), _DIRECTORY, dir_fd=top)
    os.fchmod(new, 0o755)
    directories = {"": new}
    try:
        for name, data in sorted(files.items()):
            above, _, own = name.rpartition("/")
            _write(_directory(directories, above), own, data)
            if own.endswith(".py"):
                cache = _directory(directories, f"{above}/__pycache__")
                _write(cache, _cache_name(own), bytecode(data, final / name))
        for fd in reversed(directories.values()):
            os.fsync(fd)
    finally:
        for fd in directories.values():
            os.close(fd)


def _directory(directories: dict[str, int], path: str) -> int:
    """Give the descriptor of a directory, made with those above it where it is not there yet."""
    if path not in directories:
        above, _, own = path.rpartition("/")
        parent = _directory(directories, above)
        os.mkdir(own.encode(), 0o755, dir_fd=parent)
        directories[path] = os.open(own.encode(), _DIRECTORY, dir_fd=parent)
        os.fchmod(directories[path], 0o755)
    return directories[path]


def _write(directory: int, name: str, data: bytes) -> None:
    fd = os.open(name.encode(), _CREATE, 0o644, dir_fd=directory)
    try:
        os.fchmod(fd, 0o644)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def _cache_name(name: str) -> str:
    return Path(importlib.util.cache_from_source(name)).name


def bytecode(source: bytes, path: Path) -> bytes:
    """Compile a module as it will lie at `path`; ApplianceError where this Python cannot."""
    try:
        code = compile(source, str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        what = f"this system's Python cannot run the update: {error}"
        raise ApplianceError(what, hint="flash the image of that version") from None
    head = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(source)
    return head + marshal.dumps(code)
