# SPDX-License-Identifier: GPL-3.0-or-later
"""One device a client and module: started once, with an empty share for each test."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.driver import Driver
from tests.clients.gphoto2 import Gphoto2
from tests.clients.once import USB_CLIENTS, make
from tests.clients.served import Served, free_port, serve


@dataclass(frozen=True, slots=True)
class Station:
    """A client, the name to start it by, and the responder that it talks to."""

    name: str
    client: Driver
    served: Served


_CLIENTS: dict[str, type[Driver]] = {"gphoto2-ptpip": Gphoto2, **USB_CLIENTS}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with every client that can do what it needs (`@pytest.mark.needs("rename")`)."""
    if "station" not in metafunc.fixturenames:
        return
    needs = {each for mark in metafunc.definition.iter_markers("needs") for each in mark.args}
    able = [name for name, driver in _CLIENTS.items() if needs <= driver.abilities]
    params = [
        pytest.param(name, marks=pytest.mark.guest if name in USB_CLIENTS else ()) for name in able
    ]
    metafunc.parametrize("station", params, indirect=True, scope="module")


@pytest.fixture(scope="module")
def station(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Station]:
    """A client, and the responder that it talks to."""
    share = tmp_path_factory.mktemp("share")
    state = tmp_path_factory.mktemp("state")
    name, road = request.param, ["--usb"]
    if name == "gphoto2-ptpip":
        port = free_port()
        name = f"ptpip:127.0.0.1:{port}:{port}"  # gphoto2 wants it for each connection
        road = ["--listen", f"127.0.0.1:{port}"]
    with serve(*road, "--state-dir", state, f"Card={share}", share=share) as served:
        yield Station(name, make(name), served)


@pytest.fixture
def client(station: Station) -> Driver:
    return station.client


@pytest.fixture
def share(station: Station) -> Path:
    """The folder that is served, emptied."""
    folder = station.served.share
    for each in folder.iterdir():
        if each.name == ".mtp-appliance":
            continue
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()
    return folder
