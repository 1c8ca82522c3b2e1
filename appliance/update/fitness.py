# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a bundle is for this machine. Pure, but for the look at the machine itself."""

import os
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.update.manifest import Manifest
from appliance.update.version import order

_MODEL = Path("proc/device-tree/model")


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine: processor and board by their names, and the base that its system has."""

    processor: str
    board: str
    base: int


def this_machine(base: int, root: Path = Path("/")) -> Machine:
    """Look at the machine; `root` is a prefix, for tests."""
    try:
        board = (root / _MODEL).read_text(errors="replace").strip(" \t\r\n\0")
    except OSError:
        board = ""
    return Machine(os.uname().machine, board, base)


def require_fit(manifest: Manifest, machine: Machine) -> None:
    """Refuse what is for another machine; ApplianceError says for which."""
    if manifest.machines and machine.processor not in manifest.machines:
        raise ApplianceError(
            f"the update is for {_or(manifest.machines)}, and this is {machine.processor}",
            hint="take the one for this machine",
        )
    if manifest.boards and not machine.board.startswith(manifest.boards):
        raise ApplianceError(
            f"the update is for {_or(manifest.boards)}, and this is {machine.board or 'another'}",
            hint="take the one for this board",
        )
    if manifest.base != machine.base:
        raise ApplianceError(
            f"the update needs a system of base {manifest.base}, and this one has {machine.base}",
            hint="flash the image of that version" if manifest.base > machine.base
            else "take a newer update",
        )  # fmt: skip


def is_newer(manifest: Manifest, running: str) -> bool:
    """Whether a bundle holds a later version than the one that runs."""
    try:
        return order(manifest.version) > order(running)
    except ValueError:
        return True


def _or(names: tuple[str, ...]) -> str:
    return " or ".join(names)
