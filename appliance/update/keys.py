# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys as they lie in files, one a file, in one line of ASCII:

    mtp-appliance-public-key BASE64 NAME      may be known; whoever trusts it takes its bundles
    mtp-appliance-secret-key BASE64 NAME      signs; nobody but its owner may read it

BASE64 are the 32 bytes of Ed25519. NAME is for people.
"""

import binascii
import hashlib
import os
import stat
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from appliance.errors import ApplianceError
from appliance.settings.files import write_atomically

SUFFIX = ".pub"
#: Bytes of what a bundle says of its key.
ID_SIZE = 8
_PUBLIC, _SECRET = "mtp-appliance-public-key", "mtp-appliance-secret-key"
_KEY_SIZE = 32
_MAX_FILE, _MAX_NAME = 1000, 60
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with."""

    raw: bytes
    name: str = ""

    @property
    def id(self) -> bytes:
        """The beginning of its SHA-256: which key, not whether it is the one."""
        return hashlib.sha256(self.raw).digest()[:ID_SIZE]

    def __str__(self) -> str:
        return f"{self.id.hex()} {self.name}".rstrip()


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A key that signs. It never shows itself."""

    raw: bytes
    name: str = ""

    def __repr__(self) -> str:
        return f"SecretKey({self.name!r})"


_Key = TypeVar("_Key", PublicKey, SecretKey)


def parse_public(line: str) -> PublicKey:
    """Read a public key; ValueError where it is none, and where it is a secret one."""
    return PublicKey(*_parse(line, _PUBLIC))


def parse_secret(line: str) -> SecretKey:
    """Read a secret key; ValueError where it is none."""
    return SecretKey(*_parse(line, _SECRET))


def public_line(key: PublicKey) -> str:
    """Write a public key."""
    return f"{_PUBLIC} {b64encode(key.raw).decode()} {key.name}".rstrip() + "\n"


def secret_line(key: SecretKey) -> str:
    """Write a secret key."""
    return f"{_SECRET} {b64encode(key.raw).decode()} {key.name}".rstrip() + "\n"


def read_public(path: Path) -> PublicKey:
    """Read a file with a public key; ApplianceError where there is none in it."""
    return _read(path, parse_public)


def read_secret(path: Path) -> SecretKey:
    """Read a file with a secret key; ApplianceError also where others may read it."""
    key = _read(path, parse_secret)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ApplianceError(f"others may read {path}", hint=f"chmod 600 {path}")
    return key


def write_public(path: Path, key: PublicKey) -> None:
    """Write a file with a public key."""
    write_atomically(path, public_line(key).encode(), mode=0o644)


def trusted(folders: Iterable[Path]) -> tuple[PublicKey, ...]:
    """Give the keys in folders, each once; what is no key, or anybody's to write, counts not."""
    found = {key.raw: key for folder in folders for key in _keys_in(folder)}
    return tuple(found.values())


def _read(path: Path, parse: Callable[[str], _Key]) -> _Key:
    """Read the key in a file; ApplianceError."""
    try:
        with path.open("rb") as file:
            return parse(file.read(_MAX_FILE).decode("ascii"))
    except OSError as error:
        raise ApplianceError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ApplianceError(
            f"{path}: {error}", hint="docs/updates.md says how keys look"
        ) from None


def _keys_in(folder: Path) -> Iterator[PublicKey]:
    if not _is_ours_alone(folder):
        return
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            if _is_ours_alone(path):
                yield read_public(path)
        except ApplianceError:
            continue  # one bad file takes no other key away


def _is_ours_alone(path: Path) -> bool:
    """Whether only root, or who runs this, can have written something."""
    try:
        found = path.stat()
    except OSError:
        return False
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & _OTHERS_WRITE


def _parse(line: str, kind: str) -> tuple[bytes, str]:
    words = line.strip().split(" ", 2)
    if words[0] == _SECRET and kind == _PUBLIC:
        raise ValueError("is a secret key: keep it to yourself, and give its public half")
    if words[0] != kind or len(words) < 2 or "\n" in line.strip():
        raise ValueError("is no key")
    try:
        raw = b64decode(words[1], validate=True)
    except binascii.Error:
        raise ValueError("is a damaged key") from None
    if len(raw) != _KEY_SIZE:
        raise ValueError("is a damaged key")
    name = words[2] if len(words) > 2 else ""
    return raw, "".join(each for each in name if each.isprintable())[:_MAX_NAME]
