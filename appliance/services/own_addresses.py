# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of this machine, as the kernel tells everyone: no socket is needed to ask.

Spec: proc_pid_net(5) for if_inet6; for fib_trie the kernel's net/ipv4/fib_trie.c.
"""

import ipaddress
from collections.abc import Iterator
from pathlib import Path

_NET = Path("/proc/self/net")


def own_addresses(net: Path = _NET) -> tuple[str, ...]:
    """Give the addresses of all interfaces, as text without a zone."""
    return tuple(sorted({*_four(_lines(net / "fib_trie")), *_six(_lines(net / "if_inet6"))}))


def _four(lines: list[str]) -> Iterator[str]:
    """Find what is local: an address on a line of its own, below it `/32 host LOCAL`."""
    address = ""
    for line in lines:
        words = line.split()
        if words[:1] == ["|--"]:
            address = words[1]
        elif words[:3] == ["/32", "host", "LOCAL"]:
            yield address


def _six(lines: list[str]) -> Iterator[str]:
    """Read the address that a line begins with, in 32 hexadecimal digits."""
    for line in lines:
        yield str(ipaddress.IPv6Address(int(line.split()[0], 16)))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:  # a kernel without that protocol
        return []
