# SPDX-License-Identifier: GPL-3.0-or-later
"""Every operation with what it cannot do: the response code that the specification names.

In the table a word stands for an object: `folder`, `file`, `inside` (of the folder), `stale` (which
is deleted by then), `root` for 0xFFFFFFFF. Nothing of it may change what is in the share.
"""

from pathlib import Path

import pytest

from appliance.mtp.codes import SENDS_DATA, FormatCode, OperationCode, ResponseCode
from appliance.mtp.datasets import ObjectInfo
from appliance.mtp.wire import encode_string, encode_u32_array
from tests.fakes.client import ConnectClient
from tests.protocol.initiator import ROOT, STORAGE, Initiator

Op = OperationCode
R = ResponseCode

NO_STORAGE = 0x00990001
FILE_INFO = ObjectInfo(0, FormatCode.UNDEFINED, 3, 0, "new").encode()
FOLDER_INFO = ObjectInfo(0, FormatCode.ASSOCIATION, 0, 0, "new", association=1).encode()
NAME_LIST = b"\1\0\0\0" + b"\0\0\0\0\x07\xdc\xff\xff" + encode_string("new")
TEXT = encode_string("new")

Parameter = int | str
Case = tuple[Op, tuple[Parameter, ...], bytes | None, R]
Cut = tuple[Op, tuple[Parameter, ...], bytes, R]

CASES: tuple[Case, ...] = (
    (Op.OPEN_SESSION, (), None, R.INVALID_PARAMETER),
    (Op.OPEN_SESSION, (2,), None, R.SESSION_ALREADY_OPEN),
    (Op.GET_STORAGE_INFO, (), None, R.INVALID_STORAGE_ID),
    (Op.GET_STORAGE_INFO, (NO_STORAGE,), None, R.INVALID_STORAGE_ID),
    (Op.GET_STORAGE_INFO, (0xFFFFFFFF,), None, R.INVALID_STORAGE_ID),
    (Op.GET_NUM_OBJECTS, (NO_STORAGE, 0, "root"), None, R.INVALID_STORAGE_ID),
    (Op.GET_NUM_OBJECTS, ("root", 0x1234, "root"), None, R.INVALID_OBJECT_FORMAT_CODE),
    (Op.GET_NUM_OBJECTS, (STORAGE, 0, "file"), None, R.INVALID_PARENT_OBJECT),
    (Op.GET_OBJECT_HANDLES, (NO_STORAGE, 0, "root"), None, R.INVALID_STORAGE_ID),
    (Op.GET_OBJECT_HANDLES, (STORAGE, 0x1234, "root"), None, R.INVALID_OBJECT_FORMAT_CODE),
    (Op.GET_OBJECT_HANDLES, (STORAGE, 0, "file"), None, R.INVALID_PARENT_OBJECT),
    (Op.GET_OBJECT_HANDLES, (STORAGE, 0, "stale"), None, R.INVALID_PARENT_OBJECT),
    (Op.GET_OBJECT_HANDLES, (NO_STORAGE, 0, "folder"), None, R.INVALID_PARENT_OBJECT),
    *(
        (code, parameters, None, R.INVALID_OBJECT_HANDLE)
        for code in (
            Op.GET_OBJECT_INFO,
            Op.GET_OBJECT,
            Op.GET_THUMB,
            Op.DELETE_OBJECT,
            Op.GET_PARTIAL_OBJECT,
            Op.GET_PARTIAL_OBJECT_64,
            Op.BEGIN_EDIT_OBJECT,
            Op.GET_OBJECT_REFERENCES,
            Op.GET_OBJECT_PROP_VALUE,
        )
        for parameters in ((), (0,), ("stale",), (0xFFFFFFF0,))
    ),
    *(
        (code, (handle, 0, 0), None, R.INVALID_OBJECT_HANDLE)
        for code in (Op.SET_OBJECT_PROTECTION, Op.MOVE_OBJECT, Op.COPY_OBJECT, Op.TRUNCATE_OBJECT)
        for handle in (0, "stale", 0xFFFFFFF0)
    ),
    (Op.GET_OBJECT, ("folder",), None, R.INVALID_OBJECT_HANDLE),
    (Op.GET_PARTIAL_OBJECT, ("folder", 0, 1), None, R.INVALID_OBJECT_HANDLE),
    (Op.GET_PARTIAL_OBJECT_64, ("folder", 0, 0, 1), None, R.INVALID_OBJECT_HANDLE),
    (Op.GET_THUMB, ("folder",), None, R.NO_THUMBNAIL_PRESENT),
    (Op.GET_THUMB, ("file",), None, R.NO_THUMBNAIL_PRESENT),
    (Op.DELETE_OBJECT, ("root", 0x1234), None, R.INVALID_OBJECT_FORMAT_CODE),
    (Op.END_EDIT_OBJECT, ("file",), None, R.GENERAL_ERROR),
    (Op.SET_OBJECT_PROTECTION, ("file", 2), None, R.PARAMETER_NOT_SUPPORTED),
    (Op.MOVE_OBJECT, ("folder", STORAGE, "folder"), None, R.INVALID_PARENT_OBJECT),
    (Op.MOVE_OBJECT, ("file", STORAGE, "inside"), None, R.INVALID_PARENT_OBJECT),
    (Op.MOVE_OBJECT, ("file", STORAGE, "stale"), None, R.INVALID_PARENT_OBJECT),
    (Op.MOVE_OBJECT, ("file", NO_STORAGE, 0), None, R.INVALID_STORAGE_ID),
    (Op.MOVE_OBJECT, ("inside", STORAGE, 0), None, R.ACCESS_DENIED),
    (Op.COPY_OBJECT, ("folder", STORAGE, "folder"), None, R.INVALID_PARENT_OBJECT),
    (Op.COPY_OBJECT, ("file", STORAGE, "inside"), None, R.INVALID_PARENT_OBJECT),
    (Op.COPY_OBJECT, ("file", STORAGE, 0), None, R.ACCESS_DENIED),
    (Op.COPY_OBJECT, ("inside", STORAGE, 0), None, R.ACCESS_DENIED),
    (Op.COPY_OBJECT, ("file", NO_STORAGE, 0), None, R.INVALID_STORAGE_ID),
    *(
        (code, parameters, data, response)
        for code, data in (
            (Op.SEND_OBJECT_INFO, FILE_INFO),
            (Op.SEND_OBJECT_INFO, FOLDER_INFO),
            (Op.SEND_OBJECT_PROP_LIST, NAME_LIST),
        )
        for parameters, response in (
            ((NO_STORAGE, "root"), R.INVALID_STORAGE_ID),
            ((STORAGE, "file"), R.INVALID_PARENT_OBJECT),
            ((STORAGE, "stale"), R.INVALID_PARENT_OBJECT),
            ((NO_STORAGE, "folder"), R.INVALID_PARENT_OBJECT),
        )
    ),
    (Op.SEND_OBJECT_INFO, (STORAGE, "root"), b"", R.INVALID_DATASET),
    (Op.SEND_OBJECT, (), b"abc", R.NO_VALID_OBJECT_INFO),
    (Op.SEND_PARTIAL_OBJECT, ("stale", 0, 0, 1), b"1", R.INVALID_OBJECT_HANDLE),
    (Op.SEND_PARTIAL_OBJECT, ("folder", 0, 0, 1), b"1", R.INVALID_OBJECT_HANDLE),
    (Op.GET_DEVICE_PROP_DESC, (), None, R.DEVICE_PROP_NOT_SUPPORTED),
    (Op.GET_DEVICE_PROP_VALUE, (0x5003,), None, R.DEVICE_PROP_NOT_SUPPORTED),
    (Op.RESET_DEVICE_PROP_VALUE, (0x5003,), None, R.DEVICE_PROP_NOT_SUPPORTED),
    (Op.RESET_DEVICE_PROP_VALUE, (0xD407,), None, R.ACCESS_DENIED),
    (Op.SET_DEVICE_PROP_VALUE, (0x5003,), b"\0", R.DEVICE_PROP_NOT_SUPPORTED),
    (Op.SET_DEVICE_PROP_VALUE, (0xD407,), bytes(4), R.ACCESS_DENIED),
    (Op.SET_DEVICE_PROP_VALUE, (0xD402,), b"\1", R.INVALID_DEVICE_PROP_FORMAT),
    (Op.SET_DEVICE_PROP_VALUE, (0xD402,), b"\0", R.INVALID_DEVICE_PROP_VALUE),
    (Op.GET_OBJECT_PROP_DESC, (), None, R.INVALID_OBJECT_PROP_CODE),
    (Op.GET_OBJECT_PROP_DESC, (0xDC46, 0x3000), None, R.OBJECT_PROP_NOT_SUPPORTED),
    (Op.GET_OBJECT_PROP_VALUE, ("file", 0x5001), None, R.INVALID_OBJECT_PROP_CODE),
    (Op.GET_OBJECT_PROP_VALUE, ("file", 0xDC46), None, R.OBJECT_PROP_NOT_SUPPORTED),
    (Op.GET_OBJECT_PROP_VALUE, ("file", 0xDC87), None, R.OBJECT_PROP_NOT_SUPPORTED),
    (Op.SET_OBJECT_PROP_VALUE, ("stale", 0xDC07), TEXT, R.INVALID_OBJECT_HANDLE),
    (Op.SET_OBJECT_PROP_VALUE, ("file", 0xDC46), TEXT, R.OBJECT_PROP_NOT_SUPPORTED),
    (Op.SET_OBJECT_PROP_VALUE, ("file", 0xDC44), TEXT, R.ACCESS_DENIED),
    (Op.SET_OBJECT_PROP_VALUE, ("file", 0xDC07), b"\0", R.INVALID_OBJECT_PROP_VALUE),
    (
        Op.SET_OBJECT_PROP_VALUE,
        ("file", 0xDC07),
        encode_string("folder"),
        R.INVALID_OBJECT_PROP_VALUE,
    ),
    (Op.SET_OBJECT_REFERENCES, ("stale",), encode_u32_array([]), R.INVALID_OBJECT_HANDLE),
    (Op.SET_OBJECT_REFERENCES, ("folder",), encode_u32_array([77]), R.INVALID_OBJECT_REFERENCE),
    (Op.SET_OBJECT_REFERENCES, ("folder",), b"\1\0\0\0", R.INVALID_DATASET),
    (Op.SET_OBJECT_REFERENCES, ("folder",), b"", R.INVALID_DATASET),
    (Op.GET_INTERDEPENDENT_PROP_DESC, (0x1234,), None, R.INVALID_OBJECT_FORMAT_CODE),
)


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "Share"
    (folder / "folder").mkdir(parents=True)
    (folder / "folder" / "file").write_bytes(b"inside")
    (folder / "file").write_bytes(b"content")
    (folder / "stale").write_bytes(b"")
    return folder


def contents(share: Path) -> dict[str, bytes | None]:
    """All that is in a share: None for folders."""
    return {
        str(path.relative_to(share)): path.read_bytes() if path.is_file() else None
        for path in share.rglob("*")
        if not str(path.relative_to(share)).startswith(".mtp-appliance")
    }


def _id(case: object) -> str:
    return case.name if isinstance(case, Op | R) else ""


def _name(case: Case | Cut) -> str:
    return f"{case[0].name}-{case[3].name}"


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_it_is_refused(pc: Initiator, share: Path, case: Case) -> None:
    code, parameters, data, response = case
    words = {**pc.names(), "root": ROOT}
    words["inside"] = pc.names(words["folder"])["file"]
    pc.ask(Op.DELETE_OBJECT, words["stale"])
    before = contents(share)
    numbers = [words[each] if isinstance(each, str) else each for each in parameters]
    assert pc.refused(code, *numbers, data=data) == response
    assert contents(share) == before
    assert pc.info(words["file"]).size == 7


#: What would do harm if a parameter that was not sent counted as 0.
TOO_FEW: tuple[tuple[Op, tuple[Parameter, ...], bytes | None], ...] = (
    (Op.TRUNCATE_OBJECT, ("file",), None),
    (Op.TRUNCATE_OBJECT, ("file", 3), None),
    (Op.SEND_PARTIAL_OBJECT, ("file",), b"X"),
    (Op.SEND_PARTIAL_OBJECT, ("file", 0, 0), b"X"),
    (Op.MOVE_OBJECT, ("inside",), None),
    (Op.MOVE_OBJECT, ("inside", STORAGE), None),
    (Op.COPY_OBJECT, ("folder",), None),
    (Op.COPY_OBJECT, ("folder", STORAGE), None),
    (Op.SET_OBJECT_PROTECTION, ("fixed",), None),
)


@pytest.mark.parametrize(("code", "parameters", "data"), TOO_FEW, ids=_id)
def test_too_few_parameters(
    pc: Initiator, share: Path, code: Op, parameters: tuple[Parameter, ...], data: bytes | None
) -> None:
    (share / "folder" / "file").rename(share / "folder" / "other")
    (share / "fixed").touch(mode=0o444)
    words = pc.names()
    words["inside"] = pc.names(words["folder"])["other"]
    before = contents(share)
    numbers = [words[each] if isinstance(each, str) else each for each in parameters]
    assert pc.refused(code, *numbers, data=data) == R.INVALID_PARAMETER
    assert contents(share) == before
    assert not (share / "fixed").stat().st_mode & 0o222


def test_one_parameter_after_the_other_left_out(pc: Initiator, share: Path) -> None:
    words = pc.names()
    before = contents(share)
    harmless = (Op.SEND_OBJECT_INFO, Op.SEND_OBJECT_PROP_LIST, *(case[0] for case in CASES))
    for code in dict.fromkeys(each for each in harmless if each is not Op.OPEN_SESSION):
        data = b"" if code in SENDS_DATA else None
        whole = (STORAGE, 0, 0, 0, 0) if "STORE" in code.name else (words["stale"], 0, 0, 0, 0)
        for count in range(1 if code is Op.DELETE_OBJECT else len(whole)):
            pc.call(code, *whole[:count], data=data)
    pc.ask(Op.GET_STORAGE_IDS)
    assert contents(share) == before


#: Operations with data, and what they refuse where it ends too soon.
CUT: tuple[Cut, ...] = (
    (Op.SEND_OBJECT_INFO, (STORAGE, "root"), FILE_INFO[:-3], R.INVALID_DATASET),
    (Op.SEND_OBJECT_PROP_LIST, (STORAGE, "root", 0x3000, 0, 3), NAME_LIST, R.INVALID_DATASET),
    (Op.SET_OBJECT_PROP_LIST, (), NAME_LIST, R.INVALID_DATASET),
    (Op.SET_OBJECT_PROP_VALUE, ("file", 0xDC07), TEXT, R.INVALID_OBJECT_PROP_FORMAT),
    (Op.SET_OBJECT_PROP_VALUE, ("file", 0xDC09), TEXT, R.INVALID_OBJECT_PROP_FORMAT),
    (Op.SET_DEVICE_PROP_VALUE, (0xD402,), TEXT, R.INVALID_DEVICE_PROP_FORMAT),
    (Op.SET_OBJECT_REFERENCES, ("folder",), encode_u32_array([1, 2]), R.INVALID_DATASET),
)


@pytest.mark.parametrize("case", CUT, ids=_name)
def test_a_dataset_cut_at_every_byte(pc: Initiator, share: Path, case: Cut) -> None:
    code, parameters, data, response = case
    words = {**pc.names(), "root": ROOT}
    before = contents(share)
    numbers = [words[each] if isinstance(each, str) else each for each in parameters]
    for end in range(len(data)):
        assert pc.refused(code, *numbers, data=data[:end]) == response, end
        assert pc.refused(Op.SEND_OBJECT, data=b"abc") == R.NO_VALID_OBJECT_INFO
    assert contents(share) == before


def test_superfluous_parameters_do_no_harm(pc: Initiator) -> None:
    handle = pc.names()["file"]
    more = (0xFFFFFFFF, 1, 2, 3)
    assert pc.data(Op.GET_OBJECT, handle, *more) == b"content"
    assert pc.data(Op.GET_OBJECT_INFO, handle, *more) == pc.data(Op.GET_OBJECT_INFO, handle)
    pc.ask(Op.CLOSE_SESSION, 1, *more)


CHANGES: tuple[tuple[Op, tuple[Parameter, ...], bytes | None], ...] = (
    (Op.DELETE_OBJECT, ("file",), None),
    (Op.DELETE_OBJECT, ("folder",), None),
    (Op.DELETE_OBJECT, ("root",), None),
    (Op.SEND_OBJECT_INFO, (STORAGE, "root"), FILE_INFO),
    (Op.SEND_OBJECT_INFO, (STORAGE, "folder"), FOLDER_INFO),
    (Op.SEND_OBJECT_PROP_LIST, (STORAGE, "root", 0x3000, 0, 3), NAME_LIST),
    (Op.SEND_OBJECT_PROP_LIST, (STORAGE, "root", 0x3001, 0, 0), NAME_LIST),
    (Op.MOVE_OBJECT, ("file", STORAGE, "folder"), None),
    (Op.COPY_OBJECT, ("folder", STORAGE, 0), None),
    (Op.SET_OBJECT_PROTECTION, ("file", 1), None),
    (Op.SET_OBJECT_PROP_VALUE, ("file", 0xDC07), TEXT),
    (Op.SET_OBJECT_PROP_VALUE, ("file", 0xDC09), encode_string("20010203T040506")),
    (Op.SEND_PARTIAL_OBJECT, ("file", 0, 0, 1), b"1"),
    (Op.TRUNCATE_OBJECT, ("file", 0, 0), None),
    (Op.BEGIN_EDIT_OBJECT, ("file",), None),
    (Op.SET_OBJECT_REFERENCES, ("folder",), encode_u32_array([])),
    (Op.FORMAT_STORE, (STORAGE,), None),
)


@pytest.mark.parametrize(("code", "parameters", "data"), CHANGES, ids=_id)
def test_nothing_is_changed_in_a_read_only_storage(
    share: Path,
    connect: ConnectClient,
    code: Op,
    parameters: tuple[Parameter, ...],
    data: bytes | None,
) -> None:
    before = contents(share)
    with connect(share, read_only={share}, allow_format=True) as client:
        pc = Initiator(client).open()
        words = {**pc.names(), "root": ROOT}
        numbers = [words[each] if isinstance(each, str) else each for each in parameters]
        assert pc.refused(code, *numbers, data=data) == R.STORE_READ_ONLY
    assert contents(share) == before


def test_no_list_changes_what_is_in_a_read_only_storage(
    share: Path, connect: ConnectClient
) -> None:
    before = contents(share)
    with connect(share, read_only={share}) as client:
        pc = Initiator(client).open()
        element = pc.names()["file"].to_bytes(4, "little") + NAME_LIST[8:]
        answer = pc.call(Op.SET_OBJECT_PROP_LIST, data=b"\1\0\0\0" + element)
        assert (answer.code, answer.parameters) == (R.STORE_READ_ONLY, (0,))
    assert contents(share) == before
