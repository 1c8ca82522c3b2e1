# SPDX-License-Identifier: GPL-3.0-or-later
"""For a long time, and with a great deal: nothing grows, and what cannot be done is said.

The responder is a process of its own, as people start it; sessions come over PTP/IP.
"""

import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from appliance import status
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.prop_lists import decode_prop_list
from tests.fakes import ptpip_client
from tests.fakes.ptpip_client import PtpIpClient, TcpClient
from tests.protocol.initiator import Initiator
from tests.torture.budget import Budget
from tests.torture.busy import Busy
from tests.torture.measured import Measured, Sample, measured

_ACTS_A_SESSION = 40
#: After each act, in the suite and in a long run: there a session has ten thousand transactions.
_FEW_QUESTIONS, _MANY_QUESTIONS = 5, 250
#: Sessions that come and go, at least: more than the slack of all that a session has. Before they
#: count, so many have come that what is made once has been made.
_PASSERS_BY, _FIRST = 200, 20
#: Bytes by which memory still grows in a short run, which is over before all is there that stays.
_BEGINNING = 1 << 20
#: Growth between the second quarter and the last that is no leak: what an allocator keeps (bytes),
#: the directories that each storage keeps open, a connection that has not quite ended.
_SLACK = {"memory": 1 << 20, "descriptors": 2 * 24, "threads": 2}
#: Bytes in memory for each object, as ARCHITECTURE.md promises, and for the whole responder.
_AN_OBJECT, _ALL = 200, 40 << 20
_LONG_NAME = "é" * 127 + "x"  # 255 bytes


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million objects in one answer take a while, on a busy machine above all."""
    monkeypatch.setattr(ptpip_client, "PATIENCE", 300.0)


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=Budget.place()) as folder:
        yield Path(folder)


# Long


def test_nothing_grows(place: Path, budget: Budget) -> None:
    roots = [place / "Card", place / "Stick"]
    for each in roots:
        each.mkdir()
    samples: list[Sample] = []
    end, done = time.monotonic() + (budget.seconds or 0), 0
    questions = _MANY_QUESTIONS if budget.is_long else _FEW_QUESTIONS
    with measured(place, *roots) as served:
        for number in count(budget.seed):
            done += _session(served, random.Random(number), questions)
            samples.append(served.sample())
            _empty(roots)
            if len(samples) >= 24 and time.monotonic() > end:
                break
    _judge(samples, done, memory_slack=0 if budget.is_long else _BEGINNING)
    early, last = samples[len(samples) // 4], samples[-1]
    budget.tell(
        f"{done} transactions in {len(samples)} sessions, {early.memory >> 10} KiB after a "
        f"quarter and {last.memory >> 10} KiB at the end, {last.descriptors} descriptors, "
        f"{last.threads} threads, {last.log} bytes of log"
    )


def _session(served: Measured, chance: random.Random, questions: int) -> int:
    """Begin a session, do this and that; how many transactions. Some just break off."""
    with ExitStack() as held:
        client = TcpClient(served.address, held)
        busy = Busy(client, chance, lambda data: None)
        for _ in range(_ACTS_A_SESSION):
            busy.look_around()
            busy.act()
            for _ in range(questions):
                busy.ask()
        if chance.random() < 0.5:
            busy.call(Op.CLOSE_SESSION)
        return sum(busy.codes.values())


def _empty(roots: list[Path]) -> None:
    """Delete all on the device, so that there is not more and more; the PC is told."""
    for each in (path for root in roots for path in root.iterdir()):
        if each.name == ".mtp-appliance":
            continue
        shutil.rmtree(each) if each.is_dir() else each.unlink()


def _judge(samples: list[Sample], transactions: int, *, memory_slack: int) -> None:
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    assert not (grown := _growth(early, late, memory_slack)), grown
    assert samples[-1].log < 200 * transactions, "the log says more than a line for each"


def _growth(early: Sequence[Sample], late: Sequence[Sample], memory_slack: int = 0) -> list[str]:
    """What has grown from some samples to others, in words."""
    grown = []
    for what, slack in _SLACK.items():
        before, after = (max(getattr(each, what) for each in some) for some in (early, late))
        if after > before + slack + (memory_slack if what == "memory" else 0):
            grown.append(f"{what} grew from {before} to {after}")
    return grown


def test_who_comes_and_goes_leaves_nothing(place: Path, budget: Budget) -> None:
    """Sessions that ask one thing, one after the other; half of them just break off."""
    root = place / "Card"
    root.mkdir()
    with measured(place, root) as served:
        for number in range(_FIRST):
            _pass_by(served, breaks_off=number % 2 == 0)
        before, end = served.sample(), time.monotonic() + (budget.seconds or 0)
        for number in count(1):
            _pass_by(served, breaks_off=number % 2 == 0)
            if number >= _PASSERS_BY and time.monotonic() > end:
                break
        patience = time.monotonic() + 30  # the last ones may not have quite ended
        while (grown := _growth([before], [served.sample()])) and time.monotonic() < patience:
            time.sleep(0.1)
        after = served.sample()
    assert not grown, f"after {number} sessions: {grown}"
    budget.tell(
        f"{number} sessions come and gone, {before.memory >> 10} KiB and {before.descriptors} "
        f"descriptors at first, {after.memory >> 10} KiB and {after.descriptors} at the end"
    )


def _pass_by(served: Measured, *, breaks_off: bool) -> None:
    client = PtpIpClient(served.address)
    for code, *parameters in ((Op.OPEN_SESSION, 1), (Op.GET_STORAGE_IDS,)):
        assert client.call(code, *parameters).ok
    if breaks_off:
        client.kill()
        return
    assert client.call(Op.CLOSE_SESSION).ok
    client.close()


# Much


def test_many_deep_and_long(place: Path, budget: Budget) -> None:
    """A folder with many files, many in all, many levels, names as long as can be."""
    in_one, in_all = (100_000, 1_000_000) if budget.is_long else (3_000, 4_000)
    root, levels = place / "Card", 200
    _fill(root / "many", in_one)
    for number in range((in_all - in_one) // 1_000):
        _fill(root / f"more {number}", 1_000)
    _dig(root, levels)
    (root / _LONG_NAME).write_bytes(b"long")
    with measured(place, root) as served, ExitStack() as held:
        before = served.sample()
        pc = Initiator(TcpClient(served.address, held)).open()
        assert len(pc.handles(_find(pc, "many"))) == in_one
        assert pc.data(Op.GET_OBJECT, _find(pc, _LONG_NAME)) == b"long"
        _go_down(pc, _find(pc, "down"), levels - 1)
        began = time.monotonic()
        assert len(pc.handles(0)) >= in_all
        took = time.monotonic() - began
        after = served.sample()
    assert after.memory <= before.memory + in_all * _AN_OBJECT + _ALL
    size = (after.memory - before.memory) // in_all
    budget.tell(f"{in_all} objects, all listed in {took:.1f} s, {size} bytes each")


def _fill(folder: Path, number: int) -> None:
    folder.mkdir(parents=True)
    fd = os.open(folder, os.O_RDONLY)
    for each in range(number):
        os.close(os.open(f"file {each}.txt", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    os.close(fd)


def _dig(root: Path, levels: int) -> None:
    """Make folders in one another; deeper than a path can say."""
    fd = os.open(root, os.O_RDONLY)
    for level in range(levels):
        name = "down" if not level else _LONG_NAME
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)


def _find(pc: Initiator, name: str) -> int:
    data = pc.data(Op.GET_OBJECT_PROP_LIST, 0, 0, 0xDC07, 0, 1)
    return next(each.handle for each in decode_prop_list(data) if each.value == name)


def _go_down(pc: Initiator, folder: int, levels: int) -> None:
    for _ in range(levels):
        (folder,) = pc.handles(folder)
    file = pc.put("at the bottom", b"deep", parent=folder)
    assert pc.data(Op.GET_OBJECT, file) == b"deep"
    pc.ask(Op.BEGIN_EDIT_OBJECT, file)
    pc.ask(Op.SEND_PARTIAL_OBJECT, file, 0, 0, 4, data=b"DEEP")
    pc.ask(Op.END_EDIT_OBJECT, file)
    assert pc.data(Op.GET_OBJECT, file) == b"DEEP"
    assert pc.rename(file, "renamed").ok
    pc.ask(Op.DELETE_OBJECT, file)
    assert pc.handles(folder) == []


# The kernel's limits


def test_no_more_watches_is_said(place: Path) -> None:
    """Ten folders, five watches: all is served, and the status tells."""
    root = place / "Card"
    for number in range(10):
        (root / str(number)).mkdir(parents=True)
    few = 'echo 5 > /proc/sys/user/max_inotify_watches && exec "$@"'
    prefix = ("unshare", "--user", "--map-root-user", "sh", "-c", few, "sh")
    if subprocess.run((*prefix, "true"), capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces here: sysctl kernel.unprivileged_userns_clone=1, or root")
    with measured(place, root, prefix=prefix) as served, ExitStack() as held:
        pc = Initiator(TcpClient(served.address, held)).open()
        assert not [
            each for each in status.read(served.status).warnings if each.code == "unwatched"
        ]
        assert len(pc.handles(0)) == 10
        (root / "9" / "new").touch()
        assert "new" in pc.names(pc.names()["9"])
        assert "max_user_watches" in _warning(served, "unwatched")
        assert served.log.read_text().count("UNWATCHED") == 1


def _warning(served: Measured, code: str) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for each in status.read(served.status).warnings:
            if each.code == code:
                return each.text
        time.sleep(0.05)
    raise AssertionError(f"no warning {code}")
