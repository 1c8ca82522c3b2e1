# SPDX-License-Identifier: GPL-3.0-or-later
"""In the guest: a program that uses the device by raw transfers, and says what it sees.

python -m tests.usbredir.pc list | put NAME SIZE | get NAME | listen LAST | tools
"""

import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

import usb.core

from appliance.mtp.codes import EventCode
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.wire import Reader, encode_string
from tests.usb.host import OK, Host, data_header, program

_ROOT = 0xFFFFFFFF
_STORAGE = 0x00010001
_PIECE = 1 << 16


def main(verb: str, *words: str) -> None:
    """Do what is asked."""
    if verb == "tools":
        print(subprocess.run(["mtp-files"], capture_output=True, text=True, check=True).stdout)
        return
    with program() as host:
        actions: dict[str, Callable[..., None]] = {
            "list": show,
            "put": put,
            "get": get,
            "listen": listen,
        }
        actions[verb](host, *words)


def objects(host: Host) -> Iterator[tuple[str, int]]:
    """Give the objects in the root: name and handle."""
    answer = host.ask(Op.GET_OBJECT_HANDLES, _ROOT, 0, _ROOT)
    assert answer.code == OK, hex(answer.code)
    for handle in struct.unpack_from(
        f"<{len(answer.data or b'') // 4 - 1}I", answer.data or b"", 4
    ):
        info = host.ask(Op.GET_OBJECT_INFO, handle).data or b""
        yield Reader(info[52:]).string(), handle


def show(host: Host) -> None:
    """List the root."""
    for name, _ in objects(host):
        print(name)


def put(host: Host, name: str, size: str) -> None:
    """Upload so many bytes, and say when they are on their way."""
    info = struct.pack("<IHHIHIIIIIIIHII", 0, 0x3000, 0, int(size), *[0] * 11)
    info += encode_string(name) + bytes(3)
    assert host.send(Op.SEND_OBJECT_INFO, _STORAGE, _ROOT, data=info).code == OK
    host.send_command(Op.SEND_OBJECT)
    host.write(data_header(Op.SEND_OBJECT, host.transaction_id, 12 + int(size)))
    for sent in range(0, int(size), _PIECE):
        host.write(bytes(min(_PIECE, int(size) - sent)))
        if sent == 16 * _PIECE:
            print("under way")
    if int(size) % 512 == 0:
        host.write(b"")
    print(hex(host.response().code))


def get(host: Host, name: str) -> None:
    """Download, and say when it is on its way, and its end."""
    host.send_command(Op.GET_OBJECT, dict(objects(host))[name])
    count = 0
    while True:
        part = host.read(_PIECE)
        count += len(part)
        if count == 16 * _PIECE:
            print("under way")
        if len(part) < _PIECE:
            break
    print(count - 12, hex(host.response().code))


def listen(host: Host, last: str) -> None:
    """Print events and what they are about, until an object of that name has come."""
    print("listening", len(list(objects(host))))
    name = ""
    while name != last:
        with suppress(usb.core.USBTimeoutError):
            event = bytes(host.interrupt.read(28, 1000))
            code, _, handle = struct.unpack_from("<HII", event + bytes(4), 6)
            info = host.ask(Op.GET_OBJECT_INFO, handle).data or bytes(53)
            name = Reader(info[52:]).string()
            print(EventCode(code).name, name)


if __name__ == "__main__":
    main(*sys.argv[1:])
