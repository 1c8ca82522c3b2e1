# SPDX-License-Identifier: GPL-3.0-or-later
"""The measurements: each gives rows. Everyone is asked in turn within each, so load hits all."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench import habits
from tests.bench.client import KIB, MIB, ROOT, Answer, RawClient, Sweep
from tests.bench.peers import Peer
from tests.bench.rows import OURS, PUMP, STORING, Row

CHUNKS = {"16 KiB": 16 * KIB, "128 KiB": 128 * KIB, "1 MiB": MIB}
MB = 1e6
PUMPS = (PUMP, STORING)
_FOLDER = 0x3001
_ALL = 0xFFFFFFFF
#: Seconds in which a responder is to know what has come on the device.
_PATIENCE = 20.0
#: Seconds for a list of handles; the client gives up after two minutes.
_MOST_SECONDS = 60.0


@dataclass(slots=True)
class Table:
    """Everyone that is measured, with a client each; `repeats` is how often."""

    peers: Sequence[Peer]
    clients: dict[str, RawClient]
    repeats: int
    limit: int

    @property
    def responders(self) -> list[Peer]:
        """Those who speak the protocol."""
        return [peer for peer in self.peers if peer.name not in PUMPS]

    def storage(self, peer: Peer, index: int = 0) -> int:
        """Id of one of its storages: 0 lies in memory, 1 on the disk."""
        return self.clients[peer.name].storages()[index]

    def find(self, peer: Peer, name: str) -> int:
        """Handle of an object in the root of the first storage; it may be known in a moment."""
        deadline = time.monotonic() + _PATIENCE
        while (handle := self._look_for(peer, name)) is None:
            if time.monotonic() > deadline:
                raise LookupError(name)
        return handle

    def _look_for(self, peer: Peer, name: str) -> int | None:
        client, wanted = self.clients[peer.name], name.encode("utf-16-le")
        assert client.handles(self.storage(peer)).ok
        for handle in reversed(client.remembered()):
            if client.operate(0x1008, handle).ok and wanted in client.data():
                return handle
        return None


# Transfers


def transfers(table: Table, size: int) -> Iterator[Row]:
    """Download and upload one file by host transfers of several sizes; processor time too."""
    handles = {peer.name: _upload_checked(table, peer, size) for peer in table.responders}
    for case, chunk in CHUNKS.items():
        down = Row("download", case, "MB/s", more_is_better=True)
        up = Row("upload", case, "MB/s", more_is_better=True)
        stored = Row("upload", f"{case}, where the pump stores too", "MB/s", more_is_better=True)
        costs = [Row(f"{way}: processor", case, "s/GiB") for way in ("download", "upload")]
        for turn in range(table.repeats):
            for peer in table.peers:
                client = table.clients[peer.name]
                if peer.name in PUMPS:
                    if peer.name == PUMP:
                        down.add(PUMP, client.drain(size, chunk) / MB)
                    (up if peer.name == PUMP else stored).add(PUMP, client.flood(size, chunk) / MB)
                    continue
                before = peer.processor()
                answer = client.get(handles[peer.name], chunk)
                assert answer.ok and answer.length == size, answer
                down.add(peer.name, size / MB / answer.seconds)
                between = peer.processor()
                name = f"up-{chunk}-{turn}"
                handle, seconds = client.put(table.storage(peer), size, name, chunk=chunk)
                up.add(peer.name, size / MB / seconds)
                costs[0].add(peer.name, (between - before) * (1 << 30) / size)
                costs[1].add(peer.name, (peer.processor() - between) * (1 << 30) / size)
                assert client.operate(0x100B, handle, 0).ok
        stored.samples[OURS] = up.samples[OURS]
        yield from (down, up, stored, *costs)


def _upload_checked(table: Table, peer: Peer, size: int) -> int:
    """Upload the file, and see that it comes back as it was."""
    client = table.clients[peer.name]
    handle, _ = client.put(table.storage(peer), size, "pattern")
    assert (peer.ram / "pattern").stat().st_size == size
    answer = client.get(handle, check=True)
    assert answer.ok and answer.length == size, answer
    return handle


# Listings


def listings(table: Table, counts: Sequence[int]) -> Iterator[Row]:
    """List folders of several sizes in several ways. A way that takes too long is cut short.

    Who would take minutes for the handles of a folder, going by the one before, is not asked.
    """
    each_took: dict[str, float] = {}
    for count in counts:
        case = f"{count:,} objects"
        first = Row("first list of handles", case, "s")
        ways = {
            "info": Row("GetObjectInfo, an object", case, "ms"),
            "libmtp": Row("as libmtp and gvfs, an object", case, "ms"),
            "windows": Row("as Windows, an object", case, "ms"),
        }
        whole = Row("whole folder by GetObjectInfo", case, "s")
        list_ = Row("whole folder by property list", case, "s")
        for peer in table.responders:
            if each_took.get(peer.name, 0.0) * count > _MOST_SECONDS:
                continue
            _fill(peer.ram / f"d{count}", count)
            client = table.clients[peer.name]
            folder = table.find(peer, f"d{count}")
            answer = client.handles(table.storage(peer), folder)
            assert answer.length == 4 + 4 * count, answer
            each_took[peer.name] = answer.seconds / count
            first.add(peer.name, answer.seconds)
            for way, row in ways.items():
                done = client.each(*_steps(table, peer, way), limit=table.limit)
                row.add(peer.name, done.each * 1e3)
                if way == "info":
                    whole.add(peer.name, answer.seconds + done.each * count)
            if peer.name == OURS:
                got = _property_list(client, folder)
                list_.add(peer.name, got.seconds)
        yield from (first, *ways.values(), whole, list_)


def _fill(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        (folder / f"IMG_{number:06}.JPG").touch()


def _property_list(client: RawClient, folder: int) -> Answer:
    answer = client.operate(0x9805, folder, 0, _ALL, 0, 1)
    assert answer.ok, answer
    return answer


def _steps(table: Table, peer: Peer, way: str) -> tuple[str, ...]:
    """What a program asks for each object; it depends on what the device says that it can."""
    if way == "info":
        return habits.of("go-mtpfs-bookworm")
    lists = _supports(table, peer, 0x9805)
    if way == "windows":
        return habits.WINDOWS if lists else habits.WINDOWS_WITHOUT_LISTS
    return habits.of("gvfs-bookworm") if lists else habits.WITHOUT_LISTS


def _supports(table: Table, peer: Peer, operation: int) -> bool:
    """Whether an operation is in the device's list; what it says of itself comes before."""
    client = table.clients[peer.name]
    assert client.operate(0x1001).ok
    data = client.data()
    start = 9 + 2 * data[8]  # version, extension and its version, then a string
    count = int.from_bytes(data[start + 2 : start + 6], "little")
    codes = data[start + 6 : start + 6 + 2 * count]
    return operation.to_bytes(2, "little") in (codes[at : at + 2] for at in range(0, len(codes), 2))


# Many small files


def small_files(
    table: Table, count: int, size: int, where: str, names: dict[str, str]
) -> list[Row]:
    """Upload, download, rename, move and delete many small files; `names` are the columns'."""
    index = ("memory", "disk").index(where)
    case = f"{count:,} of {size // KIB} KiB, {where}"
    verbs = ("upload", "download", "rename", "move", "delete")
    rows = {verb: Row(f"{verb} small files", case, "ms/file") for verb in verbs}
    for peer in table.responders:
        if peer.name not in names:
            continue
        for verb, done in _small_files(table, peer, index, count, size):
            rows[verb].add(names[peer.name], done.each * 1e3)
    return list(rows.values())


def _small_files(
    table: Table, peer: Peer, index: int, count: int, size: int
) -> Iterator[tuple[str, Sweep]]:
    client, storage = table.clients[peer.name], table.storage(peer, index)
    stamp = f"{time.monotonic_ns()}"
    folders = [_make_folder(client, storage, f"{stamp}{each}") for each in "ab"]
    client.forget()
    sweeps: dict[str, Callable[[], Sweep]] = {
        "upload": lambda: client.put_many(storage, size, count, "small", folders[0]),
        "download": lambda: client.each("1009,@"),
        "rename": lambda: client.rename_all("renamed"),
        "move": lambda: client.each(f"1019,@,{storage:X},{folders[1]:X}"),
        "delete": lambda: client.each("100B,@,0"),
    }
    for verb, sweep in sweeps.items():
        needed = {"rename": 0x9804, "move": 0x1019}.get(verb)
        if needed and not _supports(table, peer, needed):
            continue
        done = sweep()
        assert done.refused == 0 and done.count == count, (peer.name, verb, done)
        yield verb, done


def _make_folder(client: RawClient, storage: int, name: str) -> int:
    text = name.encode("utf-16-le") + b"\0\0"
    info = storage.to_bytes(4, "little") + _FOLDER.to_bytes(2, "little") + bytes(46)
    data = info + bytes([len(text) // 2]) + text + bytes(3)
    answer = client.operate_out(0x100C, data, storage, ROOT)
    assert answer.ok, answer
    return answer.parameters[2]


# The rest


def events(table: Table, count: int) -> Row:
    """Time from a file that is written on the device to the event for it; no number: none came."""
    row = Row("event for a new file", "in a listed folder", "ms")
    for peer in table.responders:
        client = table.clients[peer.name]
        client.handles(table.storage(peer))
        while client.event(500).code:
            pass
        for number in range(count):
            start = time.monotonic()
            (peer.ram / f"event{number}").write_bytes(b"x")
            while (event := client.event(10000)).code not in {0, 0x4002}:
                pass
            if not event.code:
                assert peer.name != OURS
                break
            row.add(peer.name, (event.time - start) * 1e3)
    return row


def memory(table: Table, count: int) -> Iterator[Row]:
    """Memory at rest, and the most until `count` objects have been listed."""
    rest = Row("memory at rest", "just started", "MB")
    most = Row("peak memory", f"{count:,} objects listed", "MB")
    for peer in table.responders:
        rest.add(peer.name, peer.memory("VmRSS") / MB)
        _fill(peer.ram / f"m{count}", count)
        client = table.clients[peer.name]
        folder = table.find(peer, f"m{count}")
        assert client.handles(table.storage(peer), folder).ok
        client.each("1008,@", limit=table.limit)
        most.add(peer.name, peer.memory() / MB)
    yield from (rest, most)


def thumbnails(table: Table, count: int) -> Row:
    """Thumbnails of photographs that were not asked for before."""
    from PIL import Image  # noqa: PLC0415 - in the guest only

    row = Row("thumbnails", "JPEG of 1600 x 1200", "a second", more_is_better=True)
    (peer,) = (peer for peer in table.responders if peer.name == OURS)
    folder = peer.ram / "photos"
    folder.mkdir()
    for number in range(count):
        image = Image.effect_noise((1600, 1200), 40 + number).convert("RGB")
        image.save(folder / f"{number}.jpg")
    client = table.clients[peer.name]
    client.handles(table.storage(peer), table.find(peer, "photos"))
    done = client.each("100A,@")
    assert done.refused == 0, done
    row.add(peer.name, done.count / done.seconds)
    return row


def starts(peers: Sequence[Peer]) -> Row:
    """Time from the start of the process until it is ready for a host."""
    row = Row("start to ready", "emulated, modules compiled", "s")
    for peer in peers:
        row.add(peer.name, peer.seconds_to_ready)
    return row


def opened(peers: Sequence[Peer], stack: ExitStack) -> dict[str, RawClient]:
    """Give a client with a session for each."""
    clients = {}
    for peer in peers:
        client = clients[peer.name] = stack.enter_context(RawClient(peer.device))
        if peer.name not in PUMPS:
            assert client.open_session().ok
    return clients
