# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets, field by field against MTP 1.1, and cut at every byte."""

import struct

import pytest

from appliance.mtp.codes import DataType, FormatCode, ProtectionStatus
from appliance.mtp.datasets import DeviceInfo, ObjectInfo, StorageInfo
from appliance.mtp.descriptions import DevicePropDesc, ObjectPropDesc, enumeration_form
from appliance.mtp.wire import Reader, WireError, encode_date, encode_string

_INFO = ObjectInfo(
    storage_id=0x00010001,
    format=FormatCode.EXIF_JPEG,
    protection=ProtectionStatus.READ_ONLY,
    size=5,
    parent=7,
    name="ä😀.jpg",
    created=1000000000.0,
    modified=1500000000.0,
)


def test_object_info_field_by_field() -> None:
    reader = Reader(_INFO.encode())
    assert (reader.u32(), reader.u16(), reader.u16(), reader.u32()) == (0x10001, 0x3801, 1, 5)
    assert reader.u16() == 0
    assert [reader.u32() for _ in range(6)] == [0] * 6
    assert (reader.u32(), reader.u16(), reader.u32(), reader.u32()) == (7, 0, 0, 0)
    assert reader.string() == "ä😀.jpg"
    assert reader.string() == encode_date(1000000000.0)
    assert reader.string() == encode_date(1500000000.0)
    assert reader.string() == ""
    assert reader.rest == 0


def test_object_info_comes_back() -> None:
    assert ObjectInfo.decode(_INFO.encode()) == _INFO


def test_a_size_of_4_gib_and_more_is_all_ones() -> None:
    sizes = [0xFFFFFFFE, 0xFFFFFFFF, 0x100000000]
    infos = [ObjectInfo(1, FormatCode.UNDEFINED, size, 0, "x").encode() for size in sizes]
    assert [struct.unpack_from("<I", info, 8)[0] for info in infos] == [
        0xFFFFFFFE,
        0xFFFFFFFF,
        0xFFFFFFFF,
    ]


def test_object_info_cut_at_every_byte_is_an_error_or_lacks_dates_only() -> None:
    data = _INFO.encode()
    name_end = 52 + len(encode_string(_INFO.name))
    complete = {name_end, name_end + len(encode_string(encode_date(1.0))), len(data) - 1}
    for end in range(len(data)):
        if end in complete:
            assert ObjectInfo.decode(data[:end]).name == _INFO.name
        else:
            with pytest.raises(WireError):
                ObjectInfo.decode(data[:end])


@pytest.mark.parametrize("date", ["yesterday", "20269999T999999"])
def test_a_date_that_is_none_does_not_lose_the_file(date: str) -> None:
    data = _INFO.encode()
    head = data[: 52 + len(encode_string(_INFO.name))]
    info = ObjectInfo.decode(head + encode_string("") + encode_string(date) + encode_string(""))
    assert (info.name, info.modified) == (_INFO.name, None)


def test_device_info_names_mtp_and_nothing_that_makes_libmtp_reset_the_device() -> None:
    data = DeviceInfo(
        (0x1001, 0x1002), (0x4002,), (0xD402,), (0x3000,), "M", "D", "1", "S"
    ).encode()
    reader = Reader(data)
    assert (reader.u16(), reader.u32(), reader.u16()) == (100, 6, 100)
    extensions = reader.string()
    assert extensions.startswith("microsoft.com: 1.0;")
    assert extensions.endswith(";")
    assert "android" not in extensions
    assert reader.u16() == 0
    arrays = [reader.array(reader.u16) for _ in range(5)]
    assert arrays == [(0x1001, 0x1002), (0x4002,), (0xD402,), (), (0x3000,)]
    assert [reader.string() for _ in range(4)] == ["M", "D", "1", "S"]
    assert reader.rest == 0


@pytest.mark.parametrize(("read_only", "access"), [(False, 0), (True, 1)])
def test_storage_info(read_only: bool, access: int) -> None:
    reader = Reader(StorageInfo(1 << 40, 1 << 33, read_only, "Card", "V").encode())
    assert (reader.u16(), reader.u16(), reader.u16()) == (3, 2, access)
    assert (reader.u64(), reader.u64(), reader.u32()) == (1 << 40, 1 << 33, 0xFFFFFFFF)
    assert (reader.string(), reader.string(), reader.rest) == ("Card", "V", 0)


def test_property_descriptions() -> None:
    device = DevicePropDesc(0xD402, DataType.STRING, True, "", "A").encode()
    assert device.hex(" ") == "02 d4 ff ff 01 00 02 41 00 00 00 00"
    form = enumeration_form(DataType.UINT16, (0, 1))
    described = ObjectPropDesc(0xDC03, DataType.UINT16, False, 0, form=form).encode()
    assert described.hex(" ") == "03 dc 04 00 00 00 00 00 00 00 00 02 02 00 00 00 01 00"
