# SPDX-License-Identifier: GPL-3.0-or-later
"""Every conversation that was recorded with a real client goes as it went then."""

from pathlib import Path

import pytest

from appliance.mtp.codes import OperationCode, ResponseCode
from tests.fakes.client import Answer, ConnectClient
from tests.protocol import traces
from tests.protocol.replay import Replay
from tests.protocol.traces import Step

#: Operations whose data has a length that follows from the share alone.
_SAME_LENGTH = {
    OperationCode.GET_OBJECT_HANDLES,
    OperationCode.GET_OBJECT,
    OperationCode.GET_PARTIAL_OBJECT,
    OperationCode.GET_STORAGE_IDS,
}

_COULD_NOT = {
    ResponseCode.SPECIFICATION_BY_DEPTH_UNSUPPORTED,
    ResponseCode.INVALID_OBJECT_PROP_CODE,
}


@pytest.fixture
def share(tmp_path: Path) -> Path:
    for _, path, size in traces.SHARE:
        if size is None:
            (tmp_path / path).mkdir()
        else:
            (tmp_path / path).write_bytes(bytes(size))
    return tmp_path


@pytest.mark.parametrize(
    "recording", sorted(traces.FOLDER.glob("*.ops.txt")), ids=lambda path: path.name.split(".")[0]
)
def test_a_recorded_client_is_served(recording: Path, share: Path, connect: ConnectClient) -> None:
    with connect(share) as client:
        replay = Replay(client)
        assert client.call(OperationCode.OPEN_SESSION, 0x7E57).ok
        replay.learn_device()
        replay.learn_share()
        assert client.call(OperationCode.CLOSE_SESSION).ok
        problems = [problem for step in traces.read(recording) if (problem := _play(replay, step))]
    assert problems == []


def _play(replay: Replay, step: Step) -> str:
    answer = replay.play(step)
    if answer is None:
        return ""
    where = (
        f"line {step.line} ({step.command}): {step.code:04X} {[hex(p) for p in step.parameters]}"
    )
    if answer.code != step.response and not _is_better(step, answer):
        return f"{where} answered {answer.code!s} instead of {step.response:04X}"
    return f"{where} {_difference(step, answer)}" if _difference(step, answer) else ""


def _is_better(step: Step, answer: Answer) -> bool:
    """Whether the device that was recorded could not do what this one can."""
    return step.response in _COULD_NOT and answer.ok


def _difference(step: Step, answer: Answer) -> str:
    length = None if answer.data is None else len(answer.data)
    if OperationCode(step.code) in _SAME_LENGTH and length != step.received:
        return f"sent {length} bytes instead of {step.received}"
    return ""
