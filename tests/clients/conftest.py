# SPDX-License-Identifier: GPL-3.0-or-later
"""One device a client and module: started once, with an empty share for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.aft import Aft
from tests.clients.driver import Driver
from tests.clients.gphoto2 import Gphoto2
from tests.clients.jmtpfs import Jmtpfs
from tests.clients.mtp_tools import MtpTools
from tests.clients.served import Served, free_port, serve

_USB_CLIENTS: dict[str, type[Driver]] = {
    "mtp-tools": MtpTools,
    "gphoto2-usb": Gphoto2,
    "jmtpfs": Jmtpfs,
    "aft": Aft,
}


_CLIENTS: dict[str, type[Driver]] = {"gphoto2-ptpip": Gphoto2, **_USB_CLIENTS}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with every client that can do what it needs (`@pytest.mark.needs("rename")`)."""
    if "station" not in metafunc.fixturenames:
        return
    needs = {each for mark in metafunc.definition.iter_markers("needs") for each in mark.args}
    able = [name for name, driver in _CLIENTS.items() if needs <= driver.abilities]
    params = [
        pytest.param(name, marks=pytest.mark.guest if name in _USB_CLIENTS else ()) for name in able
    ]
    metafunc.parametrize("station", params, indirect=True, scope="module")


@pytest.fixture(scope="module")
def station(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Driver, Served]]:
    """A client, and the responder that it talks to."""
    share = tmp_path_factory.mktemp("share")
    state = tmp_path_factory.mktemp("state")
    if request.param == "gphoto2-ptpip":
        port = free_port()
        with serve(f"Card={share}", "--listen", f"127.0.0.1:{port}", "--state-dir", state,
                   share=share) as served:  # fmt: skip
            yield Gphoto2(f"ptpip:127.0.0.1:{port}"), served
    else:
        with serve("--usb", f"Card={share}", "--state-dir", state, share=share) as served:
            yield _USB_CLIENTS[request.param](), served


@pytest.fixture
def client(station: tuple[Driver, Served]) -> Driver:
    return station[0]


@pytest.fixture
def share(station: tuple[Driver, Served]) -> Path:
    """The folder that is served, emptied."""
    folder = station[1].share
    for each in folder.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()
    return folder
