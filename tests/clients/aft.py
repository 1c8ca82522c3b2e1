# SPDX-License-Identifier: GPL-3.0-or-later
"""android-file-transfer's command line."""

import re
from pathlib import Path

from tests.clients.driver import run, split

#: Handle, storage, format, size, date, name - as `lsext` prints them.
_LINE = re.compile(r"^(\d+) +\w+ +\w+ +(\d+) +(?:[\d-]+ [\d:]+|\d{8}T\d{6}\S*) +(.*?) *$")


def _quote(text: str | Path) -> str:
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


class Aft:
    """Each call is one run of aft-mtp-cli. It garbles emoji, both ways, before they are sent."""

    name = "aft-mtp-cli"
    abilities = frozenset({"rename", "get empty", "put empty", "sizes"})

    def _run(self, *commands: str) -> str:
        return run("aft-mtp-cli", *commands)

    def _in(self, folder: str) -> tuple[str, ...]:
        return (f"cd {_quote(folder)}",) if folder else ()

    def detect(self) -> str:
        return self._run("device-info")

    def names(self, folder: str) -> set[str]:
        return set(self.sizes(folder))

    def sizes(self, folder: str) -> dict[str, int]:
        lines = self._run(*self._in(folder), "lsext").splitlines()
        found = (match for line in lines if (match := _LINE.match(line)))
        return {match[3]: int(match[2]) for match in found}

    def get(self, path: str, target: Path) -> None:
        self._run(f"get {_quote(path)} {_quote(target)}")

    def put(self, source: Path, folder: str) -> None:
        self._run(*self._in(folder), f"put {_quote(source)}")

    def mkdir(self, path: str) -> None:
        folder, name = split(path)
        self._run(*self._in(folder), f"mkdir {_quote(name)}")

    def rename(self, path: str, name: str) -> None:
        folder, old = split(path)
        self._run(*self._in(folder), f"rename {_quote(old)} {_quote(name)}")

    def move(self, path: str, folder: str) -> None:
        raise AssertionError("aft-mtp-cli cannot move")

    def delete(self, path: str) -> None:
        folder, name = split(path)
        self._run(*self._in(folder), f"rm {_quote(name)}")
