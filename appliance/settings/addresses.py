# SPDX-License-Identifier: GPL-3.0-or-later
"""Where to listen, as people write it: ADDRESS[:PORT]."""

import re

#: IANA's port for PTP/IP.
DEFAULT_PORT = 15740

_ADDRESS = (
    r"\[(?P<six>[^\[\]]+)\](:(?P<a>\d+))?"
    r"|(?P<bare>[^\[\]]*:[^\[\]]*:[^\[\]]*)"
    r"|(?P<host>[^:\[\]]+)(:(?P<b>\d+))?"
)


def parse_address(text: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """Read ADDRESS[:PORT]; an IPv6 address with a port stands in brackets. ValueError for none."""
    match = re.fullmatch(_ADDRESS, text)
    if match is None or "\0" in text:
        raise ValueError(f"{text!r} is no ADDRESS[:PORT], such as 0.0.0.0:{default_port}")
    host = match["six"] or match["bare"] or match["host"]
    port = int(match["a"] or match["b"] or default_port)
    if port > 0xFFFF:
        raise ValueError(f"{port} is no TCP port: the last one is 65535")
    return host, port
