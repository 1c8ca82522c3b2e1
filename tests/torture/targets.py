# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes bytes from outside: each a function that must stand any bytes.

It raises nothing for bad input but the error that its module declares, which is caught here.
"""

import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from appliance.mtp import containers, prop_lists, ptpip_packets
from appliance.mtp.codes import DataType, OperationCode, ResponseCode
from appliance.mtp.datasets import ObjectInfo
from appliance.mtp.transaction import Request
from appliance.mtp.wire import (
    Reader,
    WireError,
    decode_date,
    decode_value,
    encode_string,
    encode_value,
)
from appliance.settings import store as settings_store
from appliance.storage import trash_info
from tests.fakes.memory_client import connect_memory
from tests.protocol import traces
from tests.torture import framing, outsiders, plugged
from tests.torture.budget import Budget

Target = Callable[[bytes], None]
_PACKET = 512
_HEAD = struct.Struct("<BHH")


def command(data: bytes) -> None:
    """A command container of USB."""
    with suppress(containers.ContainerError):
        request = containers.decode_command(data)
        assert len(request.parameters) <= 5


def data_phase(data: bytes) -> None:
    """A data phase of USB, in transfers as long as the bytes say."""
    for expected in (None, 0, 1, len(data), 1 << 32):
        phase = containers.DataPhase(Request(OperationCode.SEND_OBJECT, 7), expected, _PACKET)
        rest, taken = memoryview(data), 0
        with suppress(containers.ContainerError):
            while rest:
                asked = phase.next_read(4096)
                assert asked > 0
                part = rest[: min(asked, 1 + rest[0] * 7)]
                rest = rest[len(part) :]
                payload, progress = phase.feed(part, asked)
                taken += len(payload)
                if progress not in (containers.Progress.MORE, containers.Progress.PAUSED):
                    break
            phase.settle() if phase.started else None
        assert taken <= len(data)


def packet(data: bytes) -> None:
    """The payload of a PTP/IP packet, as each of those that initiators send."""
    for decode in (
        ptpip_packets.decode_init_command,
        ptpip_packets.decode_init_event,
        ptpip_packets.decode_operation,
        ptpip_packets.decode_transaction_id,
        ptpip_packets.decode_start_data,
    ):
        with suppress(ptpip_packets.PacketError):
            decode(data)


def dataset(data: bytes) -> None:
    """ObjectInfo, a list of properties, a value of every type, a date."""
    with suppress(WireError):
        info = ObjectInfo.decode(data)
        assert ObjectInfo.decode(info.encode()).name == info.name
    with suppress(WireError):
        prop_lists.decode_prop_list(data)
    for data_type in DataType:
        with suppress(WireError):
            value = decode_value(Reader(data), data_type)
            assert decode_value(Reader(encode_value(data_type, value)), data_type) == value
    with suppress(WireError):
        decode_date(data.decode("latin-1"))


def settings(data: bytes) -> None:
    """The settings file."""
    text = data.decode("utf-8", "replace")
    values, findings = settings_store.understand(text)
    assert values is not None
    assert all(isinstance(each, str) and "\n" not in each for each in findings.errors)


def note(data: bytes) -> None:
    """A note in the trash."""
    info = trash_info.decode(data)
    assert all(name not in (b"", b".", b"..") and b"/" not in name for name in info.path)
    with suppress(OverflowError, ValueError, OSError):
        datetime.fromtimestamp(info.deleted or 0)


def conversation(data: bytes) -> None:
    """Operations with any parameters and data, each of which has to be answered."""
    with tempfile.TemporaryDirectory(dir=Budget.place()) as place:
        share = Path(place) / "share"
        (share / "folder").mkdir(parents=True)
        (share / "folder" / "file").write_bytes(b"content")
        with connect_memory(share) as client:
            client.call(OperationCode.OPEN_SESSION, 1)
            for code, parameters, sent in _operations(data):
                answer = client.call(code, *parameters, data=sent)
                assert answer.code in set(ResponseCode), hex(answer.code)
                assert len(answer.parameters) <= 5
        assert sorted(each.name for each in Path(place).iterdir()) == ["share"]


def _operations(data: bytes) -> Iterator[tuple[int, tuple[int, ...], bytes | None]]:
    at = 0
    while at + _HEAD.size <= len(data):
        flags, code, size = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        count = flags >> 1 & 7
        raw = data[at : at + 4 * count].ljust(4 * count, b"\0")
        at += 4 * count
        sent = data[at : at + size] if flags & 1 else None
        at += size if flags & 1 else 0
        yield code, struct.unpack(f"<{count}I", raw)[:5], sent


def _said(code: int, parameters: tuple[int, ...], sent: bytes | None) -> bytes:
    head = _HEAD.pack(len(parameters) << 1 | (sent is not None), code, len(sent or b""))
    return head + struct.pack(f"<{len(parameters)}I", *parameters) + (sent or b"")


TARGETS: dict[str, Target] = {
    "command": command,
    "data_phase": data_phase,
    "packet": packet,
    "dataset": dataset,
    "settings": settings,
    "note": note,
    "conversation": conversation,
    "framing": framing.framing,
    "conversation_by_usb": plugged.conversation_by_usb,
    "redirection": outsiders.redirection,
    "update": outsiders.update,
}


def corpus(name: str) -> list[bytes]:
    """What real clients sent, as a target takes it, and what people write."""
    return sorted(set(_CORPORA.get(name, _pieces)()))


def _conversations() -> Iterator[bytes]:
    """Operations as `conversation` reads them, some at a time."""
    for path in sorted(traces.FOLDER.glob("*.ops.txt")):
        every = [_said(step.code, step.parameters, _sent(step)) for step in traces.read(path)]
        for at in range(0, len(every), 30):
            yield b"".join(every[at : at + 40])


def _pieces() -> Iterator[bytes]:
    """Each operation as a container, a packet and a dataset; and texts."""
    for path in sorted(traces.FOLDER.glob("*.ops.txt")):
        for step in traces.read(path):
            sent = _sent(step)
            request = Request(OperationCode(step.code), 7, step.parameters)
            block = struct.pack("<HI", step.code, 7)
            raw = struct.pack(f"<{len(step.parameters)}I", *step.parameters)
            yield struct.pack("<IH", 12 + len(raw), 1) + block + raw
            yield struct.pack("<I", 1 + (sent is not None)) + block + raw
            if sent is not None:
                yield sent
                yield containers.encode_data_header(request, len(sent)) + sent
    example = Path(__file__).parent.parent.parent / "overlay/etc/mtp-appliance/settings.toml"
    text = example.read_bytes()
    yield text
    yield b"\n".join(line for line in text.split(b"\n") if not line.startswith(b"#"))
    yield trash_info.encode(trash_info.TrashInfo((b"a", b"\xff"), 1.7e9, 5))


def _sent(step: traces.Step) -> bytes | None:
    if step.sent is None:
        return None
    if step.code == OperationCode.SEND_OBJECT_INFO:
        return ObjectInfo(0, 0x3000, step.size, 0, step.name).encode()  # type: ignore[arg-type]
    if step.name:
        return struct.pack("<IIHH", 1, 0, 0xDC07, 0xFFFF) + encode_string(step.name)
    return bytes(min(step.sent, 600))


#: What a target begins with, if it is not pieces of what clients sent.
_CORPORA: dict[str, Callable[[], Iterator[bytes]]] = {
    "conversation": _conversations,
    "framing": framing.initiators,
    "conversation_by_usb": plugged.hosts,
    "redirection": outsiders.guests,
    "update": outsiders.updates,
}
