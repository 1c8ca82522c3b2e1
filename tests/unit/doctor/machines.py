# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that a test makes up: a tree below a root, and programs that say what it wants."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from appliance.doctor.machine import Machine
from appliance.settings.schema import Settings, StorageSetting

RELEASE = "6.12.1"
UDC = "20980000.usb"
SERIAL = "10000000abcd1234"
SHARE = StorageSetting(Path("/srv/share"), "Files")


class MadeUp:
    """The tree of a Raspberry Pi on which all is well."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.answers: dict[str, str | None] = {}
        self.write("proc/sys/kernel/osrelease", RELEASE)
        self.write("proc/sys/kernel/hostname", "mtp-appliance")
        self.write("proc/sys/fs/inotify/max_user_watches", "65536")
        self.write("sys/firmware/devicetree/base/serial-number", SERIAL + "\0")
        self.write("proc/device-tree/model", "Raspberry Pi Zero 2 W Rev 1.0\0")
        self.write(f"lib/modules/{RELEASE}/modules.dep", self.modules("usb_f_fs", "usb_f_ncm"))
        self.write(f"lib/modules/{RELEASE}/modules.builtin", self.modules("libcomposite"))
        gadget = "sys/kernel/config/usb_gadget/mtp-appliance"
        self.write(f"{gadget}/UDC", UDC)
        self.write(f"{gadget}/strings/0x409/serialnumber", SERIAL)
        self.write(f"{gadget}/functions/ncm.usb0/host_addr", "02:11:22:33:44:55")
        for function in ("ffs.mtp", "ncm.usb0"):
            (root / gadget / "configs/c.1" / function).mkdir(parents=True)
        device = f"sys/devices/platform/soc/{UDC}/udc/{UDC}"
        self.write(f"{device}/state", "configured")
        self.write(f"{device}/current_speed", "high-speed")
        self.write(f"{device}/function", "")
        (root / "sys/class/udc").mkdir(parents=True)
        (root / "sys/class/udc" / UDC).symlink_to(root / device)
        self.mounts = [
            "22 1 179:2 / / ro,relatime shared:1 - ext4 /dev/mmcblk0p2 ro",
            "23 22 179:3 / /srv rw,relatime shared:2 - ext4 /dev/mmcblk0p3 rw",
            "24 22 0:30 / /run/mtp-appliance-gadget/functionfs rw - functionfs mtp rw",
        ]
        (root / "run/mtp-appliance-gadget").mkdir(parents=True)
        (root / "run/systemd/system").mkdir(parents=True)
        (root / "srv/share").mkdir(parents=True)
        self.settings = Settings(storages=(SHARE,))
        self.answers["systemctl show"] = "LoadState=loaded\nActiveState=active\nNRestarts=0\n"
        self.answers["systemctl is-active"] = "active\n"
        self.answers["dmesg"] = "usb 1-1: new high-speed USB device\n"
        self.answers["journalctl"] = f"Serving. Serial {SERIAL.upper()}.\n"

    @staticmethod
    def modules(*names: str) -> str:
        return "".join(f"kernel/drivers/usb/gadget/{name}.ko.xz:\n" for name in names).replace(
            ".ko.xz", ".ko"
        )

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(self, command: Sequence[str]) -> str | None:
        words = " ".join(command)
        for key, answer in self.answers.items():
            if words.startswith(key):
                return answer
        return None

    def machine(self, **changes: object) -> Machine:
        self.write("proc/self/mountinfo", "\n".join(self.mounts) + "\n")
        if "ip" not in self.answers:
            from appliance.services.gadget_status import network_status  # noqa: PLC0415

            seen = network_status(self.settings, self.root)
            self.answers["ip"] = f"inet {seen.device_address}" if seen else ""
        made = Machine(self.root, self.settings, run=self.run)
        return replace(made, **changes)  # type: ignore[arg-type]
