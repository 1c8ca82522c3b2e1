# SPDX-License-Identifier: GPL-3.0-or-later
"""The system calls by which a storage works, each told of before it is made.

Python's own audit hook knows of half of them: not of stat, readlink, reads, writes, syncs and
copies, nor of renameat2, by which all moves and renames are done.
"""

import os
from collections.abc import Callable
from typing import Any

from appliance.storage import syscalls

#: All that `appliance/storage` asks of the file system by `os`; a test holds that.
CALLS = (
    *("open", "mkdir", "unlink", "rmdir", "rename", "fsync", "fdatasync", "read", "write"),
    *("pwrite", "preadv", "ftruncate", "copy_file_range", "stat", "fstat", "fstatvfs", "access"),
    *("scandir", "utime", "fchmod", "readlink", "posix_fadvise", "link"),
)
#: And by the C library.
OTHERS = ("_renameat2", "file_handle", "birth_time", "start_writing_out", "sync_file_system")
_OWN = "/proc/self/fd/"
_readlink = os.readlink

#: Says what a call is about: paths, as far as the kernel knows them.
About = Callable[[], list[str]]


def tell_of_calls(tell: Callable[[About], None]) -> None:
    """Call `tell` before each of them from now on, for the rest of this process."""
    for name in CALLS:
        setattr(os, name, _telling(getattr(os, name), tell))
    for name in OTHERS:
        setattr(syscalls, name, _telling(getattr(syscalls, name), tell))


def _telling(original: Callable[..., Any], tell: Callable[[About], None]) -> Callable[..., Any]:
    def call(*words: Any, **more: Any) -> Any:
        tell(lambda: _about(words, more))
        return original(*words, **more)

    return call


def _about(words: tuple[Any, ...], more: dict[str, Any]) -> list[str]:
    """Say which places a call's arguments name: by a descriptor, or by one and a name in it."""
    folders = [more[each] for each in ("dir_fd", "src_dir_fd", "dst_dir_fd") if more.get(each)]
    names = [os.fsdecode(each) for each in words if isinstance(each, bytes | str)]
    descriptors = [each for each in words if isinstance(each, int)]
    if not names:
        return [_place(each) for each in descriptors[:1]]
    if names[0].startswith(_OWN):
        return [_readlink(names[0])]
    folders = folders or descriptors  # as renameat2 and others take them, before each name
    if not folders or names[0].startswith("/"):
        return names
    return [f"{_place(folders[min(i, len(folders) - 1)])}/{name}" for i, name in enumerate(names)]


def _place(fd: int) -> str:
    return _readlink(f"{_OWN}{fd}")
