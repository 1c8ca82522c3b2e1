# SPDX-License-Identifier: GPL-3.0-or-later
"""`appliance_device`: the real responder on a folder, plugged in at high speed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.usb.appliance import Appliance, load_controller, plugged_in
from tests.usb.host import Host, program


@pytest.fixture(scope="module")
def usb_speed() -> str:
    """The speed of the bus; a module that wants another one, or several, overrides this."""
    return "high"


@pytest.fixture(scope="module")
def appliance_device(
    usb_speed: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Appliance]:
    """One device for all tests of a module: each must leave it fit for the next."""
    load_controller(usb_speed)
    share = tmp_path_factory.mktemp("share")
    with plugged_in(share, tmp_path_factory.mktemp("state")) as appliance:
        yield appliance


@pytest.fixture(autouse=True)
def device_log(appliance_device: Appliance) -> Iterator[None]:
    """Show with a failure what the responder logged meanwhile."""
    since = len(appliance_device.log())
    yield
    print(appliance_device.log()[since:])


@pytest.fixture
def share(appliance_device: Appliance) -> Path:
    return appliance_device.share


@pytest.fixture
def host(appliance_device: Appliance) -> Iterator[Host]:
    """A program on the PC with an open session."""
    with program() as host:
        yield host
