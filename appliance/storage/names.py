# SPDX-License-Identifier: GPL-3.0-or-later
"""Names: what lies on the disk as bytes, and what the PC sees as a string.

| on the disk                    | what the PC sees                                            |
|--------------------------------|-------------------------------------------------------------|
| UTF-8, up to 254 UTF-16 units  | the same name, whatever the script; also `:`, `*` and `?`   |
| bytes that are not UTF-8       | `�` for each, and `~` with 8 digits before the extension    |
| more than 254 UTF-16 units     | the beginning, and `~` with 8 digits before the extension   |
| names that differ in case only | both                                                        |
| names that begin with a dot    | shown; where the storage hides them, not shown and refused  |
| links, FIFOs, sockets, devices | nothing: they are not followed, read or counted             |
| a folder where a disk is       | nothing: serve it as a storage of its own                   |
| mounted                        |                                                             |
| an ext file system's closed    | nothing: it is for repairs; where it is open to more than   |
| `lost+found`                   | its owner, there may be something in it, and it is shown    |

The digits come from the name's bytes, so that such a name is unique and stays the same.
A name from the PC is one component: no `/`, no NUL, not `.` or `..`, at most 255 bytes of UTF-8.
The workplace's name (`STAGING`) is neither shown nor accepted, in any folder; nor are names that a
FAT or exFAT file system takes for it, which knows no case and drops dots and spaces at the end.
File systems have more names for a file than they list, FAT `MTP-AP~1` for the workplace: what is
there by a name that is not listed is nothing to be had by it (`Lookup.listed_as`, `Directories`).
"""

import re
from zlib import crc32

from appliance.errors import ApplianceError

#: Where uploads lie until they are whole; in the root of each storage, and never shown.
STAGING = b".mtp-appliance"
#: What in there outlives the program: what was deleted, and what objects refer to.
TRASH = b"trash"
STATE = b"state"

#: Where e2fsck puts what it has found; root's.
LOST_AND_FOUND = b"lost+found"

MAX_UNITS = 254
MAX_BYTES = 255
_MAX_EXTENSION = 16
_DIGITS = re.compile(r"~[0-9a-f]{8}(\.|$)")
_PLAIN = re.compile(
    rb"(?!con|prn|aux|nul|com|lpt)[a-z0-9_()+=@ .-]{0,99}[a-z0-9_()]", re.IGNORECASE
)


class BadNameError(ValueError):
    """A name that no file here can have."""


def to_disk(name: str) -> bytes:
    """Check a name that a PC sent; its bytes on the disk."""
    try:
        raw = name.encode("utf-8")
    except UnicodeEncodeError:
        raise BadNameError("unpaired surrogate") from None
    if raw in (b"", b".", b"..") or _means_staging(raw):
        raise BadNameError("reserved")
    if b"/" in raw or b"\0" in raw:
        raise BadNameError("more than one component")
    if len(raw) > MAX_BYTES:
        raise BadNameError(f"{len(raw)} bytes, at most {MAX_BYTES}")
    return raw


def to_pc(raw: bytes) -> str:
    """Find the name that a PC sees."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return _substitute(raw)
    if len(text) <= MAX_UNITS // 2 or _units(text) <= MAX_UNITS:
        return text
    return _substitute(raw)


def cut_bytes(raw: bytes, size: int) -> bytes:
    """Shorten a name to a number of bytes, not within a letter."""
    if len(raw) <= size:
        return raw
    while size and raw[size] & 0xC0 == 0x80:  # in the middle of UTF-8's letters
        size -= 1
    return raw[:size]


def as_logged(name: str) -> bytes:
    """Make bytes of any name for the log: a report leaves out what `%a` makes of them."""
    return name.encode("utf-8", "surrogatepass")


def may_be_made_up(name: str) -> bool:
    """Whether a name looks like one that stands for a name that cannot be shown."""
    return _DIGITS.search(name) is not None


def is_plain(raw: bytes) -> bool:
    """Whether every file system can hold a name: short, of letters and digits, and no device's."""
    return _PLAIN.fullmatch(raw) is not None


def are_alike(one: bytes, other: bytes) -> bool:
    """Whether a file system that knows no case may take two names for one."""
    return _folded(one) == _folded(other)


def is_hidden(raw: bytes) -> bool:
    """Whether a name is hidden by the custom of Unix."""
    return raw.startswith(b".")


def is_component(raw: bytes) -> bool:
    """Whether bytes that somebody wrote down can be one component of a path in a storage."""
    return raw not in (b"", b".", b"..") and not {0, 0x2F} & set(raw) and not _means_staging(raw)


def _means_staging(raw: bytes) -> bool:
    return raw.rstrip(b". ").lower() == STAGING


def _folded(raw: bytes) -> str:
    return raw.rstrip(b". ").decode("utf-8", "replace").casefold()


def _substitute(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")
    stem, dot, extension = text.rpartition(".")
    if not stem or len(extension) > _MAX_EXTENSION:
        stem, dot, extension = text, "", ""
    tail = f"~{crc32(raw):08x}{dot}{extension}"
    return _cut(stem, MAX_UNITS - _units(tail)) + tail


def _cut(text: str, units: int) -> str:
    """Shorten to a number of UTF-16 units without cutting a surrogate pair."""
    return text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore")


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _is_unfit(character: str) -> bool:
    """Whether no storage's name can hold it: `/`, control characters, what no UTF-16 can say."""
    return character in "/\x7f" or character < " " or "\ud800" <= character <= "\udfff"


def check_name(name: str, taken: set[str]) -> None:
    """Refuse what no storage can be called, or beside others that are `taken`."""
    if not name.strip() or len(name) > 100 or any(map(_is_unfit, name)):
        raise ApplianceError(
            f"{name!a} cannot be a storage's name", hint="1 to 100 characters without /"
        )
    if name in taken:
        raise ApplianceError(
            f"two storages are named {name}", hint="give one another name: NAME=FOLDER"
        )
