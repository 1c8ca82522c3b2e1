# SPDX-License-Identifier: GPL-3.0-or-later
"""One device a client and module: started once, with an empty share for each test."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.driver import Driver
from tests.clients.gphoto2 import Gphoto2PtpIp
from tests.clients.once import USB_CLIENTS, make
from tests.clients.served import Served, free_port, redirected, serve, wait_for_device
from tests.vm.plugin import SHARED


@dataclass(frozen=True, slots=True)
class Station:
    """A client, the name to start it by, and the responder that it talks to."""

    name: str
    client: Driver
    served: Served


#: In a virtual machine whose host serves the device.
_IN_A_GUEST = "-usbredir"
_REDIRECTED = {f"{name}{_IN_A_GUEST}": client for name, client in USB_CLIENTS.items()}
#: The modules of which one client shows enough there, unless all are asked for (`--redirected`).
_ALWAYS = ("test_files",), ("mtp-tools",)
_CLIENTS: dict[str, type[Driver]] = {
    "gphoto2-ptpip": Gphoto2PtpIp,
    **USB_CLIENTS,
    **_REDIRECTED,
}


def _marks(name: str) -> pytest.MarkDecorator | tuple[()]:
    if name in _REDIRECTED:
        return pytest.mark.guest("redirected")
    return pytest.mark.guest if name in USB_CLIENTS else ()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a client cannot do: a test names what it needs (`needs("rename")`)."""
    everything = config.getoption("--redirected") or SHARED is not None
    items[:] = [
        each for each in items if _is_able(each) and (everything or _is_for_everybody(each))
    ]


def _is_for_everybody(item: pytest.Item) -> bool:
    modules, clients = _ALWAYS
    return _IN_A_GUEST not in item.name or (
        item.path.stem in modules and any(f"{each}{_IN_A_GUEST}" in item.name for each in clients)
    )


def _is_able(item: pytest.Item) -> bool:
    needs = {each for mark in item.iter_markers("needs") for each in mark.args}
    if not needs:
        return True
    assert isinstance(item, pytest.Function)
    return needs <= _CLIENTS[str(item.callspec.params["station"])].abilities


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=_marks(name)) for name in _CLIENTS],
)
def station(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Station]:
    """A client, and the responder that it talks to."""
    if request.param in _REDIRECTED:
        name = request.param.removesuffix(_IN_A_GUEST)
        yield Station(name, make(name), redirected())
        return
    share = tmp_path_factory.mktemp("share")
    state = tmp_path_factory.mktemp("state")
    name, road = request.param, ["--usb"]
    if name == "gphoto2-ptpip":
        port = free_port()
        name = f"ptpip:127.0.0.1:{port}:{port}"  # gphoto2 wants it for each connection
        road = ["--listen", f"127.0.0.1:{port}"]
    with serve(*road, "--state-dir", state, f"Card={share}", share=share) as served:
        if name in USB_CLIENTS:
            wait_for_device()
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
