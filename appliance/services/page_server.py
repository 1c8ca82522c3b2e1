# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP server under the settings page: the only module that knows waitress."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from socket import socket
from typing import Any

import waitress
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer

#: Seconds of one turn of the loop, and for requests that are under way when the end comes.
_TURN, _PATIENCE = 0.5, 5.0
#: Enough for a page with its pictures in a few browsers; each costs memory.
_THREADS, _CONNECTIONS = 3, 40
#: Seconds that a browser may keep a connection that it does not use.
_KEPT = 30
_MOST_HEADERS = 32 << 10


class PageServer:
    """Serves an application at sockets that listen, in the thread that turns it.

    `largest` are the bytes that a request may have.
    """

    def __init__(
        self,
        application: Callable[..., Iterable[bytes]],
        sockets: Sequence[socket],
        *,
        largest: int,
    ) -> None:
        self._map: dict[int, Any] = {}
        self._server = waitress.create_server(
            application,
            map=self._map,
            sockets=list(sockets),
            threads=_THREADS,
            connection_limit=_CONNECTIONS,
            channel_timeout=_KEPT,
            cleanup_interval=_KEPT // 2,
            max_request_header_size=_MOST_HEADERS,
            max_request_body_size=largest,
            asyncore_use_poll=True,
            ident=None,
        )
        self._used = time.monotonic()

    @property
    def idle(self) -> float:
        """Seconds since somebody last had a connection."""
        return time.monotonic() - self._used

    def turn(self) -> None:
        """Do what there is to do, or wait for a moment until there is."""
        wasyncore.loop(timeout=_TURN, use_poll=True, map=self._map, count=1)
        if self._channels():
            self._used = time.monotonic()

    def close(self) -> None:
        """Let nobody in any more, and let those who are in have their answers."""
        for each in self._listeners():
            each.del_channel(self._map)
        deadline = time.monotonic() + _PATIENCE
        while any(map(_is_busy, self._channels())) and time.monotonic() < deadline:
            self.turn()
        self._server.task_dispatcher.shutdown(timeout=_PATIENCE)
        with suppress(OSError):
            self._server.close()
        wasyncore.close_all(self._map, ignore_all=True)

    def _channels(self) -> list[Any]:
        return [each for each in self._map.values() if isinstance(each, HTTPChannel)]

    def _listeners(self) -> list[Any]:
        return [each for each in self._map.values() if isinstance(each, BaseWSGIServer)]


def _is_busy(channel: Any) -> bool:
    return bool(channel.requests or channel.total_outbufs_len)
