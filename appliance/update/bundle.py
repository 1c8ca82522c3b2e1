# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle: one file that holds a version of the program, signed.

| offset | size | what it is                                                                     |
|--------|------|--------------------------------------------------------------------------------|
| 0      | 8    | `MTPUPD1\\n`                                                                    |
| 8      | 4    | length of the manifest, little endian                                          |
| 12     | 8    | id of the key: the beginning of the SHA-256 of the public key                  |
| 20     | 64   | Ed25519 signature of bytes 0 to 19 and the manifest                            |
| 84     | n    | manifest (`appliance/update/manifest.py`), with size and SHA-256 of the payload|
| 84 + n | rest | payload (`appliance/update/archive.py`)                                        |

Nothing behind the signature is looked at before it is known to be good, and the payload not before
its digest is. A bundle is small enough to be held in memory: what was checked is what is unpacked.
"""

import hashlib
import os
import stat
import struct
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.update import manifest as manifests
from appliance.update.keys import ID_SIZE, PublicKey, SecretKey
from appliance.update.manifest import MAX_PAYLOAD, Manifest
from appliance.update.signature import SIGNATURE_SIZE, is_signed_by, public_of, sign

SUFFIX = ".mtp-update"
MAGIC = b"MTPUPD1\n"
MAX_MANIFEST = 1 << 16
_SIGNED = struct.Struct(f"<8sI{ID_SIZE}s")
HEADER_SIZE = _SIGNED.size + SIGNATURE_SIZE
MAX_SIZE = HEADER_SIZE + MAX_MANIFEST + MAX_PAYLOAD
_GET_ANEW = "get it anew"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose signature is good; `key` is whose it is."""

    manifest: Manifest
    payload: bytes
    key: PublicKey


def encode(manifest: Manifest, payload: bytes, secret: SecretKey) -> bytes:
    """Make a bundle. The same input gives the same bytes."""
    text = manifests.encode(manifest)
    key = PublicKey(public_of(secret.raw))
    head = _SIGNED.pack(MAGIC, len(text), key.id)
    return head + sign(secret.raw, head + text) + text + payload


def read(path: Path, keys: Collection[PublicKey]) -> Bundle:
    """Read a bundle from a file. ApplianceError says why it is refused."""
    return decode(_content(path), keys)


def decode(data: bytes, keys: Collection[PublicKey]) -> Bundle:
    """Read a bundle that is signed with one of `keys`. ApplianceError says why it is refused."""
    _check_magic(data)
    if len(data) < HEADER_SIZE:
        raise _cut_short()
    _, length, key_id = _SIGNED.unpack_from(data)
    if not 0 < length <= MAX_MANIFEST:
        raise _altered()
    text, payload = data[HEADER_SIZE : HEADER_SIZE + length], data[HEADER_SIZE + length :]
    if len(text) < length:
        raise _cut_short()
    signature = data[_SIGNED.size : HEADER_SIZE]
    key = _signer(keys, key_id, signature, data[: _SIGNED.size] + text)
    manifest = manifests.decode(text)
    _check_payload(manifest, payload)
    return Bundle(manifest, payload, key)


def _check_magic(data: bytes) -> None:
    if data[: len(MAGIC)] == MAGIC:
        return
    if data[:6] == MAGIC[:6] and len(data) > len(MAGIC):
        what = "the update is of a later format than this version knows"
        raise ApplianceError(what, hint="flash a new image")
    if data and MAGIC.startswith(data):
        raise _cut_short()
    raise ApplianceError("this is no update of the appliance", hint=f"its name ends in {SUFFIX}")


def _signer(
    keys: Collection[PublicKey], key_id: bytes, signature: bytes, message: bytes
) -> PublicKey:
    """Say whose signature it is."""
    if not keys:
        what = "this appliance has no key to check updates with"
        raise ApplianceError(what, hint="mtp-appliance update trust KEY.pub")
    if not any(signature):
        raise ApplianceError("the update is not signed", hint="take one from who made the image")
    known = [key for key in keys if key.id == key_id]
    if not known:
        what = f"the update is signed with a key that is not trusted here: {key_id.hex()}"
        raise ApplianceError(
            what, hint="mtp-appliance update trust KEY.pub, if you know whose it is"
        )
    for key in known:
        if is_signed_by(key.raw, signature, message):
            return key
    raise _altered()


def _check_payload(manifest: Manifest, payload: bytes) -> None:
    if len(payload) < manifest.size:
        raise _cut_short()
    digest = hashlib.sha256(payload).hexdigest()
    if len(payload) > manifest.size or digest != manifest.sha256:
        raise _altered()


def _cut_short() -> ApplianceError:
    return ApplianceError("the update is cut short: its end is missing", hint=_GET_ANEW)


def _altered() -> ApplianceError:
    what = "the update is not what was signed: it has been altered or damaged"
    return ApplianceError(what, hint=_GET_ANEW)


def _content(path: Path) -> bytes:
    """Read a file whose place may be anybody's: no link, no device, no more than a bundle has."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ApplianceError(f"{path} is no file")
            with os.fdopen(fd, "rb", closefd=False) as file:
                data = file.read(MAX_SIZE + 1)
        finally:
            os.close(fd)
    except OSError as error:
        raise ApplianceError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_SIZE:
        raise ApplianceError(f"{path} is too large for an update", hint="is it an image? flash it")
    return data
