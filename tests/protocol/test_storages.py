# SPDX-License-Identifier: GPL-3.0-or-later
"""Storages that come, go and change while sessions are open."""

from pathlib import Path

import pytest

from appliance.mtp.codes import EventCode, FormatCode, OperationCode, ResponseCode
from appliance.mtp.datasets import ObjectInfo
from appliance.storage import Catalogue, Folder
from tests.fakes.client import Client, ConnectClient
from tests.protocol.initiator import ROOT, STORAGE, Initiator

Op = OperationCode
Event = EventCode
Response = ResponseCode


@pytest.fixture
def more(tmp_path: Path) -> Path:
    folder = tmp_path / "More"
    folder.mkdir()
    (folder / "inside").write_bytes(b"more")
    return folder


def device(client: Client) -> Catalogue:
    """What a person at the device can do."""
    store = client.responder.store
    assert isinstance(store, Catalogue)
    return store


def storages(pc: Initiator) -> list[str]:
    return [pc.storage(each).description for each in pc.storage_ids()]


def test_storages_come_and_go(share: Path, more: Path, connect: ConnectClient) -> None:
    with connect(share) as client:
        pc = Initiator(client).open()
        before = pc.names()
        added = device(client).add_storage(Folder(more, "Card 2"))
        assert pc.event() == (Event.STORE_ADDED, added)
        assert storages(pc) == ["Share", "Card 2"]
        inside = pc.names(storage=added)
        assert pc.data(Op.GET_OBJECT, inside["inside"]) == b"more"
        device(client).remove_storage(added)
        assert pc.event() == (Event.STORE_REMOVED, added)
        assert storages(pc) == ["Share"]
        assert pc.refused(Op.GET_OBJECT, inside["inside"]) == Response.INVALID_OBJECT_HANDLE
        assert pc.refused(Op.GET_STORAGE_INFO, added) == Response.INVALID_STORAGE_ID
        assert pc.names() == before
        again = device(client).add_storage(Folder(more, "Card 2"))
        assert again != added


@pytest.mark.parametrize("unnamed", [0, ROOT])
def test_what_names_no_storage_goes_into_one_that_is_there(
    share: Path, more: Path, connect: ConnectClient, unnamed: int
) -> None:
    with connect(share, more) as client:
        pc = Initiator(client).open()
        share.rename(share.with_name("elsewhere"))
        pc.put("new", b"new", storage=unnamed)
        assert (more / "new").read_bytes() == b"new"
        assert pc.mkdir("folder", storage=unnamed).ok
        more.rename(more.with_name("gone"))
        data = ObjectInfo(0, FormatCode.UNDEFINED, 1, 0, "none").encode()
        refused = pc.refused(Op.SEND_OBJECT_INFO, unnamed, ROOT, data=data)
        assert refused == Response.STORE_NOT_AVAILABLE


def test_the_only_storage_may_go(share: Path, connect: ConnectClient) -> None:
    with connect(share) as client:
        pc = Initiator(client).open()
        pc.handles(0)
        device(client).remove_storage(STORAGE)
        assert pc.event() == (Event.STORE_REMOVED, STORAGE)
        assert pc.storage_ids() == []
        assert pc.handles(0) == []
        refused = pc.announce("x", 1).code
        assert refused in (Response.INVALID_STORAGE_ID, Response.STORE_NOT_AVAILABLE)


def test_ejecting_and_loading_again(share: Path, more: Path, connect: ConnectClient) -> None:
    with connect(share, more) as client:
        pc = Initiator(client).open()
        handle = pc.names(storage=STORAGE)["root.bin"]
        device(client).eject(STORAGE)
        assert pc.event() == (Event.STORE_REMOVED, STORAGE)
        assert storages(pc) == ["More"]
        gone = {Response.INVALID_OBJECT_HANDLE, Response.STORE_NOT_AVAILABLE}
        assert pc.refused(Op.GET_OBJECT, handle) in gone
        assert pc.refused(Op.DELETE_OBJECT, handle) in gone
        assert (share / "root.bin").exists()
        device(client).load(STORAGE)
        assert pc.event() == (Event.STORE_ADDED, STORAGE)
        assert pc.names(storage=STORAGE)["root.bin"] == handle


def test_locking(share: Path, more: Path, connect: ConnectClient) -> None:
    with connect(share, more) as client:
        pc = Initiator(client).open()
        ids = pc.storage_ids()
        device(client).lock()
        assert {pc.event() for _ in ids} == {(Event.STORE_REMOVED, each) for each in ids}
        assert pc.storage_ids() == []
        assert pc.handles(0) == []
        device(client).unlock()
        assert {pc.event() for _ in ids} == {(Event.STORE_ADDED, each) for each in ids}
        assert pc.storage_ids() == ids


def test_read_only_on_and_off(share: Path, connect: ConnectClient) -> None:
    with connect(share) as client:
        pc = Initiator(client).open()
        device(client).set_read_only(STORAGE, read_only=True)
        assert client.event().code == Event.STORAGE_INFO_CHANGED
        assert pc.storage().access == 1
        assert pc.announce("x", 1).code == Response.STORE_READ_ONLY
        device(client).set_read_only(STORAGE, read_only=False)
        assert client.event().code == Event.STORAGE_INFO_CHANGED
        pc.put("x", b"1")


def test_a_storage_goes_in_the_middle_of_an_upload(
    share: Path, more: Path, connect: ConnectClient
) -> None:
    with connect(share, more) as client:
        pc = Initiator(client).open()
        assert pc.announce("x", 5).code == Response.OK
        device(client).remove_storage(STORAGE)
        assert pc.refused(Op.SEND_OBJECT, data=b"12345") in {
            Response.STORE_NOT_AVAILABLE,
            Response.INVALID_STORAGE_ID,
            Response.INVALID_PARENT_OBJECT,
            Response.INCOMPLETE_TRANSFER,
        }
        assert sorted(each.name for each in share.iterdir()) == ["Docs", "root.bin"]


def test_a_root_that_is_gone(share: Path, more: Path, connect: ConnectClient) -> None:
    with connect(share, more) as client:
        pc = Initiator(client).open()
        share.rename(share.with_name("elsewhere"))
        assert pc.refused(Op.GET_STORAGE_INFO, STORAGE) == Response.STORE_NOT_AVAILABLE
        assert pc.announce("x", 1).code == Response.STORE_NOT_AVAILABLE
        assert len(pc.handles(ROOT)) == 1


def test_the_self_test(share: Path, connect: ConnectClient) -> None:
    with connect(share) as client:
        pc = Initiator(client).open()
        pc.ask(Op.SELF_TEST, 0)
        share.rename(share.with_name("elsewhere"))
        assert pc.refused(Op.SELF_TEST, 0) == Response.SELF_TEST_FAILED


# Formatting


def test_formatting_empties_the_share(share: Path, connect: ConnectClient) -> None:
    outside = share.with_name("outside")
    outside.write_bytes(b"stays")
    (share / "link").symlink_to(outside)
    with connect(share, allow_format=True) as client:
        pc = Initiator(client).open()
        assert Op.FORMAT_STORE in pc.supported()
        other = pc.another()
        pc.ask(Op.FORMAT_STORE, STORAGE, 2)
        assert pc.handles(0) == []
        assert [other.event(), other.event()] == [
            (Event.STORE_REMOVED, STORAGE),
            (Event.STORE_ADDED, STORAGE),
        ]
        pc.put("new", b"1")
        assert pc.refused(Op.FORMAT_STORE, 0x990001) == Response.INVALID_STORAGE_ID
    assert outside.read_bytes() == b"stays"
    assert not (share / "Docs").exists()


def test_formatting_that_leaves_something_is_told_too(share: Path, connect: ConnectClient) -> None:
    with connect(share, allow_format=True) as client:
        pc = Initiator(client).open()
        pc.ask(Op.SET_OBJECT_PROTECTION, pc.names()["root.bin"], 1)
        other = pc.another()
        other.handles(0)
        assert pc.refused(Op.FORMAT_STORE, STORAGE) == Response.PARTIAL_DELETION
        assert [other.event(), other.event()] == [
            (Event.STORE_REMOVED, STORAGE),
            (Event.STORE_ADDED, STORAGE),
        ]
        assert [*other.names()] == ["root.bin"]


def test_formatting_that_is_not_allowed(share: Path, connect: ConnectClient) -> None:
    with connect(share) as client:
        pc = Initiator(client).open()
        assert Op.FORMAT_STORE not in pc.supported()
        assert pc.refused(Op.FORMAT_STORE, STORAGE) == Response.OPERATION_NOT_SUPPORTED
        assert "root.bin" in pc.names()
    with connect(share, read_only={share}, allow_format=True) as client:
        pc = Initiator(client).open()
        assert pc.refused(Op.FORMAT_STORE, STORAGE) == Response.STORE_READ_ONLY
        assert "root.bin" in pc.names()


def test_formatting_that_is_allowed_at_run_time(share: Path, connect: ConnectClient) -> None:
    with connect(share) as client:
        pc = Initiator(client).open()
        device(client).may_format = True
        client.responder.device_info_changed()
        assert pc.event() == (Event.DEVICE_INFO_CHANGED,)
        assert Op.FORMAT_STORE in pc.supported()
