# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers what is asked over a Unix socket, as `appliance/control.py` says it.

Root and the user that the service runs as may ask for everything, other users for what the
service has for them in `allowed`. What one asks for is done beside what others ask for, where the
service says that it may be (`at_once`); all else is done one after the other.
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any, Self

from appliance.control import connect, encode, receive_line
from appliance.errors import ApplianceError, ExitStatus
from appliance.settings.files import make_way
from appliance.sockets import connections, process_and_user

log = logging.getLogger(__name__)

Verb = Callable[..., Any]
#: Gives the verbs by name; called when somebody asks, for most services are never asked.
Verbs = Callable[[], Mapping[str, Verb]]
#: What users other than root and the service's own may ask for, by their numbers.
Allowed = Mapping[int, Collection[str]]
NOBODY_ELSE: Allowed = {}

#: Questions that are answered at a time: the page's and the button's, and some of a person's.
_MOST = 12
#: Seconds; one who connects and says nothing is in nobody's way for longer.
_PATIENCE = 5.0
#: Bytes of a question: a settings file, and more.
_LONGEST = 1 << 20


class ControlServer:
    """Listens while it is entered; where it cannot, that is logged and the service goes on."""

    def __init__(
        self,
        path: Path,
        verbs: Verbs,
        allowed: Allowed = NOBODY_ELSE,
        *,
        at_once: Collection[str] = (),
    ) -> None:
        self._path = path
        self._answers = Answers(verbs, allowed, at_once)
        self._free = threading.Semaphore(_MOST)
        self._is_shared = bool(allowed)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def __enter__(self) -> Self:
        try:
            self._listen()
        except (OSError, ApplianceError) as error:
            log.warning("the commands storage and trash cannot be used: %s", error)
            return self
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)
        self._thread.start()
        log.debug("CONTROL at %s", self._path)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._thread is None:
            self._listener.close()
            return
        self._closing.set()
        with suppress(OSError):
            self._path.unlink()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + _PATIENCE
        self._thread.join(_PATIENCE)
        for _ in range(_MOST):
            self._free.acquire(timeout=max(0.0, deadline - time.monotonic()))
        self._listener.close()

    def _listen(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._path.is_socket():
            if _answers(self._path):
                raise ApplianceError(f"another appliance listens at {self._path}")
            self._path.unlink()
        make_way(self._path)
        # Who is listened to is decided by who it is, which the kernel knows.
        before = os.umask(0o111 if self._is_shared else 0o177)
        try:
            self._listener.bind(os.fsencode(self._path))
        finally:
            os.umask(before)
        self._listener.listen(4)

    def _serve(self) -> None:
        for connection, _ in connections(self._listener, self._closing, self._path):
            self._free.acquire()
            thread = threading.Thread(target=self._answer, args=(connection,), daemon=True)
            try:
                thread.start()
            except RuntimeError:  # there are too many already; who asked may ask again
                log.warning("cannot answer at %s: no more threads", self._path)
                self._free.release()
                connection.close()

    def _answer(self, connection: socket.socket) -> None:
        try:
            self._answers.to(connection)
        finally:
            self._free.release()


class Answers:
    """What is said to those who ask, each according to who it is."""

    def __init__(
        self, verbs: Verbs, allowed: Allowed = NOBODY_ELSE, at_once: Collection[str] = ()
    ) -> None:
        self._verbs = cache(verbs)
        self._allowed = allowed
        self._at_once = at_once
        self._in_turn = threading.Lock()

    def to(self, connection: socket.socket) -> None:
        """Answer one question, and close the connection."""
        with connection, suppress(OSError):  # who asked is gone
            connection.settimeout(_PATIENCE)
            connection.sendall(encode(self._answer(connection)))

    def _allowed_to(self, user: int) -> Collection[str]:
        """Give the verbs that a user may ask for; nobody is heard who may ask for none."""
        allowed = self._verbs() if user in (0, os.geteuid()) else self._allowed.get(user, ())
        if not allowed:
            raise _NOT_ALLOWED
        return allowed

    def _answer(self, connection: socket.socket) -> dict[str, Any]:
        try:
            line = receive_line(connection, _LONGEST)  # who is refused has to be listened to first
            allowed = self._allowed_to(process_and_user(connection)[1])
            request = json.loads(line)
            verb = self._verbs()[request["verb"]]
            if request["verb"] not in allowed:
                raise _NOT_ALLOWED
            turn = nullcontext() if request["verb"] in self._at_once else self._in_turn
            with turn:
                return {"result": _done(verb, request.get("arguments", {}))}
        except ApplianceError as error:
            return {"error": error.message, "hint": error.hint, "status": error.status}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            log.info("REFUSED control: %s", error)
            return {"error": "this is not understood", "hint": "is it the same version?"}
        except OSError:
            raise
        except Exception:
            log.exception("DEFECT control")
            return {"error": "the service failed", "hint": "its log has the reason"}


def _done(verb: Verb, arguments: Mapping[str, Any]) -> Any:
    """Do what is asked; an error of the file system is told, as it is none of the connection."""
    try:
        return verb(**arguments)
    except OSError as error:
        log.error("FAILED  control: %s", error.strerror or error)
        log.debug("where", exc_info=True)
        what = f"the service failed: {error.strerror or error}"
        raise ApplianceError(what, hint="its log has the reason") from None


_NOT_ALLOWED = ApplianceError(
    "this user may not do that", hint="use sudo", status=ExitStatus.NEEDS_ROOT
)


def _answers(path: Path) -> bool:
    try:
        connect(path).close()
    except OSError:
        return False
    return True
