# SPDX-License-Identifier: GPL-3.0-or-later
"""The status contract: what is written is read, by other versions too, and by whom it is kept."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import status
from appliance.errors import ApplianceError, ExitStatus
from appliance.services.status_file import StatusFile
from appliance.status import Cable, Direction, Status, decode, encode, read
from tests.unit.settings.test_files import obstacles

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBER = st.integers(0, 1 << 62)
TIME = st.floats(allow_nan=False, allow_infinity=False)


def few(kind: type) -> st.SearchStrategy[Any]:
    return st.lists(MADE[kind], max_size=3).map(tuple)


MADE: dict[Any, st.SearchStrategy[Any]] = {}
MADE[status.Usb] = st.builds(status.Usb, TEXT, st.sampled_from(list(Cable)), TEXT)
MADE[status.Session] = st.builds(status.Session, TEXT, TEXT, TEXT, TIME)
MADE[status.Transfer] = st.builds(
    status.Transfer, TEXT, st.sampled_from(list(Direction)), NUMBER, st.none() | NUMBER, TIME, TIME
)
MADE[status.Finished] = st.builds(
    status.Finished,
    *(TEXT, st.sampled_from(list(Direction)), NUMBER, TIME, TIME),
    st.sampled_from(list(status.Outcome)),
)
MADE[status.Totals] = st.builds(status.Totals, NUMBER, NUMBER, NUMBER, NUMBER)
MADE[status.StorageStatus] = st.builds(
    status.StorageStatus, TEXT, TEXT, TEXT, st.booleans(), NUMBER, NUMBER
)
MADE[status.Unsafe] = st.builds(status.Unsafe, NUMBER, NUMBER, TIME)
MADE[status.Warning] = st.builds(status.Warning, TEXT, TEXT, TEXT)
STATUSES = st.builds(
    Status,
    ready=st.booleans(),
    written=TIME,
    started=TIME,
    name=TEXT,
    page=TEXT,
    usb=MADE[status.Usb],
    sessions=few(status.Session),
    transfers=few(status.Transfer),
    recent=few(status.Finished),
    totals=MADE[status.Totals],
    storages=few(status.StorageStatus),
    unsafe=MADE[status.Unsafe],
    ejected=st.booleans(),
    warnings=few(status.Warning),
    versions=st.dictionaries(TEXT, TEXT, max_size=3),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from([each.name for each in fields(Status)])


def with_strangers(value: Any) -> Any:
    """The same, with a key in each object that no version of today knows."""
    if isinstance(value, dict):
        return {"of tomorrow": {"x": [1]}, **{k: with_strangers(v) for k, v in value.items()}}
    return [with_strangers(each) for each in value] if isinstance(value, list) else value


@given(STATUSES)
def test_what_is_written_is_read(written: Status) -> None:
    assert decode(encode(written)) == written


@given(STATUSES)
def test_keys_of_later_versions_are_passed_over(written: Status) -> None:
    document = json.loads(encode(written))
    versions = document.pop("versions")
    later = with_strangers(document) | {"versions": versions}
    assert decode(json.dumps(later).encode()) == written


@given(STATUSES, st.sets(KEYS))
def test_what_is_missing_is_as_by_default(written: Status, missing: set[str]) -> None:
    document = json.loads(encode(written))
    found = decode(json.dumps({k: v for k, v in document.items() if k not in missing}).encode())
    for each in fields(Status):
        origin = Status() if each.name in missing else written
        assert getattr(found, each.name) == getattr(origin, each.name)
    assert decode(b"{}") == Status()


def test_words_of_later_versions_read_as_something_sensible() -> None:
    found = decode(b'{"usb": {"cable": "charging"}, "transfers": [{"direction": "sideways"}]}')
    assert found.usb.cable is Cable.ATTACHED
    assert found.transfers[0].direction is Direction.IN


@given(st.dictionaries(KEYS, JSON) | JSON)
def test_anything_is_a_status_or_a_value_error(document: Any) -> None:
    try:
        found = decode(json.dumps(document).encode())
    except ValueError:
        return
    assert decode(encode(found)) == found or "NaN" in json.dumps(document)


@given(st.binary(max_size=200))
def test_garbage_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode(data if data[:1] != b"{" else b"{")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"sessions": 5}',
        b'{"sessions": ["x"]}',
        b'{"usb": null}',
        b'{"ready": 1}',
        b'{"written": true}',
        b'{"written": 1' + b"0" * 400 + b"}",
        b'{"totals": {"files_in": "1"}}',
        b'{"totals": {"files_in": 1.5}}',
        b'{"versions": {"x": 1}}',
    ],
)
def test_what_is_no_status_is_said_to_be_none(data: bytes, tmp_path: Path) -> None:
    file = StatusFile.claim(tmp_path / "status.json")
    assert file is not None
    file.path.write_bytes(data)
    with pytest.raises(ApplianceError, match=r"status\.json is no status") as caught:
        read(file.path)
    assert caught.value.status is ExitStatus.FAILURE
    file.close()


def not_running(path: Path) -> bool:
    try:
        read(path)
    except ApplianceError as error:
        return error.status is ExitStatus.NOT_RUNNING
    return False


def test_a_status_is_true_while_its_writer_lives(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    assert not_running(path)
    file = StatusFile.claim(path)
    assert file is not None
    assert not_running(path)
    before = os.umask(0o077)
    try:
        file.write(Status(name="Küche \udcff"))
    finally:
        os.umask(before)
    assert read(path).name == "Küche ?"
    assert path.stat().st_mode & 0o777 == 0o644
    assert StatusFile.claim(path) is None  # the second of two does without
    file.close()
    assert not_running(path)
    assert not path.exists()


def test_where_there_is_no_room_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "status.json"
    file = StatusFile.claim(path)
    assert file is not None
    file.write(Status(name="old"))
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        file.write(Status(name="new"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert read(path).name == "old"
    file.close()


def test_a_writer_that_was_killed_is_seen_at_once(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    code = (
        "import sys, time; from pathlib import Path\n"
        "from appliance.services.status_file import StatusFile\n"
        "from appliance.status import Status\n"
        "file = StatusFile.claim(Path(sys.argv[1])); file.write(Status(name='it'))\n"
        "print('written', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, path],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        assert read(path).name == "it"
        writer.kill()
        writer.wait()
        assert path.exists()
        assert not_running(path)
    file = StatusFile.claim(path)  # the next one takes over
    assert file is not None
    file.write(Status(name="next"))
    assert read(path).name == "next"
    file.close()


def test_a_reader_that_looks_is_in_no_writers_way(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    first = StatusFile.claim(path)
    assert first is not None
    first.close()
    for _ in range(50):
        status.is_kept(path)
    again = StatusFile.claim(path)
    assert again is not None
    again.close()


@obstacles
@pytest.mark.parametrize("name", ["status.json", "status.lock", "status.json.new"])
def test_what_is_no_file_keeps_no_reader_waiting_and_no_writer_away(
    tmp_path: Path, obstacle: Callable[[Path], None], name: str
) -> None:
    """The folder is the responder's, and stays when that begins anew."""
    path = tmp_path / "status.json"
    first = StatusFile.claim(path)
    assert first is not None
    first.write(Status(name="first"))
    (tmp_path / name).unlink(missing_ok=True)
    obstacle(tmp_path / name)
    if name != "status.json.new":
        with pytest.raises(ApplianceError):
            read(path)
    os.close(first._lock)
    again = StatusFile.claim(path)
    assert again is not None
    again.write(Status(name="again"))
    assert read(path).name == "again"
    again.close()


def test_a_link_leads_no_reader_elsewhere(tmp_path: Path) -> None:
    file = StatusFile.claim(tmp_path / "status.json")
    assert file is not None
    file.write(Status(name="it"))
    (tmp_path / "status.json").rename(tmp_path / "theirs")
    (tmp_path / "status.json").symlink_to("theirs")
    with pytest.raises(ApplianceError, match="is no regular file"):
        read(tmp_path / "status.json")
    file.close()


def test_where_nobody_may_write_nothing_is_claimed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert StatusFile.claim(tmp_path / "file" / "status.json") is None
