# SPDX-License-Identifier: GPL-3.0-or-later
"""Simple types, against bytes worked out by hand from MTP 1.1 section 3.2."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mtp.codes import DataType
from appliance.mtp.wire import (
    Reader,
    Value,
    WireError,
    Writer,
    decode_date,
    decode_value,
    encode_date,
    encode_string,
    encode_u32_array,
    encode_value,
)


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("", "00"),
        ("A", "02 4100 0000"),
        ("é", "02 e900 0000"),
        ("日本", "03 e565 2c67 0000"),
        ("😀", "03 3dd8 00de 0000"),
        ("x" * 254, "ff" + "7800" * 254 + "0000"),
    ],
)
def test_strings_are_counted_utf16_with_surrogate_pairs(text: str, wire: str) -> None:
    assert encode_string(text) == bytes.fromhex(wire)
    assert Reader(bytes.fromhex(wire)).string() == text


@pytest.mark.parametrize("text", ["x" * 255, "😀" * 128, "\ud83d", "a\udc00b"])
def test_a_string_that_the_wire_cannot_hold_is_an_error(text: str) -> None:
    with pytest.raises(WireError):
        encode_string(text)


@pytest.mark.parametrize(
    "wire", ["", "02", "02 41", "02 4100 00", "02 3dd8 0000", "03 00de 3dd8 0000"]
)
def test_a_damaged_string_is_an_error(wire: str) -> None:
    with pytest.raises(WireError):
        Reader(bytes.fromhex(wire)).string()


@pytest.mark.parametrize(
    ("wire", "text"), [("01 0000", ""), ("01 4100", "A"), ("04 4100 0000 4200 0000", "A")]
)
def test_clients_that_count_strings_differently_are_understood(wire: str, text: str) -> None:
    assert Reader(bytes.fromhex(wire)).string() == text


@given(st.text(max_size=120))
def test_every_string_comes_back(text: str) -> None:
    text = text.replace("\0", "")
    assert Reader(encode_string(text)).string() == text


@pytest.mark.parametrize(
    ("data_type", "value", "wire"),
    [
        (DataType.INT8, -1, "ff"),
        (DataType.UINT8, 255, "ff"),
        (DataType.INT16, -2, "feff"),
        (DataType.UINT16, 0x3001, "0130"),
        (DataType.INT32, -1, "ffffffff"),
        (DataType.UINT32, 0x00010001, "01000100"),
        (DataType.INT64, -1, "ff" * 8),
        (DataType.UINT64, 1 << 32, "0000000001000000"),
        (DataType.INT128, -1, "ff" * 16),
        (DataType.UINT128, (1 << 127) + 5, "05" + "00" * 14 + "80"),
        (DataType.AUINT8, (1, 2), "02000000 01 02"),
        (DataType.AINT16, (-1,), "01000000 ffff"),
        (DataType.AUINT32, (), "00000000"),
        (DataType.AUINT64, (7,), "01000000 0700000000000000"),
        (DataType.AUINT128, (1,), "01000000 01" + "00" * 15),
        (DataType.STRING, "A", "02 4100 0000"),
    ],
)
def test_values_of_every_type(data_type: DataType, value: Value, wire: str) -> None:
    assert encode_value(data_type, value) == bytes.fromhex(wire)
    reader = Reader(bytes.fromhex(wire))
    assert decode_value(reader, data_type) == value
    assert reader.rest == 0


@pytest.mark.parametrize(
    ("data_type", "value"),
    [
        (DataType.UINT8, 256),
        (DataType.UINT8, -1),
        (DataType.INT8, 128),
        (DataType.UINT128, 1 << 128),
        (DataType.AUINT16, (65536,)),
        (DataType.STRING, 5),
        (DataType.UINT16, "5"),
        (DataType.UNDEFINED, 0),
    ],
)
def test_a_value_that_does_not_fit_its_type_is_an_error(data_type: DataType, value: Value) -> None:
    with pytest.raises(WireError):
        encode_value(data_type, value)


@pytest.mark.parametrize("data_type", [*DataType, DataType(0x400B), DataType(0x1234)])
def test_a_value_cut_short_is_an_error(data_type: DataType) -> None:
    with pytest.raises(WireError):
        decode_value(Reader(b""), data_type)


def test_an_array_longer_than_its_bytes_is_refused_before_it_is_built() -> None:
    reader = Reader(bytes.fromhex("ffffffff 00"))
    with pytest.raises(WireError, match="array of 4294967295"):
        reader.array(reader.u8)


def test_handles_are_one_array() -> None:
    assert encode_u32_array([1, 0x10002]) == bytes.fromhex("02000000 01000000 02000100")
    assert Reader(encode_u32_array(range(10_000))).u32() == 10_000


def test_writer_refuses_what_does_not_fit() -> None:
    with pytest.raises(WireError):
        Writer().u8(256)


@pytest.mark.usefixtures("utc")
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20260102T030405", 1767323045.0),
        ("20260102T030405.6", 1767323045.0),
        ("20260102T030405Z", 1767323045.0),
        ("20260102T040405+0100", 1767323045.0),
        ("20260101T223405-0430", 1767323045.0),
        ("19700101T000000", 0.0),
        ("", None),
    ],
)
def test_dates_with_and_without_zone(text: str, seconds: float | None) -> None:
    assert decode_date(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["2026", "20261301T000000", "20260102 030405", "20260102T250000", "x", "20260102T030405+9"],
)
def test_what_is_no_date_is_an_error(text: str) -> None:
    with pytest.raises(WireError):
        decode_date(text)


@pytest.mark.usefixtures("utc")
@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1767323045.9, "20260102T030405"), (0, "19700101T000000"), (-30610224000, "10000101T000000")],
)
def test_dates_are_written_without_zone(seconds: float, text: str) -> None:
    assert encode_date(seconds) == text


@pytest.mark.parametrize("seconds", [1e20, -1e20, float("nan"), float("inf")])
def test_a_date_beyond_the_calendar_is_unknown(seconds: float) -> None:
    assert encode_date(seconds) == ""
