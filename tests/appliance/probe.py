# SPDX-License-Identifier: GPL-3.0-or-later
"""What a daemon that somebody has taken over might try: a program to run in its place.

It knows nothing of the project, and says for each try that its command line has whether it came
about: one JSON object, of `true` or the reason why not. What it makes it takes away again.

    read:PATH  make:PATH  append:PATH  list:PATH  talk:PATH  socket:FAMILY
    call:ADDRESS:PORT, by TCP  send:ADDRESS:PORT, by UDP; of IPv4 or IPv6
    ask:PATH:VERB  see:PID  signal:PID  become:UID  mount  namespace  code  program:PATH  clock
"""

import ctypes
import json
import mmap
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW_USER, _TIMEOUT = 0x10000000, 5.0


def read(path: str) -> None:
    with Path(path).open("rb") as file:
        file.read(16)


def make(path: str) -> None:
    with Path(path).open("xb") as file:
        file.write(b"x")
    Path(path).unlink()


def append(path: str) -> None:
    with Path(path).open("ab"):
        pass


def talk(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as there:
        there.connect(path)


def call(place: str) -> None:
    host, _, port = place.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=_TIMEOUT):
        pass


def send(place: str) -> None:
    host, _, port = place.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as there:
        there.sendto(b"x", (host, int(port)))


def open_socket(family: str) -> None:
    kind = socket.SOCK_STREAM if family.startswith("AF_INET") else socket.SOCK_RAW
    socket.socket(getattr(socket, family), kind).close()


def ask(place: str) -> None:
    path, _, verb = place.partition(":")
    with socket.socket(socket.AF_UNIX) as there:
        there.settimeout(60)
        there.connect(path)
        there.sendall(json.dumps({"verb": verb, "arguments": {}}).encode() + b"\n")
        answer = json.loads(there.makefile().readline())
    if "error" in answer:
        raise PermissionError(0, answer["error"])


def see(pid: str) -> None:
    Path(f"/proc/{pid}").stat()


def become(user: str) -> None:
    if os.fork() == 0:
        try:
            os.setuid(int(user))
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.wait()[1]:
        raise PermissionError(0, "stays who it is")


def mount(_: str) -> None:
    where = b"/tmp"
    _must(_LIBC.mount(b"probe", where, b"tmpfs", 0, None))
    _must(_LIBC.umount(where))


def namespace(_: str) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0 if _LIBC.unshare(_NEW_USER) == 0 else 1)
    if os.waitpid(child, 0)[1]:
        raise PermissionError(0, "no namespace")


def code(_: str) -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def program(path: str) -> None:
    subprocess.run([path], check=True, capture_output=True)


def clock(_: str) -> None:
    time.clock_settime(time.CLOCK_REALTIME, time.time())


def _must(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


TRIES: dict[str, Callable[[str], object]] = {
    "read": read,
    "make": make,
    "append": append,
    "list": os.listdir,
    "talk": talk,
    "call": call,
    "send": send,
    "socket": open_socket,
    "ask": ask,
    "see": see,
    "signal": lambda pid: os.kill(int(pid), 0),
    "become": become,
    "mount": mount,
    "namespace": namespace,
    "code": code,
    "program": program,
    "clock": clock,
}


def outcome(words: str) -> bool | str:
    name, _, argument = words.partition(":")
    try:
        TRIES[name](argument)
    except (OSError, subprocess.CalledProcessError) as error:
        return str(error)
    return True


if __name__ == "__main__":
    print(json.dumps({each: outcome(each) for each in sys.argv[1:]}), flush=True)
