# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords, kept as what cannot be turned back into them.

    scrypt$LOG2_N$R$P$SALT$HASH         salt and hash in base64

The parameters stand with each hash, so that they can be raised without making old ones useless.
"""

import secrets
from base64 import b64decode, b64encode

LEAST, MOST = 8, 1024
_SCHEME = "scrypt"
#: 2 to the 13: 8 MB and about a second on the smallest board.
_LOG2_N, _R, _P = 13, 8, 1
_SALT, _HASH = 16, 32
#: Parameters that a file may ask for, so that a hostile one does not use up the memory.
_MOST_LOG2_N, _MOST_R, _MOST_P = 16, 16, 4
_MEMORY = 1 << 28


def complaint(password: str) -> str:
    """Say what is wrong with a password that somebody wants; nothing where it will do."""
    size = len(password.encode(errors="surrogateescape"))
    if size < LEAST:
        return f"is shorter than {LEAST} characters"
    return f"is longer than {MOST} bytes" if size > MOST else ""


def hash_password(password: str) -> str:
    """Hash a password with a salt of its own."""
    salt = secrets.token_bytes(_SALT)
    digest = _scrypt(password, salt, (_LOG2_N, _R, _P), _HASH)
    fields = (_SCHEME, _LOG2_N, _R, _P, b64encode(salt).decode(), b64encode(digest).decode())
    return "$".join(map(str, fields))


def verify_password(password: str, hashed: str) -> bool:
    """Whether it is the password; never with a hash that is none."""
    parsed = _parse(hashed)
    if parsed is None:
        return False
    cost, salt, digest = parsed
    import hmac  # noqa: PLC0415 - large, and seldom needed

    return hmac.compare_digest(_scrypt(password, salt, cost, len(digest)), digest)


def is_hash(text: str) -> bool:
    """Whether a text is a hash of ours."""
    return _parse(text) is not None


def _parse(hashed: str) -> tuple[tuple[int, int, int], bytes, bytes] | None:
    try:
        scheme, log2_n, r, p, salt, digest = hashed.split("$")
        numbers = int(log2_n), int(r), int(p)
        parts = b64decode(salt, validate=True), b64decode(digest, validate=True)
    except ValueError:
        return None
    sane = all(
        1 <= number <= most
        for number, most in zip(numbers, (_MOST_LOG2_N, _MOST_R, _MOST_P), strict=True)
    )
    if scheme != _SCHEME or not sane or len(parts[0]) < _SALT or len(parts[1]) < _HASH:
        return None
    return numbers, *parts


def _scrypt(password: str, salt: bytes, cost: tuple[int, int, int], size: int) -> bytes:
    log2_n, r, p = cost
    secret = password.encode(errors="surrogateescape")
    import hashlib  # noqa: PLC0415 - large, and seldom needed

    return hashlib.scrypt(secret, salt=salt, n=1 << log2_n, r=r, p=p, dklen=size, maxmem=_MEMORY)
