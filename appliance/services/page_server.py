# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP server under the settings page: the only module that knows waitress."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from socket import socket
from typing import Any

import waitress
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import BaseWSGIServer
from waitress.task import ThreadedTaskDispatcher

log = logging.getLogger(__name__)

#: Seconds of one turn of the loop, and for requests that are under way when the end comes.
_TURN, _PATIENCE = 0.5, 5.0
#: Enough for a page with its pictures in a few browsers; each costs memory. A socket has its own:
#: whoever takes all of them in the Wi-Fi keeps nobody out at the cable.
_THREADS, _CONNECTIONS = 3, 20
#: Seconds that a browser may keep a connection that it does not use.
_KEPT = 30
#: Connections of one address, which is as many as two browsers open.
_EACH = 12
#: Seconds that a request may take to come, and an answer to be fetched, however small; and the
#: bytes a second that more of them have to bring. A browser on a bad Wi-Fi does better.
_BEGINNING, _SLOWEST = 20.0, 4096
_MOST_HEADERS = 32 << 10

#: How many bytes the body of a request may have: by its path and its Cookie header.
Limit = Callable[[str, str], int]
#: What answers requests, as WSGI has it.
Application = Callable[..., Iterable[bytes]]
#: What requests that come by a socket that listens have in their environment besides.
Environment = Callable[[socket], Mapping[str, object]]


class PageServer:
    """Serves an application at sockets that listen, in the thread that turns it.

    `limit` says how much of a request is taken in: all of it, before the application is asked.
    """

    def __init__(
        self,
        application: Application,
        sockets: Sequence[socket],
        *,
        limit: Limit,
        environment: Environment = lambda _: {},
    ) -> None:
        self._map: dict[int, Any] = {}
        self._server = waitress.create_server(
            application,
            map=self._map,
            sockets=list(sockets),
            threads=_THREADS,
            connection_limit=2 * _CONNECTIONS * len(sockets),  # never reached: `admit` is first
            channel_timeout=_KEPT,
            cleanup_interval=_KEPT // 2,
            max_request_header_size=_MOST_HEADERS,
            asyncore_use_poll=True,
            ident=None,
        )
        self._dispatchers = [self._server.task_dispatcher]
        for each in self._listeners():
            each.channel_class = _channel_class(limit)
            each.application = _within(environment(each.socket), application)
        for each in self._listeners()[1:]:
            each.task_dispatcher = ThreadedTaskDispatcher()
            each.task_dispatcher.set_thread_count(_THREADS)
            self._dispatchers.append(each.task_dispatcher)
        self._used = time.monotonic()

    @property
    def idle(self) -> float:
        """Seconds since somebody last had a connection."""
        return time.monotonic() - self._used

    def turn(self) -> None:
        """Do what there is to do, or wait for a moment until there is."""
        wasyncore.loop(timeout=_TURN, use_poll=True, map=self._map, count=1)
        now, channels = time.monotonic(), self._channels()
        for each in channels:
            if each.pace.is_too_slow(now):
                log.info("SLOW    %s is let go", each.addr[0])
                each.handle_close()
        if channels:
            self._used = now

    def close(self) -> None:
        """Let nobody in any more, and let those who are in have their answers."""
        for each in self._listeners():
            each.del_channel(self._map)
        deadline = time.monotonic() + _PATIENCE
        while any(map(_is_busy, self._channels())) and time.monotonic() < deadline:
            self.turn()
        for each in self._dispatchers:
            each.shutdown(timeout=_PATIENCE)
        with suppress(OSError):
            self._server.close()
        wasyncore.close_all(self._map, ignore_all=True)

    def _channels(self) -> list[Any]:
        return [each for each in self._map.values() if isinstance(each, HTTPChannel)]

    def _listeners(self) -> list[Any]:
        return [each for each in self._map.values() if isinstance(each, BaseWSGIServer)]


class Pace:
    """How fast what moves over a connection does: a trickle would hold it for ever."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._bytes = 0

    def moves(self, size: int) -> None:
        """Note bytes of a request, or of an answer."""
        if self._since is None:
            self._since, self._bytes = time.monotonic(), 0
        self._bytes += size

    def rests(self) -> None:
        """Note that nothing is under way."""
        self._since = None

    def is_too_slow(self, now: float) -> bool:
        """Whether what is under way should have come to its end, or further."""
        return self._since is not None and now - self._since > _BEGINNING + self._bytes / _SLOWEST


def _channel_class(limit: Limit) -> Callable[..., HTTPChannel | None]:
    """Make what receives requests, each within its own limit: so many at a socket, and of each
    address.
    """

    class Parser(HTTPRequestParser):  # type: ignore[misc] # waitress has no types
        adj: Any

        def parse_header(self, header_plus: bytes) -> None:
            super().parse_header(header_plus)
            if self.body_rcv is not None:
                self.adj = copy(self.adj)
                self.adj.max_request_body_size = limit(self.path, self.headers.get("COOKIE", ""))

    class Channel(HTTPChannel):  # type: ignore[misc]
        parser_class = Parser

        def __init__(self, *words: Any, **more: Any) -> None:
            self.pace = Pace()
            super().__init__(*words, **more)

        def received(self, data: bytes) -> Any:
            self.pace.moves(len(data))
            done = super().received(data)
            if self.request is None:
                self.pace.rests()
            return done

        def send(self, data: bytes, do_close: bool = True) -> Any:
            sent = super().send(data, do_close)
            self.pace.moves(sent)
            if self.total_outbufs_len <= sent:
                self.pace.rests()
            return sent

    def admit(server: Any, sock: socket, addr: Any, adj: Any, map: dict[int, Any]) -> Any:
        here = [
            each.addr[0]
            for each in map.values()
            if isinstance(each, HTTPChannel) and each.server is server
        ]
        if len(here) < _CONNECTIONS and here.count(addr[0]) < _EACH:
            return Channel(server, sock, addr, adj, map=map)
        sock.close()
        return None

    return admit


def _within(more: Mapping[str, object], application: Application) -> Application:
    """Give an application more in its environment, which no request can say."""
    return lambda environ, respond: application({**environ, **more}, respond)


def _is_busy(channel: Any) -> bool:
    return bool(channel.requests or channel.total_outbufs_len)
