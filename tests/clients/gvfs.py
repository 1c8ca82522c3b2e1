# SPDX-License-Identifier: GPL-3.0-or-later
"""gvfs: what GNOME's file manager and most other desktops use (libmtp in a daemon)."""

import atexit
import contextlib
import functools
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, unquote

from tests.clients.driver import ClientError, run, split

#: Set, the volume monitors are left out: they take longer than all the rest.
_NO_VOLUMES = "GVFS_REMOTE_VOLUME_MONITOR_IGNORE"
_PATIENCE = 180.0
_DAEMON = ("dbus-daemon", "--session", "--nofork", "--nosyslog", "--print-address=1")


@functools.cache
def session() -> Mapping[str, str]:
    """Start a desktop session's bus, without a desktop; its environment. It ends with us.

    The bus starts gvfs's daemons when they are asked for.
    """
    own = {"XDG_RUNTIME_DIR": tempfile.mkdtemp(prefix="session-")}
    process = subprocess.Popen(
        ("setpriv", "--pdeathsig", "KILL", *_DAEMON),
        env={**os.environ, "LC_ALL": "C.UTF-8", **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    atexit.register(process.wait)
    atexit.register(process.kill)
    assert process.stdout is not None
    with process.stdout as words:
        return own | {"DBUS_SESSION_BUS_ADDRESS": words.readline().strip()}


def gio(*argv: str | Path) -> str:
    """Run a command of gio's in the session."""
    return run("gio", *argv, environment={**session(), _NO_VOLUMES: "1"})


def root() -> str:
    """The device's URI: gvfs makes it of what udev calls the device."""
    (node,) = Path("/dev").glob("libmtp-*")
    for line in run("udevadm", "info", "-q", "property", "-n", node).splitlines():
        key, _, value = line.partition("=")
        if key == "ID_SERIAL":
            return f"mtp://{value}/"
    raise ClientError("udev does not know the device")


def uri(path: str) -> str:
    """The URI of a path in the first storage."""
    return f"{root()}Card/{quote(path)}"


@contextlib.contextmanager
def mounted() -> Iterator[None]:
    """Hold the device mounted."""
    where = root()
    gio("mount", where)
    try:
        yield
    finally:
        gio("mount", "-u", where)


Happened = set[tuple[str, str]]


@contextlib.contextmanager
def monitored(folder: str, probe: Path) -> Iterator[Callable[[], Happened]]:
    """Watch a folder as a file manager does: what has happened ("created"), and to which path.

    `probe` is a file in it, on the device, that is made to see that the watch has begun.
    """
    log = Path(session()["XDG_RUNTIME_DIR"]) / "monitor"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            ("gio", "monitor", "-d", uri(folder)),
            env={**os.environ, **session(), _NO_VOLUMES: "1"},
            stdout=output,
        ) as process,
    ):
        try:
            _wait_for_words(log, probe)
            yield lambda: _happened(log)
        finally:
            process.kill()


def _wait_for_words(log: Path, probe: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not log.stat().st_size:
        if time.monotonic() > deadline:
            raise ClientError("gvfs tells of nothing that happens on the device")
        probe.touch()
        time.sleep(0.5)
        probe.unlink()
        time.sleep(0.5)


def _happened(log: Path) -> Happened:
    prefix = uri("")
    words = (line.removeprefix(prefix).rpartition(": ") for line in _last_uris(log))
    return {(what, unquote(path)) for path, _, what in words}


def _last_uris(log: Path) -> Iterator[str]:
    """Each line is `FOLDER: OBJECT: EVENT`."""
    for line in log.read_text().splitlines():
        yield line[line.rindex("mtp://") :]


class Gvfs:
    """Mounted anew for each call, so that nothing is answered from an earlier one's cache."""

    name = "gvfs"
    abilities = frozenset({"rename", "move", "get empty", "put empty", "emoji", "sizes", "live"})

    def _gio(self, *argv: str | Path) -> str:
        with mounted():
            return gio(*argv)

    def detect(self) -> str:
        return run("gio", "mount", "-l", "-i", environment=session())

    def names(self, folder: str) -> set[str]:
        return set(self._gio("list", uri(folder)).splitlines())

    def sizes(self, folder: str) -> dict[str, int]:
        rows = [line.split("\t") for line in self._gio("list", "-l", uri(folder)).splitlines()]
        return {name: int(size) for name, size, kind in rows if kind == "(regular)"}

    def get(self, path: str, target: Path) -> None:
        self._gio("copy", uri(path), target)

    def put(self, source: Path, folder: str) -> None:
        self._gio("copy", source, uri(f"{folder}/{source.name}".lstrip("/")))

    def mkdir(self, path: str) -> None:
        self._gio("mkdir", uri(path))

    def rename(self, path: str, name: str) -> None:
        self._gio("rename", uri(path), name)

    def move(self, path: str, folder: str) -> None:
        self._gio("move", uri(path), uri(f"{folder}/{split(path)[1]}"))

    def delete(self, path: str) -> None:
        self._gio("remove", uri(path))
