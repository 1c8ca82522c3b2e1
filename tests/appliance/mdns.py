# SPDX-License-Identifier: GPL-3.0-or-later
"""A question to all at the cable, as a PC asks it: python -m tests.appliance.mdns NAME ADDRESS.

ADDRESS is one's own; prints the IPv4 address that NAME.local has, or fails.
"""

import socket
import struct
import sys
import time

_GROUP, _PORT = "224.0.0.251", 5353
_A, _IN = 1, 1
_TRIES = 20


def question(name: str) -> bytes:
    """Build a query for NAME.local."""
    labels = b"".join(bytes([len(each)]) + each for each in (name.encode(), b"local"))
    return struct.pack(">6H", 0, 0, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, _A, _IN)


def answer(packet: bytes, name: str) -> str | None:
    """Find the address in an answer; names in it may be compressed, so the first is compared."""
    if len(packet) < 12 or struct.unpack_from(">H", packet, 6)[0] == 0:
        return None
    wanted = question(name)[12:-4]
    if packet[12 : 12 + len(wanted)].lower() != wanted.lower():
        return None
    at = 12 + len(wanted)
    if struct.unpack_from(">H", packet, 4)[0]:
        at += 6  # the question is repeated, and its answer refers to it
    kind, _, _, length = struct.unpack_from(">HHIH", packet, at)
    return socket.inet_ntoa(packet[at + 10 : at + 14]) if (kind, length) == (_A, 4) else None


def ask(name: str, own: str) -> str | None:
    """Ask, a few times; the address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        channel.bind((own, 0))
        for _ in range(_TRIES):
            channel.sendto(question(name), (_GROUP, _PORT))
            deadline = time.monotonic() + 1
            while (left := deadline - time.monotonic()) > 0:
                channel.settimeout(left)
                try:
                    found = answer(channel.recv(9000), name)
                except TimeoutError:
                    break
                if found:
                    return found
    return None


if __name__ == "__main__":
    print(ask(*sys.argv[1:3]) or sys.exit("nobody answers"))
