# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes down what a program does to a folder, as a model of a disk understands it.

Inside `recording`, all that changes or syncs files below the root is done and noted; syncing is
only noted. `replay` gives the model as it was after each step.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.storage import syscalls
from tests.unit.storage.disk_model import ROOT, Disk, Name, Update

Note = Callable[[Disk], None]
_EXCHANGE = 2


class Recorder:
    """Notes by number; what was there before counts as synced."""

    def __init__(self, root: Path) -> None:
        self._inodes: dict[int, int] = {root.stat().st_ino: ROOT}  # the kernel's, and ours
        self._last = ROOT
        self.notes: list[Note] = []
        for path in sorted(root.rglob("*")):
            self._know(path)
        self.notes.append(Disk.sync_all)

    def replay(self) -> Iterator[tuple[int, Disk]]:
        """Give the model after each note, with the number of notes until then."""
        disk = Disk()
        for number, note in enumerate(self.notes, 1):
            note(disk)
            yield number, disk

    @contextmanager
    def recording(self, patch: pytest.MonkeyPatch) -> Iterator[None]:
        """Note what is done inside the block."""
        with patch.context() as context:
            for name in ("open", "mkdir", "unlink", "rmdir", "rename", "fsync", "fdatasync"):
                context.setattr(os, name, getattr(self, f"_{name}")(getattr(os, name)))
            for name in ("write", "pwrite", "ftruncate"):
                context.setattr(os, name, self._changing(getattr(os, name), 0))
            context.setattr(os, "copy_file_range", self._changing(os.copy_file_range, 1))
            context.setattr(syscalls, "_renameat2", self._renameat2(syscalls._renameat2))
            context.setattr(syscalls, "sync_file_system", self._sync_all)
            yield

    def _know(self, path: Path) -> None:
        above = self._inodes[path.parent.stat().st_ino]
        inode = self._new(path.stat())
        name, is_folder = (above, os.fsencode(path.name)), path.is_dir()
        self.notes.append(lambda disk: disk.make(inode, name, is_folder=is_folder))
        if not is_folder:
            content = path.read_bytes()
            self.notes.append(lambda disk: disk.write(inode, content))

    def _new(self, status: os.stat_result) -> int:
        self._last += 1
        self._inodes[status.st_ino] = self._last
        return self._last

    def _of(self, fd: int) -> int | None:
        return self._inodes.get(os.fstat(fd).st_ino)

    def _name(self, name: bytes, directory_fd: int | None) -> Name | None:
        folder = None if directory_fd is None else self._of(directory_fd)
        return None if folder is None else (folder, name)

    def _inode(self, name: bytes, directory_fd: int) -> int:
        return self._inodes[os.stat(name, dir_fd=directory_fd, follow_symlinks=False).st_ino]

    # What stands in for the functions of `os`

    def _open(self, original: Callable[..., int]) -> Callable[..., int]:
        def call(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            fd = original(path, flags, mode, dir_fd=dir_fd)
            name = self._name(path, dir_fd) if flags & os.O_CREAT else None
            if name is not None:
                inode = self._new(os.fstat(fd))
                self.notes.append(lambda disk: disk.make(inode, name, is_folder=False))
            return fd

        return call

    def _mkdir(self, original: Callable[..., None]) -> Callable[..., None]:
        def call(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
            original(path, mode, dir_fd=dir_fd)
            name = self._name(path, dir_fd)
            if name is not None:
                inode = self._new(os.stat(path, dir_fd=dir_fd))
                self.notes.append(lambda disk: disk.make(inode, name, is_folder=True))

        return call

    def _unlink(self, original: Callable[..., None]) -> Callable[..., None]:
        def call(path: Any, *, dir_fd: int | None = None) -> None:
            original(path, dir_fd=dir_fd)
            name = self._name(path, dir_fd)
            if name is not None:
                self.notes.append(lambda disk: disk.remove(name))

        return call

    _rmdir = _unlink

    def _rename(self, original: Callable[..., None]) -> Callable[..., None]:
        def call(
            old: bytes, new: bytes, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
        ) -> None:
            original(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
            if src_dir_fd is not None and dst_dir_fd is not None:
                self._note_rename(src_dir_fd, old, dst_dir_fd, new)

        return call

    def _renameat2(self, original: Callable[..., int]) -> Callable[..., int]:
        def call(old_fd: int, old: bytes, new_fd: int, new: bytes, flag: int = 1) -> int:
            error = original(old_fd, old, new_fd, new, flag)
            if error == 0 and flag == _EXCHANGE:
                self._note_exchange(old_fd, old, new_fd, new)
            elif error == 0:
                self._note_rename(old_fd, old, new_fd, new)
            return error

        return call

    def _note_rename(self, old_fd: int, old: bytes, new_fd: int, new: bytes) -> None:
        before, after = self._name(old, old_fd), self._name(new, new_fd)
        inode = self._inode(new, new_fd)
        assert before
        assert after
        self.notes.append(lambda disk: disk.rename(inode, before, after))

    def _note_exchange(self, first_fd: int, first: bytes, second_fd: int, second: bytes) -> None:
        one, other = self._name(first, first_fd), self._name(second, second_fd)
        assert one
        assert other
        updates = (
            Update(one, self._inode(first, first_fd)),
            Update(other, self._inode(second, second_fd)),
        )
        self.notes.append(lambda disk: disk.exchange(*updates))

    def _changing(self, original: Callable[..., Any], position: int) -> Callable[..., Any]:
        """Note, after a call, what the file of its parameter at `position` holds."""

        def call(*arguments: Any) -> Any:
            result = original(*arguments)
            fd = arguments[position]
            inode = self._of(fd) if stat.S_ISREG(os.fstat(fd).st_mode) else None
            if inode is not None:
                content = Path(f"/proc/self/fd/{fd}").read_bytes()
                self.notes.append(lambda disk: disk.write(inode, content))
            return result

        return call

    def _fsync(self, _: Callable[[int], None]) -> Callable[[int], None]:
        def call(fd: int) -> None:
            inode = self._of(fd)
            if inode is not None:
                self.notes.append(lambda disk: disk.sync(inode))

        return call

    _fdatasync = _fsync

    def _sync_all(self, _: int) -> None:
        self.notes.append(Disk.sync_all)
