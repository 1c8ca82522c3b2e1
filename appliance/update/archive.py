# SPDX-License-Identifier: GPL-3.0-or-later
"""The payload of a bundle: a tar archive, packed by xz, of plain files in plain directories.

What is in it is named by what may be there, not by what may not: each part of a path is made of
letters, digits and a few signs, and begins with a letter, a digit or `_`; at the top lie
directories only. Owners, modes and dates are not taken over.
"""

import io
import lzma
import re
import tarfile
from collections.abc import Iterator, Mapping

from appliance.errors import ApplianceError
from appliance.update.manifest import Manifest

#: What makes the program start.
ENTRY = "appliance/__init__.py"
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]{0,99}", re.ASCII)
_MAX_PATH, _MAX_DEPTH = 200, 12
#: Bytes that a tar archive has beyond a file: its header, and what fills up a block.
_BLOCK = 512
_OVERHEAD = 4 * _BLOCK
#: Of the unpacking, which a small board can spare.
_MEMORY = 96 << 20


def pack(files: Mapping[str, bytes]) -> bytes:
    """Pack files; the same ones give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            tar.addfile(member, io.BytesIO(files[name]))
    return lzma.compress(buffer.getvalue(), preset=6)


def unpack(payload: bytes, manifest: Manifest) -> dict[str, bytes]:
    """Give paths and contents. ApplianceError where anything is in it that ought not to be."""
    try:
        files = dict(_members(_tar(payload, manifest), manifest))
    except (lzma.LZMAError, tarfile.TarError, EOFError, ValueError) as error:
        raise ApplianceError(
            f"the update cannot be unpacked: {error}", hint="get it anew"
        ) from None
    if ENTRY not in files:
        raise ApplianceError("there is no program in the update", hint="get it anew")
    return files


def _tar(payload: bytes, manifest: Manifest) -> bytes:
    """Undo xz, as far as the manifest says that there is something."""
    limit = manifest.unpacked + (manifest.files + 2) * _OVERHEAD + 20 * _BLOCK
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
    data = unpacker.decompress(payload, limit)
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("there is more in it than it says")
    return data


def _members(data: bytes, manifest: Manifest) -> Iterator[tuple[str, bytes]]:
    total, seen = 0, set[str]()
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        for member in tar:
            name = member.name
            _check_name(name)
            if member.type == tarfile.DIRTYPE:
                continue
            if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse:
                raise ValueError(f"{name} is neither file nor directory")
            if "/" not in name:
                raise ValueError(f"{name} lies in no directory")
            if name in seen or any(above in seen for above in _above(name)):
                raise ValueError(f"{name} is in it twice")
            seen.add(name)
            total += member.size
            if len(seen) > manifest.files or total > manifest.unpacked:
                raise ValueError("there is more in it than it says")
            file = tar.extractfile(member)
            yield name, b"" if file is None else file.read()
    if any(above in seen for name in seen for above in _above(name)):
        raise ValueError("a file is a directory too")
    if (len(seen), total) != (manifest.files, manifest.unpacked):
        raise ValueError("there is less in it than it says")


def _above(name: str) -> Iterator[str]:
    """Give the directories that a file lies in."""
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def _check_name(name: str) -> None:
    parts = name.split("/")
    good = all(_PART.fullmatch(part) for part in parts)
    if not good or len(name) > _MAX_PATH or len(parts) > _MAX_DEPTH:
        raise ValueError(f"{name!a:.60} is no name for a file of the program")
