# SPDX-License-Identifier: GPL-3.0-or-later
"""MTP over USB from nothing: gadget, FunctionFS, transport, and all of it undone at the end."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from errno import EACCES, EBUSY, ESRCH
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import ApplianceError, ExitStatus
from appliance.gadget import udc
from appliance.gadget.mounts import mounted_type
from appliance.gadget.plan import FUNCTION_SOURCE
from appliance.mtp.device_ports import DeviceIdentity
from appliance.mtp.responder import Responder
from appliance.places import FUNCTIONFS
from appliance.services.gadget import gadget_settings, kept_up, prepare
from appliance.settings.schema import Settings
from appliance.values import dataclass, field

if TYPE_CHECKING:
    from appliance.transports.functionfs import FunctionFsTransport

#: Seconds that the kernel has to bring up the controller, early at boot.
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class UsbOptions:
    """How to serve over USB.

    `functionfs` is where FunctionFS is mounted already; then the gadget is there too, and the rest
    is not used. `controller` is a UDC's name, None for the first.
    """

    functionfs: Path | None = None
    controller: str | None = None
    settings: Settings = field(default_factory=lambda: Settings(network_function="none"))
    max_speed: str = ""


@contextmanager
def usb_transport(
    responder: Responder, identity: DeviceIdentity, options: UsbOptions
) -> Iterator["FunctionFsTransport"]:
    """Give a transport that is ready for a host; its `serve` does the rest.

    At the end everything is undone in reverse. What is missing raises ApplianceError.
    """
    if options.functionfs is not None:
        _check_mountpoint(options.functionfs)
        with _opened(options.functionfs, responder) as transport:
            yield transport
        return
    prepare()
    controller = udc.wait_for_controller(options.controller, seconds=_PATIENCE)
    wanted = gadget_settings(options.settings, identity, options.max_speed)
    with ExitStack() as stack:
        gadget = stack.enter_context(kept_up(wanted, controller))
        transport = stack.enter_context(_opened(FUNCTIONFS, responder))
        stack.callback(udc.unbind, gadget)
        udc.bind(gadget, controller)
        yield transport


@contextmanager
def _opened(mountpoint: Path, responder: Responder) -> Iterator["FunctionFsTransport"]:
    """Write the descriptors; python-functionfs is loaded here and nowhere earlier."""
    try:
        from appliance.transports.functionfs import FunctionFsTransport  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ApplianceError(
            f"the Python package {error.name} is missing",
            hint="pip install '.[usb]', where the project lies",
        ) from error
    except OSError as error:
        raise ApplianceError(
            f"the library libaio is missing: {error}",
            hint="apt install libaio1t64, on Debian 12 libaio1",
        ) from error
    with ExitStack() as stack:
        try:
            transport = stack.enter_context(FunctionFsTransport(mountpoint, responder))
        except OSError as error:
            raise _explain_functionfs(mountpoint, error) from error
        yield transport


def _explain_functionfs(mountpoint: Path, error: OSError) -> ApplianceError:
    if error.errno == EACCES:
        return ApplianceError(
            f"{mountpoint}/ep0 may not be opened by this user",
            hint="mount FunctionFS with uid= and gid= of the user that serves",
            status=ExitStatus.NEEDS_ROOT,
        )
    if error.errno in {EBUSY, ESRCH}:
        return ApplianceError(f"{mountpoint} is served by another process", hint="end that one")
    return ApplianceError(f"{mountpoint} takes no MTP function: {error.strerror}")


def _check_mountpoint(mountpoint: Path) -> None:
    if mounted_type(mountpoint) != "functionfs":
        raise ApplianceError(
            f"{mountpoint} is no mounted FunctionFS",
            hint=f"mount -t functionfs {FUNCTION_SOURCE} {mountpoint}",
        )
