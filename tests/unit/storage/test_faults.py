# SPDX-License-Identifier: GPL-3.0-or-later
"""A card that fails at any call: a response code and nothing else, each file old or new, and whole;
what was answered OK is so, and when the card works again, so does the store.
"""

import errno
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.mtp.errors import MtpError
from appliance.storage import Catalogue, Folder, TrashPolicy
from tests.unit.storage.faults import Faults
from tests.unit.storage.helpers import (
    FIRST,
    SECOND,
    WORKPLACE,
    content,
    find,
    leftovers,
    names,
    open_descriptors,
    put,
)

OLD, NEW, KEPT = b"as it was", b"as it will be, and longer", b"below"
FAULTS = (errno.EIO, errno.ENOSPC, errno.EROFS)
Shown = dict[str, bytes]
LONG_AGO = 1_000_000_000.0
BEFORE: Shown = {"old": OLD, "folder/": b"", "folder/kept": KEPT}
WITHOUT_OLD: Shown = {"folder/": b"", "folder/kept": KEPT}


@dataclass(frozen=True, slots=True)
class Act:
    """What a PC does, and what is there after it.

    `told` is what it is told, where it is told something; `first` what has been done before;
    `stays` what may be left as it was although the answer is OK. `faults`: how the card fails.
    """

    do: Callable[[Catalogue], object]
    after: Shown
    told: object = None
    first: Callable[[Catalogue], object] | None = None
    stays: frozenset[str] = frozenset()
    faults: tuple[int, ...] = FAULTS


def upload(store: Catalogue, name: str) -> None:
    coming = store.receive(FIRST, 0, name, size=len(NEW), modified=None)
    try:
        coming.write(memoryview(NEW))
        coming.commit()
    except BaseException:
        coming.discard()  # as the operation does
        raise


def edit(store: Catalogue) -> None:
    under_way = store.edit(find(store, "old"))
    try:
        under_way.write(0, memoryview(NEW))
        under_way.truncate(len(NEW))
        under_way.commit()
    except BaseException:
        under_way.let_go()
        raise


def date(store: Catalogue) -> float:
    handle = find(store, "old")
    store.set_modified(handle, LONG_AGO)
    return store.record(handle).modified


def protect(store: Catalogue) -> bool:
    handle = find(store, "old")
    store.set_protected(handle, protected=True)
    return store.record(handle).protected


def refer(store: Catalogue) -> list[int]:
    handle, target = find(store, "old"), find(store, "folder/kept")
    store.set_references(handle, [target])
    return [each - target for each in store.references(handle)]


def delete_old(store: Catalogue) -> None:
    store.delete(find(store, "old"))


ACTS = {
    "upload": Act(lambda store: upload(store, "new"), BEFORE | {"new": NEW}),
    "replace": Act(lambda store: upload(store, "old"), BEFORE | {"old": NEW}),
    "make a folder": Act(
        lambda store: store.make_folder(FIRST, 0, "made", modified=None).is_new,
        BEFORE | {"made/": b""},
        told=True,
    ),
    "rename": Act(
        lambda store: store.rename(find(store, "old"), "new"),
        {"new": OLD, "folder/": b"", "folder/kept": KEPT},
    ),
    "move": Act(
        lambda store: store.move(find(store, "old"), FIRST, find(store, "folder")),
        {"folder/": b"", "folder/old": OLD, "folder/kept": KEPT},
    ),
    "copy": Act(
        lambda store: store.copy(find(store, "folder"), FIRST, 0), BEFORE
    ),  # refused: it is there already
    "copy a file": Act(
        lambda store: store.copy(find(store, "old"), FIRST, find(store, "folder")),
        BEFORE | {"folder/old": OLD},
    ),
    "delete": Act(lambda store: store.delete(find(store, "old")), WITHOUT_OLD),
    "delete a folder": Act(lambda store: store.delete(find(store, "folder")), {"old": OLD}),
    "edit": Act(edit, BEFORE | {"old": NEW}),
    "move to another storage": Act(
        lambda store: store.move(find(store, "folder"), SECOND, 0),
        {"old": OLD, "Stick:folder/": b"", "Stick:folder/kept": KEPT},
        stays=frozenset(
            {"folder/", "folder/kept"}
        ),  # the copy is whole; the original is in the log
    ),
    "set a date": Act(date, BEFORE, LONG_AGO),
    "protect": Act(protect, BEFORE, told=True),
    "refer": Act(refer, BEFORE, [0]),
    "back from the trash": Act(
        lambda store: store.trash_restore(FIRST, "old"), BEFORE, first=delete_old
    ),
    "empty the trash": Act(lambda store: store.trash_empty(), WITHOUT_OLD, first=delete_old),
    "list and read": Act(lambda store: content(store, find(store, "folder/kept")), BEFORE, KEPT),
}


def fill_trash(store: Catalogue) -> None:
    for number in range(3):
        store.delete(put(store, f"gone {number}", b"1"))


#: What is tried again on a full disk, as long as the trash has something to give.
TRIED_AGAIN = ("upload", "replace", "make a folder", "rename", "move", "copy a file")
ACTS |= {
    f"{name}, with room in the trash": replace(ACTS[name], first=fill_trash, faults=(errno.ENOSPC,))
    for name in TRIED_AGAIN
}


def shown(card: Path, stick: Path) -> Shown:
    """What lies in both storages: folders end in a slash, those of the second begin by its name."""
    return _below(card, "") | _below(stick, "Stick:")


def _below(root: Path, prefix: str) -> Shown:
    found = [each for each in root.rglob("*") if WORKPLACE not in each.parts]
    return {
        f"{prefix}{each.relative_to(root)}{'/' * each.is_dir()}": (
            b"" if each.is_dir() else each.read_bytes()
        )
        for each in found
    }


def without(shown: Shown, names: frozenset[str]) -> Shown:
    return {name: data for name, data in shown.items() if name not in names}


def is_of_the_trash(path: str) -> bool:
    """Whether it is what keeps what was deleted: where that fails, it is deleted for good."""
    return path.endswith(f"/{WORKPLACE}") or f"/{WORKPLACE}/trash" in path


def is_kept(leftover: str) -> bool:
    """Whether it is to be there after a start: what was deleted, and what objects refer to."""
    return leftover.startswith((f"{WORKPLACE}/trash/", f"{WORKPLACE}/state/"))


class Card:
    """A share that is filled anew for each try."""

    def __init__(self, place: Path, stick: Path, patch: pytest.MonkeyPatch) -> None:
        self._place, self._stick, self._patch, self._number = place, stick, patch, 0
        self.faults = Faults()

    def try_out(self, act: Act, first: int, number: int, *, stays: bool) -> Iterator[str]:
        """Let the card fail at one call of an act; what is wrong then, in words."""
        self._number += 1
        root = self._place / str(self._number)
        stick = self._stick / str(self._number)
        stick.mkdir()
        (root / "folder").mkdir(parents=True)
        for name in ("old", "folder/kept"):
            (root / name).write_bytes(BEFORE[name])
        descriptors = open_descriptors()
        folders = [Folder(root, "Card"), Folder(stick, "Stick")]
        with Catalogue(folders, trash=TrashPolicy()) as store:
            if act.first is not None:
                act.first(store)
            before = shown(root, stick)
            self.faults.plan(first, number, stays=stays)
            with self.faults.at_work(self._patch):
                answer = self._answer(act, store)
            yield from self._complaints(act, answer, before, shown(root, stick))
            yield from self._works_again(store, root)
        if open_descriptors() > descriptors:
            yield f"{self.faults.where}: {open_descriptors() - descriptors} stay open"
        with Catalogue(folders, trash=TrashPolicy()):
            remains = [*leftovers(root), *leftovers(stick)]
            remains = [each for each in remains if not is_kept(each)]
            if remains:
                yield f"remains after a start: {remains}"

    def _answer(self, act: Act, store: Catalogue) -> str:
        try:
            told = act.do(store)
        except MtpError as error:
            return error.code.name
        except ApplianceError as error:
            return "defect: untrue" if "is not in the trash" in str(error) else "refused"
        except KeyError:
            return "gone"  # the walk by names found a folder that could not be listed in full
        except Exception as error:  # noqa: BLE001 - that none else comes is what is asked
            return f"defect: {error!r} {traceback.format_exc()}"
        return "OK" if act.told is None or told == act.told else f"defect: told {told!r}"

    def _complaints(self, act: Act, answer: str, before: Shown, found: Shown) -> Iterator[str]:
        where = f"{self.faults.where}, call {self.faults.count}, answered {answer}"
        if answer.startswith("defect"):
            yield where
        if answer == "OK" and without(found, act.stays) != without(act.after, act.stays):
            yield f"{where}: it is {found}"
        unsynced = [each for each in self.faults.unsynced if not is_of_the_trash(each)]
        if answer == "OK" and unsynced:
            yield f"{where}: not on the card: {unsynced}"
        if act is ACTS["edit"]:
            return
        for name in {*found, *before, *act.after}:
            if found.get(name) not in (before.get(name), act.after.get(name)):
                yield f"{where}: {name} holds {found.get(name)!r}"
        for data in {*before.values()} & {*act.after.values()}:
            if data not in found.values():
                yield f"{where}: {data!r} is nowhere any more"

    def _works_again(self, store: Catalogue, root: Path) -> Iterator[str]:
        try:
            put(store, "afterwards", NEW)
            seen = set(names(store))
        except (MtpError, OSError) as error:
            yield f"{self.faults.where}: and then {error!r}"
            return
        there = {each.name for each in root.iterdir() if each.name != WORKPLACE}
        if seen != there:
            yield f"{self.faults.where}: it shows {seen}, and there is {there}"


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Path]:
    """Make a place on another file system, where this machine has one in memory."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as place:
        yield Path(place)


@pytest.mark.parametrize("stays", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("name", ACTS)
def test_the_card_fails_at_any_call(
    tmp_path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, stays: bool
) -> None:
    card, act = Card(tmp_path, stick, monkeypatch), ACTS[name]
    assert list(card.try_out(act, 0, 0, stays=stays)) == []
    calls = card.faults.count
    assert calls > 3
    wrong = []
    for first in range(1, calls + 1):
        number = act.faults[(first + stays) % len(act.faults)]  # other ones in each half
        wrong += list(card.try_out(act, first, number, stays=stays))
    assert not wrong, "\n".join(wrong)
