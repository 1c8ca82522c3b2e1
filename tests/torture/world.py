# SPDX-License-Identifier: GPL-3.0-or-later
"""A responder with several initiators and a device, beside the model of what must be visible."""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from appliance.mtp.codes import ALL, ResponseCode
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.prop_lists import decode_prop_list
from appliance.mtp.wire import Value
from appliance.storage import Catalogue, TrashPolicy
from tests.fakes.client import Answer, Client
from tests.torture.frank import be_frank
from tests.torture.hearing import Hearing, Table
from tests.torture.model import Node

R = ResponseCode
STORAGES = (0x00010001, 0x00020001)
WORKPLACE = ".mtp-appliance"
#: Answers to an operation on what the device has just changed, before it was listed again; on
#: nothing else, however much of that there is.
STALE = {R.INVALID_OBJECT_HANDLE, R.INVALID_PARENT_OBJECT}
NAME, SIZE, PARENT, PLACE, PROTECTION = 0xDC07, 0xDC04, 0xDC0B, 0xDC01, 0xDC03
DATE = "20010203T040506"
NAMES = ("a", "b.txt", "ä.jpg", "a\u0308.jpg", "🎈", "with space", ".hidden", "c", "d")
LENGTHS = (0, 1, 20, 20, 500, 512, 1012, 65_536, 70_001)


@dataclass(eq=False, slots=True)
class Edit:
    """An edit that a session has begun. `is_used`: something was written by it and answered OK.

    `is_replaced`: what the device has saved in the file's place is not the file that was opened.
    """

    node: Node
    is_used: bool = False
    is_replaced: bool = False


class World:
    """Two storages, three sessions. `chance` decides what no argument does."""

    def __init__(self, client: Client, roots: tuple[Path, Path], chance: random.Random) -> None:
        self.chance = chance
        self.paths = dict(zip(STORAGES, roots, strict=True))
        self.roots = {storage: Node(path.name) for storage, path in self.paths.items()}
        self.outside = roots[0].parent / "outside"
        self.outside.mkdir(exist_ok=True)
        self.store = cast(Catalogue, client.responder.store)
        self.store.set_trash(TrashPolicy(share=1.0))
        be_frank(self.store)
        self.responder = client.responder
        self.pcs = [Hearing(each) for each in (client, client.another(), client.another())]
        for number, pc in enumerate(self.pcs, 1):
            pc.open(number)
        #: Edits that were begun: by session and handle.
        self.edits: dict[tuple[int, int], Edit] = {}
        self.dead: set[int] = set()
        self.is_behind = False
        self._numbers = itertools.count(1)
        self.compare()

    # Choosing

    def number(self) -> int:
        return next(self._numbers)

    def name(self) -> str:
        """A name, out of few, so that they meet."""
        return self.chance.choice(NAMES)

    def content(self) -> bytes:
        """Some bytes that no other file has; as many as lie at the borders of something."""
        return (b"%d " % self.number() * 12_000)[: self.chance.choice(LENGTHS)]

    def pc(self) -> Hearing:
        return self.chance.choice(self.pcs)

    def nodes(self, wanted: Callable[[Node], bool] = lambda node: True) -> list[Node]:
        every = [each for root in self.roots.values() for each in root.all()]
        return [each for each in every if wanted(each)]

    def folder(self) -> Node:
        return self.chance.choice(self.nodes(lambda node: node.is_folder))

    def some(self, wanted: Callable[[Node], bool] = lambda node: True) -> Node | None:
        """Choose a node that is no root; None where there is none of that kind."""
        found = self.nodes(lambda node: not node.is_root and wanted(node))
        return self.chance.choice(found) if found else None

    def file(self) -> Node | None:
        return self.some(lambda node: not node.is_folder)

    def storage_of(self, node: Node) -> int:
        return next(number for number, root in self.roots.items() if root is node.root)

    def place_of(self, node: Node) -> Path:
        return self.paths[self.storage_of(node)].joinpath(*node.path)

    def where(self, folder: Node) -> tuple[int, int]:
        """Storage and parent as an initiator names a folder that things are to go into."""
        storage = self.storage_of(folder)
        if folder.is_root:
            return storage, self.chance.choice((0, ALL))
        return self.chance.choice((storage, 0)), folder.handle

    # Asking

    def look(self, *nodes: Node) -> None:
        """Let initiators list all, if they do not know of these nodes; sometimes if they do."""
        known = all(node.is_root or node.handle for node in nodes)
        if not known or (self.is_behind and self.chance.random() < 0.5):
            self.compare()

    def ask(
        self, pc: Hearing, expected: R, code: Op, *parameters: int, data: bytes | None = None
    ) -> Answer | None:
        """Run an operation and compare the answer; None where it was refused as stale."""
        answer = pc.call(code, *parameters, data=data)
        got = R(answer.code)
        if got is not expected:
            concerns = self._concerns_the_device(code, parameters, data)
            stale = self.is_behind and got in STALE and concerns
            assert stale, f"{code.name}{parameters}: {got.name}, not {expected.name}"
            return None
        return answer

    def _concerns_the_device(
        self, code: Op, parameters: tuple[int, ...], data: bytes | None
    ) -> bool:
        """Whether what is named is something that the device has changed, in such, or gone."""
        if code is Op.SEND_OBJECT:
            return True  # where to, was said before
        touched = [each for node in self.nodes() if node.is_touched for each in node.all()]
        named = {*parameters}
        if code is Op.SET_OBJECT_PROP_LIST and data:
            named.add(int.from_bytes(data[4:8], "little"))
        return bool(named & {*self.dead, *(each.handle for each in touched)} - {0})

    def do(
        self, pc: Hearing, expected: R, code: Op, *parameters: int, data: bytes | None = None
    ) -> tuple[int, ...] | None:
        """Run an operation; its response parameters where it was done, None where it was not."""
        answer = self.ask(pc, expected, code, *parameters, data=data)
        return answer.parameters if answer is not None and expected is R.OK else None

    def bury(self, node: Node) -> None:
        """Note that a node is gone, with all in it: its handles mean nothing any more."""
        for each in node.all():
            self.dead.update((each.handle, *each.former))

    # Edits

    def begun(self) -> tuple[int, Node] | None:
        """Choose an edit by the session and the file, which has the handle that it was begun by."""
        keys = [key for key, each in self.edits.items() if each.node.handle == key[1]]
        there = [(key[0], self.edits[key].node) for key in keys]
        there = [each for each in there if each[1] in self.nodes()]
        return self.chance.choice(there) if there else None

    def edits_of(self, node: Node) -> list[Edit]:
        return [each for each in self.edits.values() if each.node is node]

    def end_edit(self, number: int, handle: int) -> None:
        """End an edit; what was written by one whose file is gone by then is told to be lost."""
        self.ask(self.pcs[number], self._end_of(number, handle), Op.END_EDIT_OBJECT, handle)
        del self.edits[number, handle]

    def close(self, number: int) -> None:
        """Close a session, with all its edits."""
        keys = [key for key in self.edits if key[0] == number]
        expected = max((self._end_of(*key) for key in keys), default=R.OK)
        self.ask(self.pcs[number], expected, Op.CLOSE_SESSION)
        for key in keys:
            del self.edits[key]

    def _end_of(self, number: int, handle: int) -> R:
        edit = self.edits[number, handle]
        looks = [self.pcs[number].call(Op.GET_OBJECT_INFO, handle) for _ in range(2)]
        is_known = looks[-1].ok  # the first may only have found out that the device has moved it
        if edit.node not in self.nodes():
            assert not is_known, f"{handle} is dead"
        lost = edit.is_used and (edit.is_replaced or not is_known)
        return R.INVALID_OBJECT_HANDLE if lost else R.OK

    # Comparing

    def compare(self) -> None:
        """Let an initiator list everything, and compare names, places, sizes, handles."""
        for storage, root in self.roots.items():
            self._compare_folder(storage, root, self._listing(storage))
        self.is_behind = False
        edited = {each.node.handle for each in self.edits.values()}
        for pc in self.pcs:
            pc.agree(self._wanted(), edited)

    def _wanted(self) -> Table:
        """Say what a session has to know, handles and all."""
        return {
            node.handle: (storage, node.parent.handle, node.name, len(node.content or b""))
            for storage, root in self.roots.items()
            for node in root.all()
            if node.parent is not None
        }

    def hear_out(self) -> None:
        """Let each session hear all that there is to hear, which must change nothing."""
        for teller, name in ((self.pcs[0], "the last"), (self.pcs[1], "the very last")):
            storage, root = STORAGES[0], self.roots[STORAGES[0]]
            answer = teller.mkdir(name, storage=storage)
            assert answer.ok, name
            root.add(Node(name, handle=answer.parameters[2]))
            for each in self.pcs:
                if each is not teller:
                    each.hear_out(answer.parameters[2])
            self.compare()

    def _listing(self, storage: int) -> dict[int, dict[str, dict[int, Value]]]:
        """All objects of a storage: by parent, by name, their properties."""
        pc = self.pc()
        found: dict[int, dict[int, Value]] = {}
        for handle in pc.handles(0, storage=storage):
            data = pc.data(Op.GET_OBJECT_PROP_LIST, handle, 0, ALL, 0, 0)
            values = {each.code: each.value for each in decode_prop_list(data)}
            found[handle] = {0: handle, **values}
        by_place: dict[int, dict[str, dict[int, Value]]] = {}
        for values in found.values():
            there = by_place.setdefault(int(str(values[PARENT])), {})
            assert str(values[NAME]) not in there, f"{values[NAME]!r} twice"
            there[str(values[NAME])] = values
        return by_place

    def _compare_folder(
        self, storage: int, folder: Node, listing: dict[int, dict[str, dict[int, Value]]]
    ) -> None:
        shown = listing.get(folder.handle, {})
        assert sorted(shown) == sorted(folder.children), (
            f"in {folder.path}, {folder.handle:X}: {sorted(shown)} for {sorted(folder.children)}"
        )
        for name, node in folder.children.items():
            values = shown[name]
            self._meet(node, int(str(values[0])))
            assert values[PLACE] == storage
            assert values[SIZE] == len(node.content or b""), node.path
            assert bool(values[PROTECTION]) is node.is_protected, node.path
            if node.modified is not None:
                assert values[0xDC09] == DATE, node.path
            if node.is_folder:
                self._compare_folder(storage, node, listing)

    def _meet(self, node: Node, handle: int) -> None:
        """Learn an object's handle; it is another one only if the device has changed it."""
        if node.handle not in (0, handle):
            assert node.is_touched, f"{node.path} became {handle:X}"
            node.former.append(node.handle)
        node.handle, node.is_touched = handle, False

    def compare_all(self) -> None:
        """Compare every byte, as an initiator sees it and as it lies on the disk."""
        self.compare()
        self.hear_out()
        self.store.settle()
        for storage, path in self.paths.items():
            on_disk = {
                each.relative_to(path).parts: each.read_bytes() if each.is_file() else None
                for each in path.rglob("*")
                if each.relative_to(path).parts[0] != WORKPLACE
            }
            every = {each.path: each for each in self.roots[storage].all() if not each.is_root}
            assert on_disk == {name: node.content for name, node in every.items()}
            for node in every.values():
                if not node.is_folder:
                    assert self.pc().data(Op.GET_OBJECT, node.handle) == node.content, node.path

    # The device

    def device(self, act: Callable[[], None]) -> None:
        """Do something on the device, of which nobody has been told yet."""
        self.store.settle()
        act()
        self.is_behind = True
