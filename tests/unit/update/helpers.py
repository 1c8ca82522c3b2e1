# SPDX-License-Identifier: GPL-3.0-or-later
"""A small program, keys made for the test, and bundles that are as they should not be."""

import hashlib
import io
import lzma
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from appliance.update import bundle, signature
from appliance.update.archive import pack
from appliance.update.keys import PublicKey, SecretKey
from appliance.update.manifest import Manifest

PROGRAM: Mapping[str, bytes] = {
    "appliance/__init__.py": b'__version__ = "9.1.0"\n',
    "appliance/cli/__init__.py": b"def main():\n    return 0\n",
    "appliance/data/icon.ico": bytes(range(256)) * 20,
    "functionfs/__init__.py": b"",
    "webui/__init__.py": b"",
    "webui/static/style.css": b"body { }\n",
}
BASE = 1
SECRET = SecretKey(signature.make_secret(), "the maker")
KEY = PublicKey(signature.public_of(SECRET.raw), "the maker")
OTHER_SECRET = SecretKey(signature.make_secret(), "somebody")


def manifest_of(files: Mapping[str, bytes], payload: bytes, /, **values: Any) -> Manifest:
    """Describe a payload; `values` are what is to be said otherwise."""
    usual = Manifest(
        version="9.1.0",
        base=BASE,
        size=len(payload),
        sha256=hashlib.sha256(payload).hexdigest(),
        files=len(files),
        unpacked=sum(map(len, files.values())),
        date="2026-11-29",
        notes="- It is better.",
    )
    return replace(usual, **values)


def make_bundle(
    files: Mapping[str, bytes] = PROGRAM, secret: SecretKey = SECRET, **values: Any
) -> bytes:
    """Make a bundle, good but for what `values` say."""
    payload = pack(files)
    return bundle.encode(manifest_of(files, payload, **values), payload, secret)


def tar_of(members: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """Pack what no honest maker packs."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return lzma.compress(buffer.getvalue())


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    """Describe a member of an archive."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info
