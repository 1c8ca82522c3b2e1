# SPDX-License-Identifier: GPL-3.0-or-later
"""What must not leave the machine in a report, taken out of every text. Pure.

Serial numbers keep their last four digits, so that two reports of one unit can be told to be that.
"""

import re
from collections.abc import Iterable
from functools import partial

_MAC = re.compile(r"\b(?:[0-9A-Fa-f]{2}[:-]){3}((?:[0-9A-Fa-f]{2}[:-]){2}[0-9A-Fa-f]{2})\b")
_HASH = re.compile(r"scrypt\$[0-9]+\$[^\s\"']*")
_SECRET = re.compile(
    r"(?im)\b([\w.\-]*(?:psk|password|passphrase|secret|token|pwd)[\w.\-]*\"?\s*[=:]\s*)(.*)$"
)
#: A name of a file, as `%a` writes one into the log.
_NAME = re.compile(r"""\bb(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")""")
_LEAST = 6
_KEPT = 4


def redact(text: str, serials: Iterable[str] = ()) -> str:
    """Take secrets out of a text: hashes, passwords, MAC addresses, and the serial numbers."""
    text = _HASH.sub("(a password's hash)", text)
    text = _SECRET.sub(r"\1(left out)", text)
    text = _MAC.sub(r"xx:xx:xx:\1", text)
    for serial in sorted(set(serials), key=len, reverse=True):
        if len(serial) >= _LEAST:
            hidden = "x" * (len(serial) - _KEPT) + serial[-_KEPT:]
            found = re.compile(re.escape(serial), re.IGNORECASE)
            text = found.sub(partial(_instead, hidden), text)
    return text


def without_names(text: str) -> str:
    """Take names of files out of a log."""
    return _NAME.sub("(a name)", text)


def _instead(hidden: str, _: re.Match[str]) -> str:
    """Give the words as they are, whatever a template would make of them."""
    return hidden
