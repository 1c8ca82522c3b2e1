# SPDX-License-Identifier: GPL-3.0-or-later
"""The USB gadget as a whole: made with its FunctionFS, removed, and what there is to say of it.

`root` is a prefix, for tests: below it files are made as always, and nothing is mounted or loaded.
"""

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ENODEV
from pathlib import Path

from appliance.errors import ApplianceError, ExitStatus
from appliance.gadget import udc
from appliance.gadget.configfs import CONFIGFS, GADGETS, Gadget
from appliance.gadget.identity import network_addresses
from appliance.gadget.mounts import mount, mounted_type, unmount
from appliance.gadget.plan import FUNCTION_SOURCE, GadgetSettings, Network, Step, plan
from appliance.mtp.device_ports import DeviceIdentity
from appliance.places import FUNCTIONFS
from appliance.settings.schema import Settings
from appliance.values import dataclass

log = logging.getLogger(__name__)

GADGET = "mtp-appliance"
ROOT = Path("/")
#: Beside FunctionFS: the steps that the gadget there was made by.
_RECORD = FUNCTIONFS.with_name("gadget.json")
#: Seconds that the controller of a process that just died takes to be free.
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Owner:
    """The user who serves the gadget: FunctionFS and the gadget's UDC attribute are theirs."""

    uid: int = 0
    gid: int = 0


def owner_named(name: str) -> Owner:
    """Find a user; "" is root."""
    import pwd  # noqa: PLC0415 - root's part only

    if not name:
        return Owner()
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise ApplianceError(
            f"there is no user {name}", hint="systemd-sysusers makes mtp-appliance"
        ) from None
    return Owner(found.pw_uid, found.pw_gid)


def gadget_settings(
    settings: Settings, identity: DeviceIdentity, max_speed: str = ""
) -> GadgetSettings:
    """Say what the gadget is to be."""
    network = Network(settings.network_function)
    none = network is Network.NONE
    addresses = None if none else network_addresses(identity.serial_number)
    return GadgetSettings(
        serial_number=identity.serial_number,
        manufacturer=identity.manufacturer,
        product=identity.model,
        vendor_id=settings.usb_vendor_id,
        product_id=settings.usb_product_id,
        network=network,
        host_address=addresses.host if addresses else "",
        device_address=addresses.device if addresses else "",
        max_speed=max_speed,
    )


def up(wanted: GadgetSettings, owner: Owner | None = None, root: Path = ROOT) -> bool:
    """Make the gadget and mount its FunctionFS, unless it is there; whether it was made.

    Where any of it fails, nothing of it remains.
    """
    owner = owner or Owner()
    prepare(root)
    gadget, steps = Gadget(GADGET, root), plan(wanted)
    if _is_up(gadget, steps, owner, root):
        log.info("UP      %s (is there)", GADGET)
        return False
    down(root)
    try:
        gadget.make(steps)
        _mount(owner, root)
        give_away(gadget, owner)
        _write_record(steps, owner, root)
    except BaseException:
        down(root)
        raise
    log.info("UP      %s", GADGET)
    return True


def down(root: Path = ROOT) -> bool:
    """Remove the gadget, whoever made it and however far; whether there was any."""
    gadget = Gadget(GADGET, root)
    there = gadget.path.is_dir()
    with suppress(OSError):
        os.chown(gadget.path / "UDC", 0, 0)  # its server is not to bind it again meanwhile
    udc.unbind(gadget)
    mountpoint = root / FUNCTIONFS.relative_to(ROOT)
    while root == ROOT and mounted_type(mountpoint) == "functionfs":
        unmount(mountpoint)
    (root / _RECORD.relative_to(ROOT)).unlink(missing_ok=True)
    try:
        gadget.sweep()
    except OSError as error:
        raise ApplianceError(f"{gadget.path} cannot be removed: {error.strerror}") from error
    if there:
        log.info("DOWN    %s", GADGET)
    return there


@contextmanager
def kept_up(wanted: GadgetSettings, controller: str, root: Path = ROOT) -> Iterator[Gadget]:
    """Have the gadget for as long as the block runs; one whose controller is in use stays."""
    need_free(controller, root)
    down(root)
    up(wanted, root=root)
    try:
        yield Gadget(GADGET, root)
    finally:
        down(root)


def need_free(controller: str, root: Path = ROOT) -> None:
    """Refuse a controller that is in use; one of a process that just died is free in a moment."""
    deadline = time.monotonic() + _PATIENCE
    while (owner := udc.holder(controller, root)) is not None:
        if owner != GADGET or time.monotonic() > deadline:
            raise udc.in_use(controller, owner)
        time.sleep(0.1)


def give_away(gadget: Gadget, owner: Owner) -> None:
    """Let the gadget's server bind it; configfs keeps whose an attribute is."""
    path = gadget.path / "UDC"
    if owner != Owner() and path.exists():
        log.info("CHOWN UDC to %d:%d", owner.uid, owner.gid)
        os.chown(path, owner.uid, owner.gid)


def prepare(root: Path = ROOT) -> None:
    """See to it that configfs is there and knows gadgets; else `Gadget.make` says what lacks."""
    if root != ROOT:
        return
    if os.geteuid() != 0:
        raise ApplianceError(
            "only root can make a USB gadget",
            hint="use sudo, or serve on a FunctionFS that root has mounted",
            status=ExitStatus.NEEDS_ROOT,
        )
    if mounted_type(ROOT / CONFIGFS) is None and (ROOT / CONFIGFS).is_dir():
        mount("none", ROOT / CONFIGFS, "configfs")
    if not (ROOT / GADGETS).is_dir():
        import subprocess  # noqa: PLC0415 - hardly ever needed, and not small

        log.info("MODPROBE libcomposite")
        try:
            subprocess.run(["modprobe", "libcomposite"], check=False)
        except FileNotFoundError:
            log.warning("there is no modprobe")


def _is_up(gadget: Gadget, steps: tuple[Step, ...], owner: Owner, root: Path) -> bool:
    mountpoint = root / FUNCTIONFS.relative_to(ROOT)
    mounted = root != ROOT or mounted_type(mountpoint) == "functionfs"
    try:
        record = (root / _RECORD.relative_to(ROOT)).read_text()
    except OSError:
        return False
    return gadget.path.is_dir() and mounted and record == _record(steps, owner)


def _record(steps: tuple[Step, ...], owner: Owner) -> str:
    made = {"steps": [str(step) for step in steps], "uid": owner.uid, "gid": owner.gid}
    return json.dumps(made, indent=1) + "\n"


def _write_record(steps: tuple[Step, ...], owner: Owner, root: Path) -> None:
    (root / _RECORD.relative_to(ROOT)).write_text(_record(steps, owner))


def _mount(owner: Owner, root: Path) -> None:
    path = root / FUNCTIONFS.relative_to(ROOT)
    path.mkdir(parents=True, exist_ok=True)
    if root != ROOT:
        return
    options = f"uid={owner.uid},gid={owner.gid},rmode=0500,fmode=0600"
    try:
        mount(FUNCTION_SOURCE, path, "functionfs", options)
    except OSError as error:
        if error.errno != ENODEV:
            raise ApplianceError(f"{path}: {error.strerror}") from error
        raise ApplianceError(
            "the kernel has no FunctionFS",
            hint="modprobe usb_f_fs; it is CONFIG_USB_CONFIGFS_F_FS",
            status=ExitStatus.NO_HARDWARE,
        ) from error
