# SPDX-License-Identifier: GPL-3.0-or-later
"""The words for how safe writes are, and for what is not safe yet."""

from appliance.enums import StrEnum
from appliance.values import dataclass


class WriteSafety(StrEnum):
    """When a PC is told that a file is written."""

    SAFE = "safe"
    FAST = "fast"


@dataclass(frozen=True, slots=True)
class Unsafe:
    """What a PC was told is written and is not on the disk yet: changes, bytes, until when.

    A file counts as one change, and so does a folder in which there are new folders.
    """

    files: int = 0
    size: int = 0
    until: float = 0.0
