# SPDX-License-Identifier: GPL-3.0-or-later
"""MTP over USB from nothing: gadget, FunctionFS, transport, and all of it undone at the end."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from errno import EACCES, EBUSY, ENODEV, ESRCH
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import ApplianceError, ExitStatus
from appliance.gadget import udc
from appliance.gadget.configfs import CONFIGFS, GADGETS, Gadget
from appliance.gadget.identity import network_addresses
from appliance.gadget.mounts import mount, mounted, mounted_type
from appliance.gadget.plan import FUNCTION_SOURCE, GadgetSettings, Network, plan
from appliance.mtp.device_ports import DeviceIdentity
from appliance.mtp.responder import Responder

if TYPE_CHECKING:
    from appliance.transports.functionfs import FunctionFsTransport

log = logging.getLogger(__name__)

GADGET = "mtp-appliance"
_ROOT = Path("/")
_MOUNTPOINT = Path("/run/mtp-appliance/functionfs")
#: Seconds that the kernel has to bring up the controller, early at boot.
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class UsbOptions:
    """How to serve over USB.

    `functionfs` is where FunctionFS is mounted already; then whoever mounted it binds the gadget,
    and the rest is not used. `controller` is a UDC's name, None for the first.
    """

    functionfs: Path | None = None
    controller: str | None = None
    network: Network = Network.NONE
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
    _need_root()
    _need_gadgets()
    controller = udc.wait_for_controller(options.controller, seconds=_PATIENCE)
    with ExitStack() as stack:
        gadget = stack.enter_context(_gadget(identity, options, controller))
        stack.enter_context(_functionfs())
        transport = stack.enter_context(_opened(_MOUNTPOINT, responder))
        stack.callback(udc.unbind, gadget)
        udc.bind(gadget, controller)
        yield transport


@contextmanager
def _gadget(identity: DeviceIdentity, options: UsbOptions, controller: str) -> Iterator[Gadget]:
    gadget = Gadget(GADGET)
    _need_free(controller)
    gadget.sweep()
    steps = plan(_settings(identity, options))
    gadget.make(steps)
    try:
        yield gadget
    finally:
        gadget.remove(steps)


def _need_free(controller: str) -> None:
    """Refuse a controller that is in use; one of a process that just died is free in a moment."""
    deadline = time.monotonic() + _PATIENCE
    while (owner := udc.holder(controller)) is not None:
        if owner != GADGET or time.monotonic() > deadline:
            raise udc.in_use(controller, owner)
        time.sleep(0.1)


def _settings(identity: DeviceIdentity, options: UsbOptions) -> GadgetSettings:
    addresses = None
    if options.network is not Network.NONE:
        addresses = network_addresses(identity.serial_number)
    return GadgetSettings(
        serial_number=identity.serial_number,
        manufacturer=identity.manufacturer,
        product=identity.model,
        network=options.network,
        host_address=addresses.host if addresses else "",
        device_address=addresses.device if addresses else "",
        max_speed=options.max_speed,
    )


@contextmanager
def _functionfs() -> Iterator[Path]:
    try:
        with mounted(FUNCTION_SOURCE, _MOUNTPOINT, "functionfs") as path:
            yield path
    except OSError as error:
        if error.errno != ENODEV or error.filename != str(_MOUNTPOINT):
            raise
        raise ApplianceError(
            "the kernel has no FunctionFS",
            hint="modprobe usb_f_fs; it is CONFIG_USB_CONFIGFS_F_FS",
            status=ExitStatus.NO_HARDWARE,
        ) from error


@contextmanager
def _opened(mountpoint: Path, responder: Responder) -> Iterator["FunctionFsTransport"]:
    """Write the descriptors; python-functionfs is loaded here and nowhere earlier."""
    try:
        from appliance.transports.functionfs import FunctionFsTransport  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ApplianceError(
            f"the Python package {error.name} is missing", hint="pip install mtp-appliance[usb]"
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


def _need_root() -> None:
    if os.geteuid() != 0:
        raise ApplianceError(
            "only root can make a USB gadget",
            hint="use sudo, or serve on a FunctionFS that root has mounted",
            status=ExitStatus.NEEDS_ROOT,
        )


def _need_gadgets() -> None:
    """See to it that configfs is mounted and knows gadgets; else `Gadget.make` says what lacks."""
    if mounted_type(_ROOT / CONFIGFS) is None and (_ROOT / CONFIGFS).is_dir():
        mount("none", _ROOT / CONFIGFS, "configfs")
    if not (_ROOT / GADGETS).is_dir():
        import subprocess  # noqa: PLC0415 - hardly ever needed, and not small

        log.info("MODPROBE libcomposite")
        try:
            subprocess.run(["modprobe", "libcomposite"], check=False)
        except FileNotFoundError:
            log.warning("there is no modprobe")
