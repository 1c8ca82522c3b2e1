# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a harness works, and from which seed on."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_MEMORY = Path("/dev/shm")


@dataclass(slots=True)
class Budget:
    """`seconds` None: shortly, as in the test suite; then each run is the same."""

    seconds: float | None
    seed: int
    figures: list[str] = field(default_factory=list)

    @property
    def examples(self) -> int:
        """Sequences of one round."""
        return 15 if self.seconds is None else 50

    @property
    def is_long(self) -> bool:
        return self.seconds is not None

    def seeds(self) -> Iterator[int]:
        """One seed for each round; as many rounds as there is time for, at least one."""
        end = time.monotonic() + (self.seconds or 0)
        seed = self.seed
        yield seed
        while time.monotonic() < end:
            seed += 1
            yield seed

    def tell(self, figure: str) -> None:
        """Report what was done."""
        self.figures.append(figure)

    @staticmethod
    def place() -> str | None:
        """Where folders lie that need no disk; None for the usual place."""
        return str(_MEMORY) if _MEMORY.is_dir() else None
