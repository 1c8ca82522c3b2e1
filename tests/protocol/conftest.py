# SPDX-License-Identifier: GPL-3.0-or-later
"""A share, and an initiator with an open session on it.

`connect(folder, ...)` gives a client of the responder that serves these folders; the tests see
nothing but what a client sees, and the folders.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.client import ConnectClient
from tests.fakes.memory_client import connect_memory
from tests.fakes.ptpip_client import connect_ptpip
from tests.fakes.usbredir_guest import connect_usbredir
from tests.protocol.initiator import Initiator

_ROADS: dict[str, ConnectClient] = {
    "memory": connect_memory,
    "ptpip": connect_ptpip,
    "usbredir": connect_usbredir,
}


@pytest.fixture(params=sorted(_ROADS))
def connect(request: pytest.FixtureRequest) -> ConnectClient:
    """Every road from an initiator to the responder that needs nothing but this machine."""
    return _ROADS[request.param]


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "Share"
    (folder / "Docs" / "deep").mkdir(parents=True)
    (folder / "Docs" / "a.txt").write_bytes(b"hello a")
    (folder / "Docs" / "deep" / "b.jpg").write_bytes(b"not really a picture")
    (folder / "root.bin").write_bytes(bytes(range(256)) * 4)
    return folder


@pytest.fixture
def pc(share: Path, connect: ConnectClient) -> Iterator[Initiator]:
    with connect(share) as client:
        yield Initiator(client).open()
