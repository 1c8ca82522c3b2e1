# SPDX-License-Identifier: GPL-3.0-or-later
"""A card that fails at any call: a response code and nothing else, each file old or new, and whole;
what was answered OK is so, and when the card works again, so does the store.
"""

import errno
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.mtp.errors import MtpError
from appliance.storage import Catalogue, Folder, TrashPolicy
from tests.unit.storage.faults import Faults
from tests.unit.storage.helpers import (
    FIRST,
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
BEFORE: Shown = {"old": OLD, "folder/kept": KEPT}


@dataclass(frozen=True, slots=True)
class Act:
    """What a PC does, and what is there after it."""

    do: Callable[[Catalogue], object]
    after: Shown


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


ACTS = {
    "upload": Act(lambda store: upload(store, "new"), BEFORE | {"new": NEW}),
    "replace": Act(lambda store: upload(store, "old"), BEFORE | {"old": NEW}),
    "make a folder": Act(lambda store: store.make_folder(FIRST, 0, "made", modified=None), BEFORE),
    "rename": Act(
        lambda store: store.rename(find(store, "old"), "new"),
        {"new": OLD, "folder/kept": KEPT},
    ),
    "move": Act(
        lambda store: store.move(find(store, "old"), FIRST, find(store, "folder")),
        {"folder/old": OLD, "folder/kept": KEPT},
    ),
    "copy": Act(
        lambda store: store.copy(find(store, "folder"), FIRST, 0), BEFORE
    ),  # refused: it is there already
    "copy a file": Act(
        lambda store: store.copy(find(store, "old"), FIRST, find(store, "folder")),
        BEFORE | {"folder/old": OLD},
    ),
    "delete": Act(lambda store: store.delete(find(store, "old")), {"folder/kept": KEPT}),
    "delete a folder": Act(lambda store: store.delete(find(store, "folder")), {"old": OLD}),
    "edit": Act(edit, BEFORE | {"old": NEW}),
    "list and read": Act(lambda store: content(store, find(store, "folder/kept")), BEFORE),
}


def shown(root: Path) -> Shown:
    files = (each for each in root.rglob("*") if each.is_file() and WORKPLACE not in each.parts)
    return {str(each.relative_to(root)): each.read_bytes() for each in files}


class Card:
    """A share that is filled anew for each try."""

    def __init__(self, place: Path, patch: pytest.MonkeyPatch) -> None:
        self._place, self._patch, self._number = place, patch, 0
        self.faults = Faults()

    def try_out(self, act: Act, first: int, number: int, *, stays: bool) -> Iterator[str]:
        """Let the card fail at one call of an act; what is wrong then, in words."""
        self._number += 1
        root = self._place / str(self._number)
        (root / "folder").mkdir(parents=True)
        for name, data in BEFORE.items():
            (root / name).write_bytes(data)
        descriptors = open_descriptors()
        with Catalogue([Folder(root, "Card")], trash=TrashPolicy()) as store:
            self.faults.plan(first, number, stays=stays)
            with self.faults.at_work(self._patch):
                answer = self._answer(act, store)
            yield from self._complaints(act, answer, shown(root))
            yield from self._works_again(store, root)
        if open_descriptors() > descriptors:
            yield f"{self.faults.where}: {open_descriptors() - descriptors} stay open"
        with Catalogue([Folder(root, "Card")], trash=TrashPolicy()):
            if remains := [each for each in leftovers(root) if "/trash/" not in f"/{each}"]:
                yield f"remains after a start: {remains}"

    def _answer(self, act: Act, store: Catalogue) -> str:
        try:
            act.do(store)
        except MtpError as error:
            return error.code.name
        except KeyError:
            return "gone"  # the walk by names found a folder that could not be listed in full
        except Exception as error:  # noqa: BLE001 - that none else comes is what is asked
            return f"defect: {error!r} {traceback.format_exc()}"
        return "OK"

    def _complaints(self, act: Act, answer: str, found: Shown) -> Iterator[str]:
        where = f"{self.faults.where}, call {self.faults.count}, answered {answer}"
        if answer.startswith("defect"):
            yield where
        if answer == "OK" and found != act.after:
            yield f"{where}: it is {found}"
        for name in {*found, *BEFORE, *act.after}:
            allowed = (BEFORE.get(name), act.after.get(name))
            if found.get(name) not in allowed and act is not ACTS["edit"]:
                yield f"{where}: {name} holds {found.get(name)!r}"

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


@pytest.mark.parametrize("stays", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("name", ACTS)
def test_the_card_fails_at_any_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, stays: bool
) -> None:
    card = Card(tmp_path, monkeypatch)
    assert list(card.try_out(ACTS[name], 0, 0, stays=stays)) == []
    calls = card.faults.count
    assert calls > 3
    wrong = []
    for first in range(1, calls + 1):
        number = FAULTS[first % len(FAULTS)]
        wrong += list(card.try_out(ACTS[name], first, number, stays=stays))
    assert not wrong, "\n".join(wrong)
