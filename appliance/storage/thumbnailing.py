# SPDX-License-Identifier: GPL-3.0-or-later
"""The other end of `appliance/thumbnailer.py`: starts that process, asks it, and ends it."""

import errno
import logging
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from appliance.mtp.ports import Picture
from appliance.values import dataclass

log = logging.getLogger(__name__)

_PROGRAM = Path(__file__).parent.parent / "thumbnailer.py"
#: Width and height of the image, then of the thumbnail; `thumbnailer.py` has the table.
_ANSWER = struct.Struct("<IIII")
_PACKET = 1 << 16
_MAX_SIDE = 160
#: Seconds: for one image; to start, which is slow on a small machine; until it is tried again.
_PER_IMAGE = 2.0
_TO_START = 15.0
_PAUSE = 60.0
#: What a process that has ended meanwhile leaves to the one who writes to it.
_HAS_ENDED = {errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN}


class BusyError(Exception):
    """It cannot be said now whether there is a thumbnail."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a file: the image's width and height (zeros: not known), and a thumbnail."""

    width: int = 0
    height: int = 0
    picture: Picture | None = None

    def __str__(self) -> str:
        return f"{'a' if self.picture else 'no'} thumbnail of {self.width} x {self.height}"


class Worker:
    """The process; one question at a time. `stop` may come from another thread."""

    def __init__(self) -> None:
        self._channel: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0

    def ask(self, fd: int, *, thumbnail: bool) -> Answer:
        """Ask about an open file. Raises BusyError where it cannot be asked."""
        request = b"t" if thumbnail else b"s"
        for _ in range(2):
            channel = self._channel or self._start()
            try:
                socket.send_fds(channel, [request], [fd])
                packet = channel.recv(_PACKET)
            except TimeoutError:
                self.stop()
                log.info("THUMB   none: it takes more than %g s", _PER_IMAGE)
                return Answer()
            except OSError as error:
                self.stop()
                if error.errno not in _HAS_ENDED:
                    raise BusyError(f"the process cannot be asked: {error.strerror}") from error
                continue  # it was idle for long, and has gone
            if packet:
                return _understand(packet)
            self.stop()
            log.info("THUMB   none: the process has ended over it")
            return Answer()
        raise BusyError("the process ends again and again")

    def stop(self) -> None:
        """End the process; harmless when repeated."""
        channel, self._channel = self._channel, None
        process, self._process = self._process, None
        if process is not None:
            process.kill()
        if channel is not None:
            with suppress(OSError):
                channel.shutdown(socket.SHUT_RDWR)
            channel.close()

    def _start(self) -> socket.socket:
        if time.monotonic() < self._not_before:
            raise BusyError("the process did not start a moment ago")
        self._not_before = time.monotonic() + _PAUSE
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._process = _run(theirs)
            self._channel = ours
            _await(ours)
        except OSError as error:
            self.stop()
            ours.close()
            raise BusyError(f"the process does not start: {error}") from error
        self._not_before = 0.0
        return ours


def _run(channel: socket.socket) -> "subprocess.Popen[bytes]":
    """Start the program, with nothing open but the channel."""
    process = subprocess.Popen(
        [sys.executable, "-P", os.fspath(_PROGRAM)],
        stdin=channel.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    threading.Thread(target=process.wait, name="thumbnailer", daemon=True).start()
    return process


def _await(channel: socket.socket) -> None:
    """Wait until the process says that it is ready. Raises OSError where it does not."""
    channel.settimeout(_TO_START)
    if channel.recv(1) != b"!":
        raise ConnectionResetError(errno.ECONNRESET, "it ended at once")
    channel.settimeout(_PER_IMAGE)


def _understand(packet: bytes) -> Answer:
    """Read an answer, which is believed no further than it makes sense."""
    if len(packet) < _ANSWER.size:
        return Answer()
    width, height, small_width, small_height = _ANSWER.unpack_from(packet)
    data = packet[_ANSWER.size :]
    is_sound = 0 < small_width <= _MAX_SIDE and 0 < small_height <= _MAX_SIDE
    picture = Picture(data, small_width, small_height) if data and is_sound else None
    return Answer(width, height, picture)
