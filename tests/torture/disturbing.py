# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody on the device does to files, folders and roots between two system calls of ours.

`tests/torture/calls.py` tells of each before it is made: there, between what was checked and what
is used, something is swapped for a link to the outside, renamed, removed, made unreadable, or the
disk gets full. Mostly it is what the call is about, or a folder on the way there. Most of it is
undone a few calls later.
"""

import contextlib
import os
import random
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from operator import or_
from pathlib import Path

from tests.torture.calls import About, tell_of_calls
from tests.torture.canaries import Place

_MOST_ALTERED = 6
_ROOM_LEFT = (0, 4096, 65_536)
_WORKPLACE = ".mtp-appliance"
#: How often what is swapped is what the call is about, or on the way there; and of these it itself.
_AIMED, _AT_ITSELF = 0.75, 0.6


class Disturber:
    """Does something at about every `rarity`-th call while it is armed. `done` counts.

    Where that is often, an operation is refused early; where seldom, something meets its last call.
    """

    def __init__(self, place: Place, chance: random.Random) -> None:
        self.done: Counter[str] = Counter()
        self.is_armed = False
        self.rarity = 2
        #: What lies in `gone` since the operation under way began.
        self.moved_out: list[Path] = []
        self._place = place
        self._chance = chance
        self._aim: Path | None = None
        self._undo: list[Callable[[], object]] = []
        self._is_at_it = threading.Lock()
        self._number = 0
        self._is_root_away = False
        self._tops = [_anchored(place.card), _anchored(place.stick_root)]
        self._devices = {each.stat().st_dev for each in self._tops}
        tell_of_calls(self._before)

    def _before(self, about: About) -> None:
        if not self.is_armed or not self._is_at_it.acquire(blocking=False):
            return
        try:
            if self._chance.randrange(self.rarity) == 0:
                with contextlib.suppress(OSError):
                    self._aim = self._aimed(about) if self._chance.random() < _AIMED else None
                    self._disturb()
        finally:
            self._is_at_it.release()

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Do nothing inside the block, whatever calls are made."""
        with self._is_at_it:
            yield

    def _disturb(self) -> None:
        if self._undo and (len(self._undo) >= _MOST_ALTERED or self._chance.random() < 0.4):
            self._undo.pop(self._chance.randrange(len(self._undo)))()
            self.done["undone"] += 1
            return
        act = self._chance.choice(self._ACTS)
        act(self)
        self.done[act.__name__.strip("_")] += 1

    def put_back(self) -> None:
        """Undo everything that is to be undone."""
        with self._is_at_it:
            while self._undo:
                with contextlib.suppress(OSError):
                    self._undo.pop()()

    def restore(self) -> None:
        """Undo everything, so that the roots are where they were and can be used."""
        self.put_back()
        with self._is_at_it:
            for top in self._tops:
                self.allow(top)

    def allow(self, top: Path) -> None:
        """Let the owner do everything in a tree."""
        pending = [top]
        while pending:
            path = pending.pop()
            with contextlib.suppress(OSError):  # another disk's, or gone with an upload
                is_folder = path.is_dir()
                self._change_mode(path, partial(or_, 0o700 if is_folder else 0o600))
                if is_folder:
                    pending += [each for each in path.iterdir() if not each.is_symlink()]

    def _change_mode(self, path: Path, change: Callable[[int], int]) -> int:
        """Change permissions; what they were. Those of links and other disks stay."""
        fd = os.open(path, os.O_PATH if path in self._tops else os.O_PATH | os.O_NOFOLLOW)
        try:
            status = os.fstat(fd)
            if status.st_dev not in self._devices or stat.S_ISLNK(status.st_mode):
                raise PermissionError(path)
            mode = stat.S_IMODE(status.st_mode)
            Path(f"/proc/self/fd/{fd}").chmod(change(mode))
            return mode
        finally:
            os.close(fd)

    # Choosing

    def _some(self, *, folder: bool | None = None) -> Path | None:
        """Choose something below a root, at any depth; through no link, and on no other disk."""
        if self._aim is not None and (aimed := self._on_the_way(self._aim, folder)):
            return aimed
        top = self._chance.choice(self._tops)
        device, path, found = top.stat().st_dev, top, None
        while True:
            listed = self._names(path, device)
            if not listed:
                return found
            name, is_folder = self._chance.choice(listed)
            if folder in (None, is_folder):
                found = path / name
            if not is_folder or (found is not None and self._chance.random() < 0.5):
                return found
            path = path / name

    def _aimed(self, about: About) -> Path | None:
        """Say what a call is about, if that lies below a root."""
        place = Path(self._chance.choice(about()))
        card, stick = self._tops
        for top, where in (
            (card, card.readlink()),
            (stick, stick.readlink()),
            (stick, self._place.stick),
        ):
            if where in place.parents:
                return top / place.relative_to(where)
        return None

    def _on_the_way(self, aim: Path, folder: bool | None) -> Path | None:
        """Choose what a call is about, or a folder on the way to it; None where none fits."""
        top = next(each for each in self._tops if each in aim.parents)
        way = [aim, *(each for each in aim.parents if top in each.parents)]
        fitting = []
        for path in way:
            with contextlib.suppress(OSError):
                mode, device = path.lstat().st_mode, path.lstat().st_dev
                if device in self._devices and folder in (None, stat.S_ISDIR(mode)):
                    fitting.append(path)
        if fitting and fitting[0] is aim and self._chance.random() < _AT_ITSELF:
            return aim
        return self._chance.choice(fitting) if fitting else None

    def _names(self, folder: Path, device: int) -> list[tuple[str, bool]]:
        """List a folder, unless it is another disk's: names, and whether they are folders."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOATIME
        fd = os.open(folder, flags if folder in self._tops else flags | os.O_NOFOLLOW)
        try:
            if os.fstat(fd).st_dev != device:
                return []
            with os.scandir(fd) as entries:
                found = sorted((each.name, each.is_dir(follow_symlinks=False)) for each in entries)
        finally:
            os.close(fd)
        return [each for each in found if each[0] != _WORKPLACE or self._chance.random() < 0.3]

    def _new_name(self, path: Path) -> Path:
        """Another name in the same folder, of the same kind: see `races.is_edited`."""
        self._number += 1
        return path.with_name(f"{path.name.split('~')[0][:40]}~{self._number}")

    # Acts

    def _swap(self, path: Path | None, put: Callable[[Path], object]) -> None:
        """Put something else where an object is, for a while."""
        if path is None:
            return
        aside = self._new_name(path)
        path.rename(aside)

        def undo() -> None:
            with contextlib.suppress(OSError):
                path.unlink()
            _rename_new(aside, path)

        self._undo.append(undo)
        put(path)

    def _file_for_link(self) -> None:
        target = self._place.outside / self._chance.choice(("secret.txt", "peculiar"))
        self._swap(self._some(folder=False), lambda path: path.symlink_to(target))

    def _folder_for_link(self) -> None:
        target = self._place.outside / self._chance.choice(("", "Card", "deep"))
        self._swap(self._some(folder=True), lambda path: path.symlink_to(target))

    def _file_for_fifo(self) -> None:
        self._swap(self._some(folder=False), os.mkfifo)

    def _file_for_folder(self) -> None:
        self._swap(self._some(folder=False), lambda path: path.symlink_to(self._place.outside))

    def _link_beside(self) -> None:
        path = self._some()
        if path is not None:
            self._new_name(path).symlink_to(self._place.outside)

    def _root_for_link(self) -> None:
        self._above_away(self._place.card, lambda card: card.symlink_to(self._place.outside))

    def _root_removed(self) -> None:
        self._above_away(self._place.card, lambda card: None)

    def _parent_for_link(self) -> None:
        self._above_away(
            self._place.card.parent, lambda above: above.symlink_to(self._place.outside)
        )

    def _parent_renamed(self) -> None:
        self._above_away(self._place.card.parent, lambda above: None)

    def _above_away(self, path: Path, put: Callable[[Path], object]) -> None:
        """Rename the root or its parent for a while; one of them at a time."""
        if self._is_root_away:
            return
        away = path.with_name("away")
        path.rename(away)
        self._is_root_away = True

        def undo() -> None:
            path.unlink(missing_ok=True)
            away.rename(path)
            self._is_root_away = False

        self._undo.append(undo)
        put(path)

    def _move_out(self) -> None:
        folder = self._some()
        if folder is None or folder.is_symlink() or _WORKPLACE in folder.parts:
            return
        self._number += 1
        target = self._place.gone / str(self._number)
        folder.rename(target)
        self.moved_out.append(target)

    def _rename(self) -> None:
        path = self._some()
        if path is not None and _WORKPLACE not in path.parts:
            path.rename(self._new_name(path))

    def _remove(self) -> None:
        path = self._some()
        if path is not None and _WORKPLACE not in path.parts:
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()

    def _forbid(self) -> None:
        path = self._some() if self._chance.random() < 0.8 else self._tops[0]
        if path is None or path.is_symlink():
            return
        mask = self._chance.choice((0, 0o555, 0o333, 0o666))
        before = self._change_mode(path, lambda mode: mode & mask)
        self._undo.append(lambda: self._change_mode(path, lambda _: before))

    def _fill(self) -> None:
        disk = self._chance.choice((self._place.base, self._place.stick_disk))
        filler = disk / "filler"
        if filler.exists():
            return
        self._undo.append(lambda: filler.unlink(missing_ok=True))
        space = os.statvfs(disk)
        room = space.f_bavail * space.f_frsize - self._chance.choice(_ROOM_LEFT)
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, room))

    _ACTS = (
        *(_file_for_link, _file_for_link, _folder_for_link, _folder_for_link, _file_for_fifo),
        *(_file_for_link, _folder_for_link, _file_for_fifo, _move_out, _rename, _remove, _forbid),
        *(_file_for_link, _folder_for_link, _file_for_fifo, _move_out, _rename, _remove, _forbid),
        *(_file_for_folder, _link_beside, _root_for_link, _root_removed, _parent_for_link),
        *(_parent_renamed, _move_out, _rename, _remove, _forbid, _fill),
    )


def _anchored(folder: Path) -> Path:
    """A path to a folder that holds wherever it is moved."""
    return Path(f"/proc/self/fd/{os.open(folder, os.O_RDONLY | os.O_DIRECTORY)}")


def _rename_new(origin: Path, target: Path) -> None:
    """Put something back, but over nothing that has come meanwhile."""
    if not os.path.lexists(target):
        origin.rename(target)
