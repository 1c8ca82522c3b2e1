# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of object properties, in both directions."""

import os
import resource
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest

from appliance.mtp.codes import ALL, DataType, FormatCode, OperationCode, ResponseCode
from appliance.mtp.properties import GROUP_SLOW, OBJECT_PROPERTIES
from appliance.mtp.transaction import Reply, Request
from appliance.mtp.wire import Reader, Value, Writer, decode_date, encode_value
from tests.fakes.client import Answer, ConnectClient
from tests.fakes.device import responder_for
from tests.protocol.initiator import ROOT, STORAGE, Initiator

Op = OperationCode
Response = ResponseCode

Elements = Sequence[tuple[int, int, DataType, Value]]
TEXT, U16, U32, U64 = DataType.STRING, DataType.UINT16, DataType.UINT32, DataType.UINT64
NAME, SIZE, MODIFIED, PROTECTION = 0xDC07, 0xDC04, 0xDC09, 0xDC03


def prop_list(elements: Elements) -> bytes:
    writer = Writer().u32(len(elements))
    for handle, code, data_type, value in elements:
        writer.u32(handle).u16(code).u16(data_type).raw(encode_value(data_type, value))
    return bytes(writer)


def supported(pc: Initiator, form: int) -> set[int]:
    reader = Reader(pc.data(Op.GET_OBJECT_PROPS_SUPPORTED, form))
    return set(reader.array(reader.u16))


# GetObjectPropList


def test_a_list_says_what_single_questions_say(pc: Initiator) -> None:
    for handle in pc.handles(0):
        for code, value in pc.prop_list(handle)[handle].items():
            single = pc.data(Op.GET_OBJECT_PROP_VALUE, handle, code)
            data_type = DataType(Reader(pc.data(Op.GET_OBJECT_PROP_DESC, code, 0x3801)[2:]).u16())
            assert encode_value(data_type, value) == single, hex(code)


def test_all_properties_are_those_that_are_listed_but_for_the_slow_ones(pc: Initiator) -> None:
    handles = pc.names()
    told = set(pc.prop_list(handles["root.bin"])[handles["root.bin"]])
    listed = supported(pc, 0x3000)
    assert told <= listed
    for code in listed:
        description = Reader(pc.data(Op.GET_OBJECT_PROP_DESC, code, 0x3000))
        data_type = DataType((description.u16(), description.u16())[1])
        description.u8()
        description.take(len(encode_value(data_type, "" if data_type is TEXT else 0)))
        assert (description.u32() == ALL) == (code not in told), hex(code)


def test_depth(pc: Initiator) -> None:
    top = pc.names()
    inside = pc.names(top["Docs"])
    deep = pc.names(inside["deep"])
    docs = top["Docs"]
    below = {*inside.values(), *deep.values()}
    assert set(pc.prop_list(docs)) == {docs}
    assert set(pc.prop_list(docs, depth=1)) == set(inside.values())
    assert set(pc.prop_list(docs, depth=2)) == below
    assert set(pc.prop_list(docs, depth=ALL)) == below
    assert set(pc.prop_list(0, depth=0)) == set()
    assert set(pc.prop_list(0, depth=1)) == set(top.values())
    assert set(pc.prop_list(0, depth=ALL)) == {*top.values(), *below}
    assert set(pc.prop_list(ALL)) == {*top.values(), *below}
    assert set(pc.prop_list(ALL, depth=ALL)) == {*top.values(), *below}
    assert set(pc.prop_list(top["root.bin"], depth=1)) == set()


def test_by_format(pc: Initiator) -> None:
    every = {pc.info(each).name: each for each in pc.handles(0)}
    assert set(pc.prop_list(ALL, form=FormatCode.TEXT)) == {every["a.txt"]}
    assert set(pc.prop_list(ALL, form=FormatCode.ASSOCIATION)) == {every["Docs"], every["deep"]}
    assert set(pc.prop_list(ALL, form=ALL)) == {every["b.jpg"]}
    assert pc.prop_list(every["a.txt"], form=FormatCode.GIF) == {}


def test_by_property_and_by_group(pc: Initiator) -> None:
    handle = pc.names()["root.bin"]
    assert pc.prop_list(handle, prop=SIZE) == {handle: {SIZE: 1024}}
    groups = [set(pc.prop_list(handle, prop=0, group=each).get(handle, ())) for each in (1, 2)]
    assert NAME in groups[0]
    assert SIZE in groups[1]
    assert groups[0] | groups[1] == set(pc.prop_list(handle)[handle])
    assert not groups[0] & groups[1]


def test_slow_properties_are_those_of_images(pc: Initiator) -> None:
    every = {pc.info(each).name: each for each in pc.handles(0)}
    assert set(pc.prop_list(every["b.jpg"], prop=0xDC87)) == {every["b.jpg"]}
    assert pc.prop_list(every["a.txt"], prop=0xDC87) == {}
    assert 0xDC87 not in supported(pc, 0x3004)
    assert 0xDC87 in supported(pc, 0x3801)
    assert pc.refused(Op.GET_OBJECT_PROP_DESC, 0xDC87, 0x3004) == Response.OBJECT_PROP_NOT_SUPPORTED


SLOW = [item for item in OBJECT_PROPERTIES.values() if item.group == GROUP_SLOW]


def test_slow_properties_are_asked_of_one_object_at_a_time(pc: Initiator) -> None:
    assert [item for item in OBJECT_PROPERTIES.values() if item.images_only] == SLOW
    asked = [(item.code, 0) for item in SLOW] + [(0, GROUP_SLOW)]
    for code, group in asked:
        for depth in (0, 1, ALL):
            refusal = pc.refused(Op.GET_OBJECT_PROP_LIST, ALL, 0, code, group, depth)
            assert refusal == Response.SPECIFICATION_BY_DEPTH_UNSUPPORTED


@pytest.mark.parametrize(
    ("parameters", "response"),
    [
        ((0xFFFFFFF0, 0, ALL, 0, 0), Response.INVALID_OBJECT_HANDLE),
        ((0xFFFFFFF0, 0, ALL, 0, 1), Response.INVALID_OBJECT_HANDLE),
        ((ALL, 0x1234, ALL, 0, 0), Response.INVALID_OBJECT_FORMAT_CODE),
        ((ALL, 0, 0x1234, 0, 0), Response.INVALID_OBJECT_PROP_CODE),
        ((ALL, 0, 0xDCFF, 0, 0), Response.OBJECT_PROP_NOT_SUPPORTED),
        ((ALL, 0, 0, 0, 0), Response.PARAMETER_NOT_SUPPORTED),
        ((ALL, 0, 0, 77, 0), Response.GROUP_NOT_SUPPORTED),
        ((), Response.PARAMETER_NOT_SUPPORTED),
    ],
)
def test_lists_that_cannot_be(
    pc: Initiator, parameters: tuple[int, ...], response: Response
) -> None:
    assert pc.refused(Op.GET_OBJECT_PROP_LIST, *parameters) == response


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten thousand files."""
    many = tmp_path / "many"
    many.mkdir()
    for number in range(10_000):
        os.mknod(many / f"ümlaut {number}.jpg")
    return many


def test_a_long_list_is_made_while_it_is_sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    stat = os.stat

    def counting(*arguments: object, **named: object) -> os.stat_result:
        nonlocal looks
        looks += 1
        return stat(*arguments, **named)  # type: ignore[arg-type]

    with responder_for([folder]) as responder:
        connection = responder.connect("PC")
        connection.execute(Request(Op.OPEN_SESSION, 0, (1,)))
        connection.complete()
        responder.store.children(STORAGE, 0)
        monkeypatch.setattr(os, "stat", counting)
        tracemalloc.start()
        reply = connection.execute(Request(Op.GET_OBJECT_PROP_LIST, 1, (0, 0, ALL, 0, 1)))
        assert isinstance(reply, Reply)
        assert reply.source is not None
        buffer = memoryview(bytearray(16 * 1024))
        received = 0
        while received < len(buffer):
            received += reply.source.read_into(buffer)
        assert looks < 300
        while count := reply.source.read_into(buffer):
            received += count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert received == reply.source.length
        assert most < received // 2
    assert looks >= 10_000


def test_ten_thousand_objects_in_one_list(
    tmp_path: Path, folder: Path, connect: ConnectClient
) -> None:
    with connect(tmp_path) as client:
        pc = Initiator(client).open()
        many = pc.names()["many"]
        assert len(pc.handles(many)) == 10_000
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answer = pc.ask(Op.GET_OBJECT_PROP_LIST, many, 0, ALL, 0, 1)
        assert answer.data is not None
        growth = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        # Memory here is the client's too: it holds the answer, and while it joins it twice.
        assert growth < 3 * len(answer.data) + (2 << 20)
        names = pc.prop_list(many, prop=NAME, depth=1)
        assert {str(each[NAME]) for each in names.values()} == {p.name for p in folder.iterdir()}


# SetObjectPropList


def test_setting_several_properties(pc: Initiator, share: Path) -> None:
    handles = pc.names()
    handle, docs = handles["root.bin"], handles["Docs"]
    when = "20010203T040506"
    elements = [
        (handle, NAME, TEXT, "new.bin"),
        (handle, MODIFIED, TEXT, when),
        (docs, NAME, TEXT, "Papers"),
    ]
    pc.ask(Op.SET_OBJECT_PROP_LIST, data=prop_list(elements))
    assert (share / "new.bin").stat().st_mtime == decode_date(when)
    assert (share / "Papers" / "a.txt").exists()
    assert pc.prop_list(handle, prop=MODIFIED) == {handle: {MODIFIED: when}}


@pytest.mark.parametrize(
    ("element", "response"),
    [
        ((0xFFFFFFF0, NAME, TEXT, "x"), Response.INVALID_OBJECT_HANDLE),
        ((1, NAME, U16, 1), Response.INVALID_OBJECT_PROP_FORMAT),
        ((1, NAME, TEXT, ""), Response.INVALID_OBJECT_PROP_VALUE),
        ((1, NAME, TEXT, "a/b"), Response.INVALID_OBJECT_PROP_VALUE),
        ((1, NAME, TEXT, "root.bin"), Response.INVALID_OBJECT_PROP_VALUE),
        ((1, SIZE, U64, 1), Response.ACCESS_DENIED),
        ((1, MODIFIED, TEXT, "yesterday"), Response.INVALID_OBJECT_PROP_VALUE),
        ((1, MODIFIED, TEXT, ""), Response.INVALID_OBJECT_PROP_VALUE),
        ((1, 0xDCFF, U16, 1), Response.OBJECT_PROP_NOT_SUPPORTED),
        ((1, 0x1001, U16, 1), Response.INVALID_OBJECT_PROP_CODE),
    ],
)
def test_the_element_that_fails_is_told(
    pc: Initiator, share: Path, element: tuple[int, int, DataType, Value], response: Response
) -> None:
    handles = pc.names()
    where = {1: handles["Docs"]}
    element = (where.get(element[0], element[0]), *element[1:])
    first = (handles["root.bin"], MODIFIED, TEXT, "20010203T040506")
    answer = pc.call(Op.SET_OBJECT_PROP_LIST, data=prop_list([first, element, first]))
    assert (Response(answer.code), answer.parameters) == (response, (1,))
    assert sorted(pc.names()) == ["Docs", "root.bin"]


def test_a_list_cut_at_every_byte(pc: Initiator) -> None:
    handle = pc.names()["root.bin"]
    whole = prop_list([(handle, NAME, TEXT, "other"), (handle, MODIFIED, TEXT, "20010203T040506")])
    for end in range(len(whole)):
        assert pc.refused(Op.SET_OBJECT_PROP_LIST, data=whole[:end]) == Response.INVALID_DATASET, (
            end
        )
        refused = pc.refused(
            Op.SEND_OBJECT_PROP_LIST, STORAGE, ROOT, 0x3000, 0, 5, data=whole[:end]
        )
        assert refused == Response.INVALID_DATASET, end
    assert pc.refused(Op.SET_OBJECT_PROP_LIST, data=whole + b"\0") == Response.INVALID_DATASET
    huge = b"\xff\xff\xff\xff" + whole[4:]
    assert pc.refused(Op.SET_OBJECT_PROP_LIST, data=huge) == Response.INVALID_DATASET
    assert sorted(pc.names()) == ["Docs", "root.bin"]


# SendObjectPropList


def send(
    pc: Initiator,
    elements: Elements,
    *,
    form: int = 0x3000,
    size: int = 5,
    parent: int = ROOT,
    storage: int = STORAGE,
) -> Answer:
    parameters = (storage, parent, form, size >> 32, size & 0xFFFFFFFF)
    return pc.call(Op.SEND_OBJECT_PROP_LIST, *parameters, data=prop_list(elements))


def test_sending_a_file_by_its_properties(pc: Initiator, share: Path) -> None:
    docs = pc.names()["Docs"]
    elements: Elements = [
        (0, NAME, TEXT, "sent ☃.txt"),
        (0, 0xDC44, TEXT, "another name"),
        (0, MODIFIED, TEXT, "20010203T040506"),
        (0, 0xDC4F, DataType.UINT8, 1),
    ]
    answer = send(pc, elements, parent=docs)
    assert answer.code == Response.OK
    assert len(answer.parameters) == 4
    storage, parent, handle, failed = answer.parameters
    assert (storage, parent, failed) == (STORAGE, docs, 0)
    file = share / "Docs" / "sent ☃.txt"
    assert not file.exists()
    pc.ask(Op.SEND_OBJECT, data=b"12345")
    assert file.read_bytes() == b"12345"
    assert file.stat().st_mtime == decode_date("20010203T040506")
    assert pc.info(handle).name == "sent ☃.txt"


@pytest.mark.parametrize("form", [0xB215, 0x3FFF, 0xBFFF])
def test_sending_a_file_of_a_format_that_is_not_listed(
    pc: Initiator, share: Path, form: int
) -> None:
    assert send(pc, [(0, NAME, TEXT, "song.m4a")], form=form).code == Response.OK
    pc.ask(Op.SEND_OBJECT, data=b"12345")
    assert (share / "song.m4a").read_bytes() == b"12345"


def test_sending_a_protected_file(pc: Initiator, share: Path) -> None:
    elements: Elements = [(0, NAME, TEXT, "fixed"), (0, PROTECTION, U16, 1)]
    handle = send(pc, elements).parameters[2]
    pc.ask(Op.SEND_OBJECT, data=b"12345")
    assert not (share / "fixed").stat().st_mode & 0o222
    assert pc.refused(Op.DELETE_OBJECT, handle) == Response.OBJECT_WRITE_PROTECTED
    pc.ask(Op.SET_OBJECT_PROTECTION, handle, 0)
    pc.ask(Op.DELETE_OBJECT, handle)


def test_making_a_folder_by_its_properties(pc: Initiator, share: Path) -> None:
    answer = send(pc, [(0, NAME, TEXT, "made")], form=0x3001, size=0)
    assert (answer.code, len(answer.parameters)) == (Response.OK, 4)
    assert (share / "made").is_dir()
    assert pc.names()["made"] == answer.parameters[2]


def test_a_size_beyond_four_gibibytes_counts_in_full(pc: Initiator, share: Path) -> None:
    free = pc.storage().free
    size = (free // (1 << 32) + 1 << 32) + 5
    assert send(pc, [(0, NAME, TEXT, "large")], size=size).code == Response.STORE_FULL
    assert pc.refused(Op.SEND_OBJECT, data=b"12345") == Response.NO_VALID_OBJECT_INFO
    if free > 5 << 30:
        assert send(pc, [(0, NAME, TEXT, "large")], size=(1 << 32) + 5).code == Response.OK
        assert pc.refused(Op.SEND_OBJECT, data=b"12345") == Response.INCOMPLETE_TRANSFER
        assert "large" not in pc.names()


def test_an_unknown_size_is_what_comes(pc: Initiator, share: Path) -> None:
    assert send(pc, [(0, NAME, TEXT, "x")], size=(1 << 64) - 1).code == Response.OK
    pc.ask(Op.SEND_OBJECT, data=b"any number of bytes")
    assert (share / "x").read_bytes() == b"any number of bytes"


@pytest.mark.parametrize(
    ("elements", "response", "failed"),
    [
        ([], Response.INVALID_DATASET, 0),
        ([(0, MODIFIED, TEXT, "20010203T040506")], Response.INVALID_DATASET, 0),
        ([(0, NAME, TEXT, "ok"), (0, NAME, U16, 1)], Response.INVALID_OBJECT_PROP_FORMAT, 1),
        ([(0, NAME, TEXT, "ok"), (0, MODIFIED, TEXT, "x")], Response.INVALID_OBJECT_PROP_VALUE, 1),
        ([(0, NAME, TEXT, "ok"), (0, 0xDCFF, U16, 1)], Response.OBJECT_PROP_NOT_SUPPORTED, 1),
        ([(0, NAME, TEXT, "../up")], Response.INVALID_DATASET, None),
    ],
)
def test_what_cannot_be_sent(
    pc: Initiator, elements: Elements, response: Response, failed: int | None
) -> None:
    answer = send(pc, elements)
    assert Response(answer.code) == response
    if failed is not None:
        assert answer.parameters[3:] == (failed,)
    assert pc.refused(Op.SEND_OBJECT, data=b"12345") == Response.NO_VALID_OBJECT_INFO


def test_a_parent_that_is_none(pc: Initiator) -> None:
    file = pc.names()["root.bin"]
    name: Elements = [(0, NAME, TEXT, "x")]
    assert send(pc, name, parent=file).code == Response.INVALID_PARENT_OBJECT
    assert send(pc, name, parent=0xFFFFFFF0).code == Response.INVALID_PARENT_OBJECT
    assert send(pc, name, storage=0x00990001).code == Response.INVALID_STORAGE_ID


def test_no_properties_depend_on_each_other(pc: Initiator) -> None:
    assert pc.data(Op.GET_INTERDEPENDENT_PROP_DESC, 0x3801) == bytes(4)
    refused = pc.refused(Op.GET_INTERDEPENDENT_PROP_DESC, 0x1234)
    assert refused == Response.INVALID_OBJECT_FORMAT_CODE
