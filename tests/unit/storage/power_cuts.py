# SPDX-License-Identifier: GPL-3.0-or-later
"""A store at work, and the power failing at each step of it.

After each act of the PC, what it sees is kept: a view. Then, for each step on the disk, all that
may be left (`disk_model`) is put into a folder, served anew - as at the next start - and compared:

- each file is one that the PC has seen there, before or after the act under way, and whole;
- what was answered OK is so; in fast mode, what was answered before all was settled last;
- no content is lost that was there all the time, and none that was deleted into the trash.
"""

import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from appliance.mtp.errors import MtpError
from appliance.storage import Catalogue, Folder, TrashPolicy, WriteSafety, flushing
from tests.unit.storage.disk_model import Tree
from tests.unit.storage.helpers import FIRST, WORKPLACE, content
from tests.unit.storage.recorder import Recorder

Paths = dict[str, bytes]
_FOLDER = b"(a folder)"
_NAMES = ("a", "b", "c", "d")


@dataclass(frozen=True, slots=True)
class View:
    """What a PC sees after an act, and what is in the trash; `notes`: how many there were then.

    `edited`: what the file held that the act has changed in place. `settled`: whether all is on the
    disk.
    """

    notes: int
    paths: Paths
    trash: frozenset[bytes]
    settled: bool
    edited: bytes | None = None


class Scenario:
    """A store that is recorded, and what was seen of it."""

    def __init__(self, root: Path, safety: WriteSafety, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(flushing, "_PAUSE", 3600)  # only what is asked for is settled
        self.root = root
        self.is_safe = safety is WriteSafety.SAFE
        self.recorder = Recorder(root)
        self.store = Catalogue([Folder(root, "Card")], trash=TrashPolicy(), write_safety=safety)
        self.views: list[View] = []
        self.replaced: set[bytes] = set()
        self._patch = patch
        self._count = 0
        self.look(settled=True)

    # Acts of the PC

    def act(
        self, act: Callable[[], object], *, edited: bytes | None = None, settled: bool = False
    ) -> None:
        """Do something, and look; it may be refused."""
        with self.recorder.recording(self._patch), suppress(MtpError):
            act()
        self.look(settled=settled, edited=edited)

    def upload(self, path: str) -> None:
        """Upload a file that is like no other, in two pieces."""
        old = self.views[-1].paths.get(path)
        self.replaced |= {old} if old else set()
        data = self._new_content()

        def send() -> None:
            parent, name = self._parent(path)
            upload = self.store.receive(FIRST, parent, name, size=len(data), modified=1e9)
            upload.write(memoryview(data[:7]))
            upload.write(memoryview(data[7:]))
            upload.commit()

        self.act(send)

    def make_folder(self, path: str) -> None:
        self.act(lambda: self.store.make_folder(FIRST, *self._parent(path), modified=None))

    def rename(self, path: str, name: str) -> None:
        self.act(lambda: self.store.rename(self.find(path), name))

    def move(self, path: str, folder: str) -> None:
        self.act(lambda: self.store.move(self.find(path), FIRST, self.find(folder)))

    def copy(self, path: str, folder: str) -> None:
        self.act(lambda: self.store.copy(self.find(path), FIRST, self.find(folder)))

    def delete(self, path: str) -> None:
        self.act(lambda: self.store.delete(self.find(path)))

    def edit(self, path: str) -> None:
        """Change a file in place."""
        data = self._new_content()

        def change() -> None:
            edit = self.store.edit(self.find(path))
            edit.write(0, memoryview(data))
            edit.truncate(len(data))
            edit.commit()

        self.act(change, edited=self.views[-1].paths.get(path))

    def settle(self) -> None:
        self.act(self.store.settle, settled=True)

    def close(self) -> None:
        """Stop the service."""
        with self.recorder.recording(self._patch):
            self.store.close()
        last = self.views[-1]
        self.views.append(View(len(self.recorder.notes), last.paths, _trash(self.root), True))

    # Looking

    def find(self, path: str) -> int:
        """Find an object by its path."""
        handle = 0
        for name in filter(None, path.split("/")):
            listed = {self.store.entry(h).name: h for h in self.store.children(FIRST, handle)}
            if name not in listed:
                pytest.skip(f"{path} is not there")
            handle = listed[name]
        return handle

    def look(self, *, settled: bool, edited: bytes | None = None) -> None:
        """Keep what a PC sees."""
        paths: Paths = {}
        names = {0: ""}
        for handle in self.store.tree(FIRST):
            entry = self.store.entry(handle)
            path = names[handle] = f"{names[entry.parent]}{'/' if entry.parent else ''}{entry.name}"
            paths[path] = _FOLDER if entry.is_folder else content(self.store, handle)
        settled = settled or self.is_safe
        trash = _trash(self.root)
        self.views.append(View(len(self.recorder.notes), paths, trash, settled, edited))

    def _parent(self, path: str) -> tuple[int, str]:
        folder, _, name = path.rpartition("/")
        return self.find(folder), name

    def _new_content(self) -> bytes:
        self._count += 1
        return b"content number %d" % self._count * (1 + self._count % 3)


def play(scenario: Scenario, seed: int, acts: int) -> None:
    """Do what comes to mind."""
    chance = random.Random(seed)
    for _ in range(acts):
        paths = scenario.views[-1].paths
        files = [path for path, data in paths.items() if data != _FOLDER]
        folders = ["", *(path for path, data in paths.items() if data == _FOLDER)]
        folder = chance.choice(folders)
        new = f"{folder}/{chance.choice(_NAMES)}".lstrip("/")
        choices: list[Callable[[], None]] = [partial(scenario.upload, new)] * 3
        choices += [partial(scenario.make_folder, new), scenario.settle]
        if paths:
            one = chance.choice(sorted(paths))
            choices += [
                partial(scenario.rename, one, chance.choice(_NAMES)),
                partial(scenario.move, one, folder),
                partial(scenario.copy, one, folder),
                partial(scenario.delete, one),
            ]
        if files:
            file = chance.choice(sorted(files))
            choices += [partial(scenario.edit, file), partial(scenario.upload, file)]
        chance.choice(choices)()


class Starts:
    """What is served after a start, by what was left on the disk; each is tried once."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._known: dict[Tree, tuple[Paths, frozenset[bytes]]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def after(self, tree: Tree) -> tuple[Paths, frozenset[bytes]]:
        """Start from what is left: what is shown then, and what is in the trash."""
        if tree not in self._known:
            _put(self._place, tree)
            Catalogue([Folder(self._place, "Card")], trash=TrashPolicy()).close()
            self._known[tree] = _shown(self._place), _trash(self._place)
        return self._known[tree]


def check(scenario: Scenario, starts: Starts) -> list[str]:
    """Let the power fail at each step; what is wrong then, in words."""
    wrong: list[str] = []
    for notes, disk in scenario.recorder.replay():
        if notes < scenario.views[0].notes:
            continue  # before it was served
        window = _window(scenario.views, notes)
        for tree in disk.remains():
            found, trash = starts.after(tree)
            wrong += [
                f"after step {notes}: {each}"
                for each in _complaints(window, found, trash, scenario.replaced)
            ]
    return wrong


def _window(views: list[View], notes: int) -> list[View]:
    """Choose the views that what is left may be like: from what is sure to what is under way."""
    answered = max((at for at, view in enumerate(views) if view.notes <= notes), default=0)
    first = max((at for at in range(answered + 1) if views[at].settled), default=0)
    return views[first : answered + 2]


def _complaints(
    window: list[View], found: Paths, trash: frozenset[bytes], replaced: set[bytes]
) -> list[str]:
    wrong = []
    for path in {*found, *(path for view in window for path in view.paths)}:
        allowed = {view.paths.get(path) for view in window}
        is_edited = window[-1].edited is not None and window[-1].edited in allowed
        if found.get(path) not in allowed and not is_edited:
            wrong.append(f"{path} holds {found.get(path)!r}, not one of {allowed}")
    seen = [set(view.paths.values()) for view in window]
    if lost := set.intersection(*seen) - set(found.values()):
        wrong.append(f"lost: {lost}")
    if emptied := frozenset.intersection(*(view.trash for view in window)) - trash:
        wrong.append(f"lost from the trash: {emptied}")
    kept = [files | view.trash for files, view in zip(seen, window, strict=True)]
    if gone := set.intersection(*kept) - replaced - set(found.values()) - trash:
        wrong.append(f"lost on the way to the trash: {gone}")
    return wrong


def _put(place: Path, tree: Tree) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for names, data in tree:
        path = place.joinpath(*map(os.fsdecode, names))
        if data is None:
            path.mkdir()
        else:
            path.write_bytes(data)


def _shown(root: Path) -> Paths:
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else _FOLDER
        for path in root.rglob("*")
        if WORKPLACE not in path.parts
    }


def _trash(root: Path) -> frozenset[bytes]:
    files = root / WORKPLACE / "trash" / "files"
    return frozenset(path.read_bytes() for path in files.rglob("*") if path.is_file())
