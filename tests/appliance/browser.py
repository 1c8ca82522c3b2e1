# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody at the PC who looks at the settings page: curl, in the PC's network."""

import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.appliance.pc import Pc
from tests.appliance.units import wait_until

_TOKEN = re.compile(r'name="(?:token|form-token)" (?:value|content)="([0-9a-f]{64})"')
_STATUS = re.compile(r"HTTP/1\.1 (\d{3})")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; a status of 0: nothing."""

    status: int
    text: str


class Browser:
    """One browser, with its cookies; `base` is such as http://10.55.0.1."""

    def __init__(self, pc: Pc, base: str, *options: str) -> None:
        self._pc = pc
        self._base = base
        self._options = options
        self._jar = Path(tempfile.mkdtemp()) / "cookies"

    def get(self, path: str = "/", *options: str) -> Answer:
        """Look at a page."""
        return self._curl(path, *options)

    def post(self, path: str, seen: str, fields: Mapping[str, str]) -> Answer:
        """Send the form of the page `seen`, with its token."""
        found = _TOKEN.search(self.get(seen).text)
        assert found, f"no form at {seen}"
        values = {"token": found[1], **fields}
        words = [word for each in values.items() for word in ("--data-urlencode", "=".join(each))]
        return self._curl(path, *words, "-H", f"Origin: {self._base}")

    def is_served(self) -> bool:
        """Whether the page is there."""
        return self.get().status == 200

    def wait(self) -> "Browser":
        """Wait until the page is there."""
        wait_until(self.is_served, f"{self._base} is served")
        return self

    def _curl(self, path: str, *options: str) -> Answer:
        jar = ("-b", str(self._jar), "-c", str(self._jar))
        argv = ["curl", "-g", "-s", "-i", "-m", "60", *jar, *self._options, *options]
        done = subprocess.run(
            self._pc.inside(*argv, self._base + path), capture_output=True, check=False
        )
        text = done.stdout.decode(errors="replace")
        status = _STATUS.match(text)
        return Answer(int(status[1]) if status else 0, text)
