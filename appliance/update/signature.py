# SPDX-License-Identifier: GPL-3.0-or-later
"""Ed25519 (RFC 8032) by PyNaCl: the only module that knows it, and imports it when it is needed."""

# ruff: noqa: PLC0415
from appliance.errors import ApplianceError

SIGNATURE_SIZE = 64


def is_signed_by(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the owner of a key has signed a message."""
    _require_nacl()
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    try:
        VerifyKey(public).verify(message, signature)
    except BadSignatureError:
        return False
    return True


def sign(secret: bytes, message: bytes) -> bytes:
    """Sign a message; the same key and message give the same signature."""
    _require_nacl()
    from nacl.signing import SigningKey

    return bytes(SigningKey(secret).sign(message).signature)


def make_secret() -> bytes:
    """Make a key that nobody else has."""
    _require_nacl()
    from nacl.signing import SigningKey

    return bytes(SigningKey.generate())


def public_of(secret: bytes) -> bytes:
    """Give the half of a key that may be known."""
    _require_nacl()
    from nacl.signing import SigningKey

    return bytes(SigningKey(secret).verify_key)


def _require_nacl() -> None:
    try:
        import nacl.signing  # noqa: F401
    except ImportError:
        what = "signatures cannot be checked here: PyNaCl is missing"
        raise ApplianceError(what, hint="apt install python3-nacl") from None
