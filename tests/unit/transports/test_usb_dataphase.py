# SPDX-License-Identifier: GPL-3.0-or-later
"""When an incoming data phase is over, for every way in which hosts are known to end one."""

import struct
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.mtp.codes import OperationCode
from appliance.mtp.containers import (
    HEADER_SIZE,
    ContainerError,
    DataPhase,
    Progress,
    encode_data_header,
)
from appliance.mtp.transaction import Request

REQUEST = Request(OperationCode.SEND_OBJECT, 7)
COMMAND = struct.pack("<IHHII", 16, 1, 0x1002, 0, 1)
LARGEST = 4096
EDGES = (0, 1, 11, 12, 13, 20, 500, 511, 512, 513, 1011, 1012, 1013, 1024, 4084, 65524, 70000)
GIB4 = 1 << 32


def header(length: int) -> bytes:
    return struct.pack("<IHHI", length, 2, REQUEST.code, REQUEST.transaction_id)


@dataclass
class Host:
    """Sends a container as packets, and fills the reads that the device asks for."""

    phase: DataPhase
    packet_size: int
    packets: list[bytes]
    depth: int = 4

    def run(self) -> tuple[bytes, Progress, int]:
        """What came, how it ended, and the bytes of reads that were left posted."""
        posted: list[int] = []
        got = b""
        progress = Progress.MORE
        while progress in {Progress.MORE, Progress.PAUSED}:
            while len(posted) < self.depth:
                size = self.phase.next_read(LARGEST, sum(posted))
                if not size:
                    break
                assert size % self.packet_size == 0
                assert size <= LARGEST
                posted.append(size)
            assert posted, "nothing is asked for"
            transfer = self._fill(posted[0])
            if transfer is None:
                assert progress is Progress.PAUSED, "the device waits for ever"
                return got, self.phase.settle(), sum(posted)
            payload, progress = self.phase.feed(memoryview(transfer), posted.pop(0))
            got += bytes(payload)
        return got, progress, sum(posted)

    def _fill(self, asked: int) -> bytes | None:
        if not self.packets:
            return None
        data = b""
        while self.packets and len(data) < asked:
            packet = self.packets.pop(0)
            data += packet
            if len(packet) < self.packet_size:
                return data
        if len(data) == asked:
            return data
        return None


def packets(data: bytes, size: int, *, zero: bool) -> list[bytes]:
    cut = [data[at : at + size] for at in range(0, len(data), size)]
    return [*cut, b""] if zero and len(data) % size == 0 else cut


def pattern(length: int) -> bytes:
    return (bytes(range(251)) * (length // 251 + 1))[:length]


@pytest.mark.parametrize("packet_size", [64, 512, 1024])
@pytest.mark.parametrize("zero", [True, False], ids=["zlp", "no-zlp"])
@pytest.mark.parametrize("known", [True, False], ids=["announced", "unannounced"])
@pytest.mark.parametrize("split", [True, False], ids=["split", "joined"])
@pytest.mark.parametrize("length", EDGES)
def test_every_shape(length: int, split: bool, known: bool, zero: bool, packet_size: int) -> None:
    data = pattern(length)
    wire = (
        [header(12 + length), *packets(data, packet_size, zero=zero)]
        if split and length
        else packets(header(12 + length) + data, packet_size, zero=zero)
    )
    phase = DataPhase(REQUEST, length if known else None, packet_size)
    got, progress, left = Host(phase, packet_size, wire).run()
    assert progress is Progress.WHOLE
    assert got == data
    assert left <= packet_size


@pytest.mark.parametrize("length", [500, 512, 4084, 4096, 70000])
@pytest.mark.parametrize("zero", [True, False])
def test_unknown_length_with_an_announced_size(length: int, zero: bool) -> None:
    wire = packets(header(0xFFFFFFFF) + pattern(length), 512, zero=zero)
    got, progress, _ = Host(DataPhase(REQUEST, length, 512), 512, wire).run()
    assert progress is Progress.WHOLE
    assert got == pattern(length)


@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize("length", [1, 500, 512, 4084, 4096])
def test_unknown_length_and_size_ends_by_a_short_packet(length: int, split: bool) -> None:
    data = pattern(length)
    head = header(0xFFFFFFFF)
    wire = [head, *packets(data, 512, zero=True)] if split else packets(head + data, 512, zero=True)
    got, progress, _ = Host(DataPhase(REQUEST, None, 512), 512, wire).run()
    assert progress is Progress.WHOLE
    assert got == data


def test_unknown_length_and_size_split_waits_for_the_payload() -> None:
    phase = DataPhase(REQUEST, None, 512)
    _, progress = phase.feed(memoryview(header(0xFFFFFFFF)), 512)
    assert progress is Progress.MORE


@pytest.mark.parametrize(
    ("said", "came"),
    [(100, 50), (1000, 500), (1000, 988), (70000, 4096 + 3), (500, 0), (100, 120)],
)
def test_a_short_packet_too_early_or_late_is_torn(said: int, came: int) -> None:
    wire = packets(header(12 + said) + pattern(came), 512, zero=True)
    if came == 0:
        wire = [header(12 + said), b""]
    assert Host(DataPhase(REQUEST, said, 512), 512, wire).run()[1] is Progress.TORN


@pytest.mark.parametrize("arrived", [0, 512, 1024, 4096, 512 * 21])
def test_a_command_in_the_middle_supersedes(arrived: int) -> None:
    """Also where the read that it lands in holds data of the client that was killed."""
    data = (header(100_012) + pattern(arrived))[: arrived or None]
    wire = [*(packets(data, 512, zero=False) if arrived else []), COMMAND]
    phase = DataPhase(REQUEST, 100_000, 512)
    assert Host(phase, 512, wire).run()[1] is Progress.SUPERSEDED
    assert phase.command == Request(OperationCode.OPEN_SESSION, 0, (1,))


@pytest.mark.parametrize("before", [0, 500, 512 - 12, 1024 - 12, 4096 - 12, 512 * 9 - 12])
@pytest.mark.parametrize("split", [True, False])
def test_a_file_that_ends_like_a_command_is_a_file(before: int, split: bool) -> None:
    data = pattern(before) + COMMAND
    head = header(12 + len(data))
    wire = [head, *packets(data, 512, zero=True)] if split else packets(head + data, 512, zero=True)
    got, progress, _ = Host(DataPhase(REQUEST, len(data), 512), 512, wire).run()
    assert progress is Progress.WHOLE
    assert got == data


def test_a_stray_zero_length_packet_before_the_data_is_nothing() -> None:
    wire = [b"", header(22) + pattern(10)]
    assert Host(DataPhase(REQUEST, 10, 512), 512, wire).run()[:2] == (pattern(10), Progress.WHOLE)


@pytest.mark.parametrize("first", [b"abc", struct.pack("<IHHI", 12, 3, 0x2001, 7), bytes(512)])
def test_what_is_no_data_container_is_refused(first: bytes) -> None:
    with pytest.raises(ContainerError):
        DataPhase(REQUEST, 10, 512).feed(memoryview(first), 512)


class Counted:
    """A phase that is fed lengths only, for sizes that no test can hold."""

    def __init__(self, size: int, length_field: int, expected: int | None) -> None:
        self.phase = DataPhase(REQUEST, expected, 512)
        self.rest = size
        first = min(size, 500)
        transfer = header(length_field) + bytes(first)
        self.rest -= first
        self.progress = self.phase.feed(memoryview(transfer), 512)[1]

    def run(self, *, zero: bool) -> Progress:
        chunk = memoryview(bytes(1 << 24))
        ended = self.rest == 0
        while self.progress in {Progress.MORE, Progress.PAUSED}:
            asked = self.phase.next_read(1 << 24)
            count = min(asked, self.rest)
            self.rest -= count
            if not count and (ended or not zero):
                return self.phase.settle() if self.progress is Progress.PAUSED else self.progress
            ended = count % 512 != 0 or not count
            self.progress = self.phase.feed(chunk[:count], asked)[1]
        return self.progress


@pytest.mark.parametrize("size", [GIB4 + delta for delta in (-13, -12, -1, 0, 1, 500, 512, 4096)])
@pytest.mark.parametrize("expected", ["exact", "low 32 bits", "unknown"])
@pytest.mark.parametrize("field", ["modulo", "unknown"])
def test_lengths_around_four_gib(size: int, expected: str, field: str) -> None:
    known = {"exact": size, "low 32 bits": size % GIB4, "unknown": None}[expected]
    length = (size + HEADER_SIZE) % GIB4 if field == "modulo" else 0xFFFFFFFF
    counted = Counted(size, length, known)
    assert counted.run(zero=True) is Progress.WHOLE
    assert counted.phase.received == size


@pytest.mark.parametrize("size", [GIB4 - 12, GIB4 + 500])
def test_four_gib_without_a_zero_length_packet(size: int) -> None:
    counted = Counted(size, (size + HEADER_SIZE) % GIB4, size)
    assert counted.run(zero=False) is Progress.WHOLE
    assert counted.phase.received == size


@settings(max_examples=300, deadline=None)
@given(
    length=st.integers(0, 20_000),
    packet_size=st.sampled_from([64, 512, 1024]),
    split=st.booleans(),
    zero=st.booleans(),
    known=st.booleans(),
    depth=st.integers(1, 5),
)
def test_any_size_arrives(  # noqa: PLR0917 - as drawn
    length: int, packet_size: int, split: bool, zero: bool, known: bool, depth: int
) -> None:
    data = pattern(length)
    head = encode_data_header(REQUEST, length)
    wire = (
        [head, *packets(data, packet_size, zero=zero)]
        if split and length
        else packets(head + data, packet_size, zero=zero)
    )
    phase = DataPhase(REQUEST, length if known else None, packet_size)
    got, progress, left = Host(phase, packet_size, wire, depth).run()
    assert (got, progress) == (data, Progress.WHOLE)
    assert left <= packet_size
