# SPDX-License-Identifier: GPL-3.0-or-later
"""Where virtual machines are met, as people write it: [connect:](unix:PATH | tcp:HOST:PORT)."""

from appliance.values import dataclass

_CALLS = "connect:"
_HINT = "unix:/run/user/1000/share.sock or tcp:127.0.0.1:4000, with connect: before it"
#: Bytes of a socket's path that the kernel takes.
_LONGEST_PATH = 107


@dataclass(frozen=True, slots=True)
class GuestPlace:
    """A socket's path, or a host with a TCP port; `calls`: the virtual machine listens there."""

    path: str = ""
    host: str = ""
    port: int = 0
    calls: bool = False


def parse_guest_place(text: str) -> GuestPlace:
    """Read a place; ValueError for none."""
    calls = text.startswith(_CALLS)
    kind, _, rest = text.removeprefix(_CALLS).partition(":")
    if "\0" in text:
        raise ValueError(f"{text!r} is no place such as {_HINT}")
    if kind == "unix" and rest:
        if len(rest.encode("utf-8", "surrogateescape")) > _LONGEST_PATH:
            raise ValueError(f"the path of a socket has {_LONGEST_PATH} bytes at most")
        return GuestPlace(path=rest, calls=calls)
    host, colon, port = rest.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if kind != "tcp" or not colon or not host or not port.isdecimal():
        raise ValueError(f"{text!r} is no place such as {_HINT}")
    if int(port) > 0xFFFF:
        raise ValueError(f"{port} is no TCP port: the last one is 65535")
    return GuestPlace(host=host, port=int(port), calls=calls)
