# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing files in place, their dates and their protection."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EIO
from pathlib import Path
from typing import cast

import pytest

from appliance.mtp.codes import OperationCode, ResponseCode
from appliance.mtp.transaction import Request, Sink
from appliance.mtp.wire import Reader, decode_date, encode_string
from appliance.storage import Catalogue, TrashPolicy
from appliance.transports.ptpip import MAX_INITIATORS
from appliance.transports.usbredir import MAX_GUESTS
from tests.fakes.client import ConnectClient
from tests.fakes.memory_client import connect_memory
from tests.protocol.initiator import ROOT, STORAGE, Initiator

Op = OperationCode
Response = ResponseCode
_4_GIB = 1 << 32


def write(pc: Initiator, handle: int, offset: int, data: bytes) -> int:
    answer = pc.ask(
        Op.SEND_PARTIAL_OBJECT, handle, offset % _4_GIB, offset // _4_GIB, len(data), data=data
    )
    return answer.parameters[0]


def truncate(pc: Initiator, handle: int, size: int) -> None:
    pc.ask(Op.TRUNCATE_OBJECT, handle, size % _4_GIB, size // _4_GIB)


def read(pc: Initiator, handle: int, offset: int, most: int) -> bytes:
    answer = pc.ask(Op.GET_PARTIAL_OBJECT_64, handle, offset % _4_GIB, offset // _4_GIB, most)
    assert answer.data is not None
    assert answer.parameters == (len(answer.data),)
    return answer.data


@pytest.mark.parametrize("begun", [True, False])
def test_overwriting_appending_cutting(pc: Initiator, share: Path, begun: bool) -> None:
    handle, file = pc.names()["root.bin"], share / "root.bin"
    expected = bytearray(file.read_bytes())
    if begun:
        pc.ask(Op.BEGIN_EDIT_OBJECT, handle)
    assert write(pc, handle, 10, b"in the middle") == 13
    expected[10:23] = b"in the middle"
    assert file.read_bytes() == expected
    write(pc, handle, 1024, b"at the end")
    expected += b"at the end"
    assert pc.info(handle).size == len(expected)
    write(pc, handle, 2000, b"beyond it")
    expected += bytes(2000 - len(expected)) + b"beyond it"
    assert read(pc, handle, 0, 5000) == expected
    truncate(pc, handle, 100)
    assert read(pc, handle, 0, 5000) == expected[:100]
    truncate(pc, handle, 200)
    assert read(pc, handle, 90, 5000) == expected[90:100] + bytes(100)
    if begun:
        pc.ask(Op.END_EDIT_OBJECT, handle)
    assert file.read_bytes() == expected[:100] + bytes(100)


def test_beyond_four_gibibytes(pc: Initiator, share: Path) -> None:
    handle = pc.put("sparse", b"")
    if pc.storage().free < 6 << 30:
        pytest.skip("needs 6 GB of free space, for a file that takes none")
    write(pc, handle, _4_GIB + 7, b"far out")
    assert pc.info(handle).size == _4_GIB - 1
    size = Reader(pc.data(Op.GET_OBJECT_PROP_VALUE, handle, 0xDC04)).u64()
    assert size == _4_GIB + 14
    assert read(pc, handle, _4_GIB + 5, 100) == bytes(2) + b"far out"
    assert read(pc, handle, 1 << 40, 100) == b""
    truncate(pc, handle, _4_GIB + 1)
    assert (share / "sparse").stat().st_size == _4_GIB + 1


def test_the_size_changes_are_seen_by_another_session_at_once(pc: Initiator) -> None:
    other = pc.another()
    handle = pc.names()["root.bin"]
    pc.ask(Op.BEGIN_EDIT_OBJECT, handle)
    truncate(pc, handle, 3)
    assert other.info(handle).size == 3
    other.ask(Op.BEGIN_EDIT_OBJECT, handle)
    write(other, handle, 3, b"more")
    assert pc.info(handle).size == 7


def test_an_edit_ends_with_its_session(pc: Initiator, share: Path) -> None:
    handle = pc.names()["root.bin"]
    pc.ask(Op.BEGIN_EDIT_OBJECT, handle)
    pc.ask(Op.BEGIN_EDIT_OBJECT, handle)
    write(pc, handle, 0, b"kept")
    pc.ask(Op.CLOSE_SESSION)
    assert (share / "root.bin").read_bytes()[:5] == b"kept\x04"
    pc.open()
    assert pc.refused(Op.END_EDIT_OBJECT, handle) == Response.GENERAL_ERROR


@pytest.mark.parametrize("close", [Op.CLOSE_SESSION, Op.RESET_DEVICE])
def test_an_edit_that_is_lost_with_its_session_is_told(
    pc: Initiator, monkeypatch: pytest.MonkeyPatch, close: Op
) -> None:
    def failing(fd: int) -> None:
        raise OSError(EIO, os.strerror(EIO))

    handles = [pc.put(name, b"1") for name in "abc"]
    for handle in handles:
        pc.ask(Op.BEGIN_EDIT_OBJECT, handle)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing)
        assert pc.refused(close) == Response.GENERAL_ERROR
    assert pc.refused(Op.GET_STORAGE_IDS) == Response.SESSION_NOT_OPEN
    pc.open()
    assert pc.refused(Op.END_EDIT_OBJECT, handles[2]) == Response.GENERAL_ERROR  # none is left
    pc.ask(close)


def test_no_more_edits_than_can_be(pc: Initiator) -> None:
    handles = [pc.put(f"{number}", b"1") for number in range(17)]
    for handle in handles[:16]:
        pc.ask(Op.BEGIN_EDIT_OBJECT, handle)
    assert pc.refused(Op.BEGIN_EDIT_OBJECT, handles[16]) == Response.DEVICE_BUSY
    write(pc, handles[16], 0, b"2")
    pc.ask(Op.END_EDIT_OBJECT, handles[0])
    pc.ask(Op.BEGIN_EDIT_OBJECT, handles[16])


def test_edits_of_what_is_gone_are_in_nobodys_way(pc: Initiator) -> None:
    kept, *gone = [pc.put(f"{number}", b"1") for number in range(16)]
    for handle in (kept, *gone):
        pc.ask(Op.BEGIN_EDIT_OBJECT, handle)
    other = pc.another()
    for handle in gone:
        other.ask(Op.DELETE_OBJECT, handle)
    new = pc.put("new", b"1")
    pc.ask(Op.BEGIN_EDIT_OBJECT, new)
    write(pc, kept, 0, b"2")
    for handle in (kept, new):
        pc.ask(Op.END_EDIT_OBJECT, handle)


@contextmanager
def usual_descriptors() -> Iterator[None]:
    """Have as many descriptors as a process commonly has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_peers_edits_keep_another_from_reading_and_sending(share: Path) -> None:
    for number in range(64):
        (share / f"{number}").write_bytes(b"1")
    with usual_descriptors(), connect_memory(share) as client:
        pc = Initiator(client).open()
        handles = [handle for name, handle in pc.names().items() if name.isdecimal()]
        peers = [pc.another() for _ in range(2 * MAX_INITIATORS + MAX_GUESTS)]
        begun = [peer.call(Op.BEGIN_EDIT_OBJECT, each).ok for peer in peers for each in handles]
        assert begun.count(True) >= len(peers)
        assert pc.data(Op.GET_OBJECT, handles[0]) == b"1"
        pc.ask(Op.BEGIN_EDIT_OBJECT, handles[0])
        pc.put("new", b"2")
    assert (share / "new").read_bytes() == b"2"


def test_more_than_was_announced_is_refused(pc: Initiator, share: Path) -> None:
    handle = pc.names()["root.bin"]
    answer = pc.call(Op.SEND_PARTIAL_OBJECT, handle, 0, 0, 3, data=b"four")
    assert answer.code == Response.INVALID_PARAMETER
    assert (share / "root.bin").read_bytes()[:4] == bytes(range(4))
    fewer = pc.ask(Op.SEND_PARTIAL_OBJECT, handle, 0, 0, 9, data=b"three")
    assert fewer.parameters == (5,)


def test_what_cannot_be_edited(share: Path, connect: ConnectClient) -> None:
    edits = (
        (Op.BEGIN_EDIT_OBJECT, None),
        (Op.TRUNCATE_OBJECT, None),
        (Op.SEND_PARTIAL_OBJECT, b"1"),
    )
    (share / "fixed").write_bytes(b"1")
    (share / "fixed").chmod(0o444)
    with connect(share) as client:
        pc = Initiator(client).open()
        handles = pc.names()
        for code, data in edits:
            for handle, response in (
                (handles["Docs"], Response.INVALID_OBJECT_HANDLE),
                (0xFFFFFFF0, Response.INVALID_OBJECT_HANDLE),
                (0, Response.INVALID_OBJECT_HANDLE),
                (handles["fixed"], Response.OBJECT_WRITE_PROTECTED),
            ):
                assert pc.refused(code, handle, 1, 0, 1, data=data) == response, code
        top = (1 << 32) - 1
        handle = handles["root.bin"]
        assert pc.refused(Op.TRUNCATE_OBJECT, handle, top, top) == Response.OBJECT_TOO_LARGE
        assert pc.refused(Op.TRUNCATE_OBJECT, handle, top, top >> 2) == Response.STORE_FULL
        refused = pc.refused(Op.SEND_PARTIAL_OBJECT, handle, top, top, 1, data=b"1")
        assert refused == Response.OBJECT_TOO_LARGE
        assert pc.info(handle).size == 1024
    with connect(share, read_only={share}) as client:
        pc = Initiator(client).open()
        handle = pc.names()["root.bin"]
        for code, data in edits:
            assert pc.refused(code, handle, 1, 0, 1, data=data) == Response.STORE_READ_ONLY
        assert pc.refused(Op.SET_OBJECT_PROTECTION, handle, 1) == Response.STORE_READ_ONLY
    assert (share / "root.bin").stat().st_size == 1024


def test_a_file_that_was_deleted_while_it_was_edited(pc: Initiator, share: Path) -> None:
    handle = pc.names()["root.bin"]
    pc.ask(Op.BEGIN_EDIT_OBJECT, handle)
    pc.ask(Op.DELETE_OBJECT, handle)
    refused = pc.refused(Op.SEND_PARTIAL_OBJECT, handle, 0, 0, 1, data=b"1")
    assert refused == Response.INVALID_OBJECT_HANDLE
    assert pc.refused(Op.TRUNCATE_OBJECT, handle, 0, 0) == Response.INVALID_OBJECT_HANDLE
    pc.ask(Op.END_EDIT_OBJECT, handle)  # nothing of it was lost
    assert not (share / "root.bin").exists()
    assert pc.refused(Op.BEGIN_EDIT_OBJECT, handle) == Response.INVALID_OBJECT_HANDLE


def _delete(other: Initiator, share: Path) -> None:
    other.ask(Op.DELETE_OBJECT, other.names()["root.bin"])


def _replace(other: Initiator, share: Path) -> None:
    other.put("root.bin", b"newer")


def _save(other: Initiator, share: Path) -> None:
    (share / ".draft").write_bytes(b"saved by an editor")
    (share / ".draft").rename(share / "root.bin")


def _write_anew(other: Initiator, share: Path) -> None:
    (share / "root.bin").unlink()
    (share / "root.bin").write_bytes(b"saved by an editor")


def _remove(other: Initiator, share: Path) -> None:
    (share / "root.bin").unlink()


Taking = Callable[[Initiator, Path], None]
taking = pytest.mark.parametrize("take", [_delete, _replace, _save, _write_anew, _remove])


def _files(share: Path) -> dict[Path, bytes]:
    """All files, those in the trash too."""
    return {each: each.read_bytes() for each in share.rglob("*") if each.is_file()}


@taking
@pytest.mark.parametrize("end", [Op.END_EDIT_OBJECT, Op.CLOSE_SESSION, Op.RESET_DEVICE])
def test_what_is_written_once_the_file_is_gone_is_refused_and_goes_nowhere(
    share: Path, connect: ConnectClient, take: Taking, end: Op
) -> None:
    with connect(share) as client:
        cast(Catalogue, client.responder.store).set_trash(TrashPolicy())
        pc = Initiator(client).open()
        handle = pc.names()["root.bin"]
        pc.ask(Op.BEGIN_EDIT_OBJECT, handle)
        write(pc, handle, 0, b"written before")
        take(pc.another(), share)
        before = _files(share)
        gone = Response.INVALID_OBJECT_HANDLE
        assert pc.refused(Op.TRUNCATE_OBJECT, handle, 0, 0) == gone
        assert pc.refused(Op.SEND_PARTIAL_OBJECT, handle, 0, 0, 1, data=b"1") == gone
        assert pc.refused(end, *([handle] if end is Op.END_EDIT_OBJECT else [])) == gone
        assert _files(share) == before


@taking
def test_a_write_under_way_when_the_file_goes(share: Path, take: Taking) -> None:
    with connect_memory(share) as client:
        cast(Catalogue, client.responder.store).set_trash(TrashPolicy())
        handle = Initiator(client).open().names()["root.bin"]
        connection = client.responder.connect("slow")
        connection.execute(Request(Op.OPEN_SESSION, 0, (1,)))
        connection.complete()
        sink = cast(Sink, connection.execute(Request(Op.SEND_PARTIAL_OBJECT, 1, (handle, 0, 0, 8))))
        sink.write(memoryview(b"1234"))
        take(Initiator(client.another()).open(), share)
        before = _files(share)
        sink.write(memoryview(b"5678"))
        assert sink.finish().code == Response.INVALID_OBJECT_HANDLE
        connection.complete()
        assert _files(share) == before


@pytest.mark.parametrize("save", [_save, _write_anew])
def test_an_edit_begins_anew_on_what_was_saved_over_the_file(
    pc: Initiator, share: Path, save: Taking
) -> None:
    handle = pc.names()["root.bin"]
    pc.ask(Op.BEGIN_EDIT_OBJECT, handle)
    write(pc, handle, 0, b"lost")
    save(pc, share)
    pc.ask(Op.BEGIN_EDIT_OBJECT, handle)
    write(pc, handle, 0, b"SAVED")
    truncate(pc, handle, 8)
    pc.ask(Op.END_EDIT_OBJECT, handle)
    assert (share / "root.bin").read_bytes() == b"SAVED by"
    assert pc.refused(Op.END_EDIT_OBJECT, handle) == Response.GENERAL_ERROR


def test_an_edit_goes_on_where_the_file_is_renamed_or_moved(pc: Initiator, share: Path) -> None:
    other, handle = pc.another(), pc.names()["root.bin"]
    other.names(other.names()["Docs"])
    pc.ask(Op.BEGIN_EDIT_OBJECT, handle)
    (share / "root.bin").rename(share / "Docs" / "moved by the device")
    write(pc, handle, 0, b"1")
    assert other.rename(handle, "renamed").ok
    write(pc, handle, 1, b"2")
    other.ask(Op.MOVE_OBJECT, handle, STORAGE, ROOT)
    write(pc, handle, 2, b"3")
    truncate(pc, handle, 3)
    pc.ask(Op.END_EDIT_OBJECT, handle)
    assert (share / "renamed").read_bytes() == b"123"


def test_dates(pc: Initiator, share: Path) -> None:
    handle = pc.names()["root.bin"]
    for text in ("20010203T040506", "20380119T031408Z", "19700101T000000.0+0100"):
        pc.ask(Op.SET_OBJECT_PROP_VALUE, handle, 0xDC09, data=encode_string(text))
        assert (share / "root.bin").stat().st_mtime == decode_date(text)
        assert pc.info(handle).modified == decode_date(text)
    for text in ("", "tomorrow", "20011301T000000"):
        refused = pc.refused(Op.SET_OBJECT_PROP_VALUE, handle, 0xDC09, data=encode_string(text))
        assert refused == Response.INVALID_OBJECT_PROP_VALUE


def test_protection(pc: Initiator, share: Path) -> None:
    handle, docs = (pc.names()[name] for name in ("root.bin", "Docs"))
    for each in (handle, docs):
        pc.ask(Op.SET_OBJECT_PROTECTION, each, 1)
        assert Reader(pc.data(Op.GET_OBJECT_PROP_VALUE, each, 0xDC03)).u16() == 1
        assert pc.refused(Op.DELETE_OBJECT, each) == Response.OBJECT_WRITE_PROTECTED
        assert pc.rename(each, "other").code == Response.OBJECT_WRITE_PROTECTED
        pc.ask(Op.SET_OBJECT_PROTECTION, each, 0)
        assert pc.rename(each, f"free {each}").code == Response.OK
    assert pc.refused(Op.SET_OBJECT_PROTECTION, handle, 7) == Response.PARAMETER_NOT_SUPPORTED
    assert pc.refused(Op.SET_OBJECT_PROTECTION, 99, 1) == Response.INVALID_OBJECT_HANDLE
