# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that cancels, or is gone, while the device works: what is left, and what it is told.

Over the USB conversation with a scripted host, on real folders. What a transaction has done comes
to its initiator by the response, or else by events; who got neither would believe what is not.
"""

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.mtp.codes import EventCode, FormatCode, OperationCode, ResponseCode
from appliance.mtp.datasets import ObjectInfo
from appliance.mtp.device import Device
from appliance.mtp.operations import OPERATIONS, Context
from appliance.mtp.ports import ChangeKind
from appliance.mtp.responder import Connection, Responder
from appliance.mtp.session import MAX_OWED
from appliance.mtp.transaction import Reply, Request
from appliance.storage import Catalogue, Folder, TrashPolicy, removal
from appliance.storage.relocation import Relocation
from appliance.storage.staging import StagedFile
from appliance.transports.usb import Conversation
from appliance.transports.usb_pipes import Cancelled, Disconnected, Reset
from appliance.values import replace
from tests.fakes.device import IDENTITY, ForgetfulState, TestHost
from tests.fakes.usb import FakePipes
from tests.protocol.initiator import ROOT, STORAGE

Op = OperationCode
OK = ResponseCode.OK
OTHER = 0x00020001
FILES = 300
ANEW = (EventCode.OBJECT_INFO_CHANGED, EventCode.OBJECT_REMOVED, EventCode.OBJECT_ADDED)
OF_OBJECTS = {*ANEW, EventCode.STORE_ADDED, EventCode.STORE_REMOVED}


class Host:
    """Sends transactions, numbered from 1, and hears; beside it somebody else hears, too."""

    def __init__(self, responder: Responder) -> None:
        self.store = responder.store
        self.heard: list[tuple[int, ...]] = []
        self.others: list[tuple[int, ...]] = []
        self.connection = responder.connect("usb")
        another = responder.connect("another")
        another.execute(Request(Op.OPEN_SESSION, 0, (1,)))
        another.complete()
        self._listen(self.connection, self.heard)
        self._listen(another, self.others)
        self.pipes = FakePipes(())

    def _listen(self, connection: Connection, heard: list[tuple[int, ...]]) -> None:
        def put(event: object) -> None:
            code, parameters = event.code, event.parameters  # type: ignore[attr-defined]
            if code in OF_OBJECTS:
                heard.append((code, *parameters))

        connection.listen(put)

    def run(self, *transfers: bytes) -> dict[int, int]:
        """Say all that, and be unplugged; the response codes by transactions."""
        self.pipes = FakePipes((command(0, Op.OPEN_SESSION, 1), *transfers))
        Conversation(self.pipes, self.connection).run()
        answers = (struct.unpack_from("<IHHI", each) for each in self.pipes.collected())
        return {number: code for _, kind, code, number in answers if kind == 3 and number}

    def handles(self, storage: int = STORAGE) -> dict[str, int]:
        """Handles by names, of what lies in a storage's root."""
        listed = self.store.children(storage, 0)
        return {self.store.entry(each).name: each for each in listed}


def command(number: int, code: int, *parameters: int) -> bytes:
    size = 12 + 4 * len(parameters)
    return struct.pack(f"<IHHI{len(parameters)}I", size, 1, code, number, *parameters)


def upload(number: int, name: str, content: bytes) -> tuple[bytes, ...]:
    """Announce a file and send it, in two transactions."""
    info = ObjectInfo(0, FormatCode.UNDEFINED, len(content), 0, name).encode()
    return (
        command(number, Op.SEND_OBJECT_INFO, STORAGE, ROOT),
        struct.pack("<IHHI", 12 + len(info), 2, Op.SEND_OBJECT_INFO, number) + info,
        command(number + 1, Op.SEND_OBJECT),
        struct.pack("<IHHI", 12 + len(content), 2, Op.SEND_OBJECT, number + 1) + content,
    )


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A folder with a file and a folder of many."""
    card = tmp_path / "Card"
    (card / "many").mkdir(parents=True)
    (card / "file").write_bytes(b"the older one")
    for number in range(FILES):
        (card / "many" / str(number)).write_bytes(b"1")
    return card


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    stick = tmp_path / "Stick"
    stick.mkdir()
    return stick


@pytest.fixture
def disks(card: Path, stick: Path) -> tuple[Path, Path]:
    return card, stick


@pytest.fixture(params=[TrashPolicy(), None], ids=["trash", "no trash"])
def store(request: pytest.FixtureRequest, card: Path, stick: Path) -> Iterator[Catalogue]:
    folders = [Folder(card, "Card"), Folder(stick, "Stick")]
    with Catalogue(folders, watch=True, trash=request.param, allow_format=True) as store:
        yield store


@pytest.fixture
def host(store: Catalogue) -> Host:
    return Host(Responder(Device(IDENTITY, ForgetfulState(), TestHost()), store))


def after(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, times: int, act: Callable[[], None]
) -> None:
    """Do something after a function has been called so many times."""
    function, calls = getattr(owner, name), 0

    def counting(*arguments: object, **named: object) -> object:
        nonlocal calls
        done = function(*arguments, **named)
        calls += 1
        if calls == times:
            act()
        return done

    monkeypatch.setattr(owner, name, counting)


class Counting:
    """How often a function is called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
        self.count = 0
        function = getattr(owner, name)

        def counting(*arguments: object, **named: object) -> object:
            self.count += 1
            return function(*arguments, **named)

        monkeypatch.setattr(owner, name, counting)


def cancelling(host: Host, number: int) -> Callable[[], None]:
    def cancel() -> None:
        host.pipes.interrupt = Cancelled(number)

    return cancel


def visible(folder: Path) -> dict[str, bytes]:
    """All files but those of the trash and its notes; what is left in the workplace is one, too."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and "trash" not in path.relative_to(folder).parts:
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def test_an_upload_that_is_cancelled_while_it_is_synced_leaves_the_older_file(
    host: Host, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, known = visible(card), host.handles()
    after(monkeypatch, os, "fdatasync", 1, cancelling(host, 2))
    answers = host.run(*upload(1, "file", b"newer"), command(3, Op.GET_NUM_OBJECTS, STORAGE))
    assert answers == {1: OK, 3: OK}
    assert visible(card) == before
    assert host.handles() == known
    assert host.heard == host.others == []


def test_an_upload_that_was_too_late_to_cancel_is_told(
    host: Host, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = host.handles()["file"]
    after(monkeypatch, StagedFile, "close", 1, cancelling(host, 2))
    assert host.run(*upload(1, "file", b"newer"), command(3, Op.GET_NUM_OBJECTS, STORAGE)) == {
        1: OK,
        3: OK,
    }
    new = host.handles()["file"]
    assert (card / "file").read_bytes() == b"newer"
    told = [(EventCode.OBJECT_REMOVED, old), (EventCode.OBJECT_ADDED, new)]
    assert host.heard == host.others == told


def test_a_whole_upload_is_kept_when_the_cable_goes(
    host: Host, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unplug() -> None:
        host.pipes.interrupt = Disconnected()

    after(monkeypatch, os, "fdatasync", 1, unplug)
    host.run(*upload(1, "file", b"newer"))
    assert (card / "file").read_bytes() == b"newer"


@pytest.mark.parametrize("interrupt", [Cancelled(1), Reset(), Disconnected()])
@pytest.mark.parametrize("code", [Op.MOVE_OBJECT, Op.COPY_OBJECT])
def test_a_move_to_another_disk_that_nobody_waits_for_is_given_up(
    disks: tuple[Path, Path],
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    interrupt: Cancelled | Reset | Disconnected,
) -> None:
    card, stick = disks
    monkeypatch.setattr(Relocation, "_move_by_rename", lambda *_: ())

    def interrupting() -> None:
        host.pipes.interrupt = interrupt

    after(monkeypatch, os, "copy_file_range", 20, interrupting)
    before, handle = visible(card), host.handles()["many"]
    copies = Counting(monkeypatch, os, "copy_file_range")
    assert 1 not in host.run(command(1, code, handle, OTHER, 0))
    assert copies.count < 25
    assert visible(card) == before
    assert visible(stick) == {}
    assert host.handles(OTHER) == {}
    assert host.handles()["many"] == handle
    assert host.heard == host.others == []


@pytest.mark.parametrize("code", [Op.MOVE_OBJECT, Op.COPY_OBJECT])
def test_a_move_that_was_too_late_to_cancel_is_told(
    host: Host, card: Path, stick: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(Relocation, "_move_by_rename", lambda *_: ())
    after(monkeypatch, Relocation, "_arrive", 1, cancelling(host, 1))
    handle = host.handles()["file"]
    answers = host.run(command(1, code, handle, OTHER, 0), command(2, Op.GET_NUM_OBJECTS, OTHER))
    assert answers == {2: OK}
    (there,) = host.handles(OTHER).values()
    if code == Op.MOVE_OBJECT:
        told = [(each, handle) for each in ANEW]
    else:
        told = [(EventCode.OBJECT_ADDED, there)]
    assert host.heard == host.others == told
    assert visible(stick) == {"file": b"the older one"}


@pytest.mark.parametrize(
    "operation",
    [(Op.DELETE_OBJECT, 0xFFFFFFFF, 0), (Op.FORMAT_STORE, STORAGE, 0), (Op.DELETE_OBJECT,)],
    ids=["all", "format", "a folder"],
)
def test_deleting_for_good_ends_where_nobody_waits_for_it(
    host: Host,
    store: Catalogue,
    card: Path,
    monkeypatch: pytest.MonkeyPatch,
    operation: tuple[int, ...],
) -> None:
    store.set_trash(None)
    handle = host.handles()["many"]
    below = list(store.children(STORAGE, handle))
    after(monkeypatch, removal.Removal, "attempt", 20, cancelling(host, 1))
    whole = operation if len(operation) > 1 else (*operation, handle, 0)
    answers = host.run(command(1, *whole), command(2, Op.GET_NUM_OBJECTS, STORAGE))
    assert answers == {2: OK}
    left = {store.entry(each).name: each for each in store.children(STORAGE, handle)}
    assert FILES // 2 < len(left) < FILES
    assert set(left) == {each.name for each in (card / "many").iterdir()}
    gone = [(EventCode.OBJECT_REMOVED, each) for each in below if each not in left.values()]
    store.children(STORAGE, 0)  # which lets all be told
    assert not set(gone) - set(host.heard)
    assert not set(gone) - set(host.others)


def test_who_would_have_to_be_told_too_much_lists_anew(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def do_much(context: Context, _: Request) -> Reply:
        for number in range(MAX_OWED + 1):
            context.tell_others(ChangeKind.REMOVED, number)
        host.pipes.interrupt = Cancelled(1)
        return Reply()

    operation = replace(OPERATIONS[Op.SELF_TEST], run=do_much)
    monkeypatch.setitem(OPERATIONS, Op.SELF_TEST, operation)
    assert host.run(command(1, Op.SELF_TEST, 0), command(2, Op.GET_STORAGE_IDS)) == {2: OK}
    anew = (EventCode.STORE_REMOVED, EventCode.STORE_ADDED)
    assert host.heard == [(code, storage) for storage in (STORAGE, OTHER) for code in anew]
