# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a service, by the signals that ask for it."""

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stop:
    """Waits for SIGINT or SIGTERM. A second one ends the process at once."""

    def __init__(self) -> None:
        self._bell = os.eventfd(0, os.EFD_CLOEXEC)
        self._asked = False
        self._action: Callable[[], None] | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catch the signals inside the block."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._signalled) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._bell)

    def fileno(self) -> int:
        """Give a file that is ready to be read from when a signal has come."""
        return self._bell

    @property
    def is_asked(self) -> bool:
        """Whether a signal has come."""
        return self._asked

    def call(self, action: Callable[[], None]) -> None:
        """Let a signal call `action` too; also if it has come already."""
        self._action = action
        if self._asked:
            action()

    def wait(self, beat: Callable[[], float | None] = lambda: None) -> None:
        """Wait; `beat` is called again and again, and says in how many seconds at the latest."""
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        while True:
            pause = beat()
            if poll.poll(None if pause is None else pause * 1000):
                return

    def _signalled(self, number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        self._asked = True
        os.eventfd_write(self._bell, 1)
        if self._action is not None:
            self._action()
