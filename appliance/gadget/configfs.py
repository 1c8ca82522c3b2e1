# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries a plan out in configfs; what it does reads as a transcript in the log."""

import logging
import os
from collections.abc import Sequence
from errno import EACCES, EBUSY, EEXIST, ENOENT, EPERM
from pathlib import Path

from appliance.errors import ApplianceError, ExitStatus
from appliance.gadget.plan import (
    MakeDirectory,
    RemoveDirectory,
    Step,
    Undo,
    Unlink,
    Write,
    reverse,
)

log = logging.getLogger(__name__)

CONFIGFS = Path("sys/kernel/config")
GADGETS = CONFIGFS / "usb_gadget"


class Gadget:
    """One gadget's directory, under `root` (a prefix, for tests)."""

    def __init__(self, name: str, root: Path = Path("/")) -> None:
        self.name = name
        self.path = root / GADGETS / name

    def make(self, steps: Sequence[Step]) -> None:
        """Carry out `steps`; what is there already stays. After a failure nothing remains."""
        if not self.path.parent.is_dir():
            raise ApplianceError(
                f"{self.path.parent} is missing: the kernel has no USB gadgets",
                hint="modprobe libcomposite; mount -t configfs none /sys/kernel/config",
                status=ExitStatus.NO_HARDWARE,
            )
        done: list[Step] = []
        for step in steps:
            try:
                if self._do(step):
                    done.append(step)
            except OSError as error:
                self._roll_back(done)
                raise _explain(step, error) from error

    def remove(self, steps: Sequence[Step]) -> None:
        """Undo `steps`, as far as that can be; what is not there is no matter."""
        self._roll_back(steps)

    def sweep(self) -> None:
        """Remove whatever a process that was killed has left of this gadget; OSError if it stays.

        Unlike `remove` this needs no plan: the process may have had another one.
        """
        if not self.path.is_dir():
            return
        links = [*self.path.glob("os_desc/*"), *self.path.glob("configs/*/*")]
        directories = ("configs/*/strings/*", "configs/*", "functions/*", "strings/*", ".")
        undo: list[Undo] = [
            *(Unlink(self._relative(path)) for path in links if path.is_symlink()),
            *(
                RemoveDirectory(self._relative(path))
                for pattern in directories
                for path in (self.path.glob(pattern) if pattern != "." else [self.path])
                if path.is_dir()
            ),
        ]
        for step in undo:
            self._undo(step)

    def _relative(self, path: Path) -> str:
        return str(path.relative_to(self.path))

    def _do(self, step: Step) -> bool:
        """Carry out one step; whether it made something."""
        path = self.path / step.path
        if isinstance(step, MakeDirectory):
            made = _make_directory(path)
        elif isinstance(step, Write):
            set_attribute(path, step.value)
            made = True
        else:
            made = _link(path, self.path / step.target)
        log.info("%s%s", step, "" if made else " (is there)")
        return made

    def _undo(self, step: Undo) -> None:
        path = self.path / step.path
        try:
            if isinstance(step, RemoveDirectory):
                path.rmdir()
            else:
                path.unlink()
        except FileNotFoundError:
            return
        log.info("%s", step)

    def _roll_back(self, done: Sequence[Step]) -> None:
        for step in reverse(done):
            try:
                self._undo(step)
            except OSError as error:
                log.warning("%s failed: %s", step, error.strerror)


def _make_directory(path: Path) -> bool:
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def _link(path: Path, target: Path) -> bool:
    try:
        path.symlink_to(target)
    except FileExistsError:
        if path.is_symlink() and path.resolve() == target.resolve():
            return False
        raise
    return True


def set_attribute(path: Path, value: str) -> None:
    """Set an attribute in one write, as the kernel's attributes want it.

    One in any case: where a write fails, a Python file tries it again when it is closed, and a
    kernel that has failed to bind a network function does not survive the second try.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def _explain(step: Step, error: OSError) -> ApplianceError:
    hints = {
        EACCES: "this needs root",
        EPERM: "this needs root, and a kernel that has this attribute",
        EBUSY: "the gadget is bound; unbind it first",
        EEXIST: "another gadget has this name",
        ENOENT: "the kernel lacks this function: " + _module(step),
    }
    hint = hints.get(error.errno or 0, "")
    status = ExitStatus.NEEDS_ROOT if error.errno == EACCES else ExitStatus.FAILURE
    return ApplianceError(f"{step}: {error.strerror}", hint=hint, status=status)


def _module(step: Step) -> str:
    """Name the kernel module of a function that could not be made."""
    kinds = {"ffs": "usb_f_fs", "ncm": "usb_f_ncm", "ecm": "usb_f_ecm", "rndis": "usb_f_rndis"}
    kind = step.path.removeprefix("functions/").partition(".")[0]
    return f"modprobe {kinds.get(kind, 'libcomposite')}"
