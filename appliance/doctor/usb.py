# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the way to the PC: kernel, controller, gadget, cable, network."""

from collections.abc import Iterator

from appliance import places
from appliance.doctor.findings import Finding, good, note, problem, unknown, warning
from appliance.doctor.machine import Machine
from appliance.gadget.configfs import CONFIGFS, GADGETS
from appliance.network.plan import INTERFACE
from appliance.services.gadget import GADGET
from appliance.services.gadget_status import look

_CONTROLLER_ADVICE = (
    "on a Raspberry Pi the line dtoverlay=dwc2,dr_mode=peripheral belongs in config.txt; a PC's "
    "own ports cannot be a device"
)
_CABLE_ADVICE = (
    "use the port marked USB, not PWR, and a cable that is not for charging only; try another port "
    "of the PC"
)


def modules(machine: Machine) -> Iterator[Finding]:
    """See whether the kernel has what a gadget is made of."""
    network = machine.settings.network_function
    wanted = ["libcomposite", "usb_f_fs"]
    wanted += [] if network == "none" else [f"usb_f_{network}"]
    release = machine.read("proc/sys/kernel/osrelease") or ""
    builtin = machine.read(f"lib/modules/{release}/modules.builtin") or ""
    loadable = machine.read(f"lib/modules/{release}/modules.dep") or ""
    missing = []
    for name in wanted:
        file = f"/{name}.ko"
        if not (machine.exists(f"sys/module/{name}") or file in builtin or file in loadable):
            missing.append(name)
    if missing:
        advice = "use a kernel that has them; Raspberry Pi OS and Debian do"
        yield problem("kernel", f"has no module {', '.join(missing)}", advice)
    else:
        yield good("kernel", f"{release} has {', '.join(wanted)}")


def configfs(machine: Machine) -> Iterator[Finding]:
    """See whether gadgets can be made."""
    if machine.at(GADGETS).is_dir():
        yield good("configfs", "is there, and knows gadgets")
    elif machine.at(CONFIGFS).is_dir():
        yield warning("configfs", "knows no gadgets yet", "modprobe libcomposite")
    else:
        advice = "modprobe configfs; mount -t configfs none /sys/kernel/config"
        yield warning("configfs", "is not mounted", advice)


def controller(machine: Machine) -> Iterator[Finding]:
    """See whether the machine can be a USB device, and who is it."""
    seen = look(machine.settings, machine.root)
    if not seen.controller:
        named = machine.settings.usb_controller
        yield problem(
            "controller", f"there is no USB device controller {named}".rstrip(), _CONTROLLER_ADVICE
        )
        return
    if seen.holder and seen.holder != GADGET:
        text = f"{seen.controller} is in use by {seen.holder}"
        advice = f"end what serves it; rpi-usb-gadget, for one, or g_{seen.holder.lstrip('g_')}"
        yield problem("controller", text, advice)
    else:
        yield good("controller", f"{seen.controller} is there")


def gadget(machine: Machine) -> Iterator[Finding]:
    """See whether the gadget is what the settings want."""
    seen = look(machine.settings, machine.root)
    if not seen.there:
        advice = "systemctl restart mtp-appliance-gadget; or mtp-appliance serve --usb FOLDER"
        yield warning("gadget", "has not been made", advice)
        return
    wanted = machine.settings.network_function
    functions = [each.partition(".")[0] for each in seen.functions]
    expected = ["ffs"] if wanted == "none" else ["ffs", wanted]
    if sorted(functions) != sorted(expected):
        text = f"has {', '.join(functions) or 'nothing'} instead of {', '.join(expected)}"
        yield warning("gadget", text, "systemctl restart mtp-appliance-gadget")
    elif not seen.bound:
        yield warning("gadget", "is not shown to the PC", "systemctl restart mtp-appliance")
    else:
        yield good("gadget", f"is shown to the PC, with {', '.join(functions)}")


def functionfs(machine: Machine) -> Iterator[Finding]:
    """See whether the function's file system is there for the right user."""
    if not machine.at(GADGETS / GADGET).is_dir():
        return
    for _, where, kind, _ in machine.mounts():
        if kind == "functionfs":
            yield good("functionfs", f"is mounted on {where}")
            return
    advice = "systemctl restart mtp-appliance-gadget"
    yield problem("functionfs", f"is not mounted on {places.FUNCTIONFS}", advice)


def cable(machine: Machine) -> Iterator[Finding]:
    """See whether a PC is at the other end."""
    seen = look(machine.settings, machine.root)
    if not seen.controller:
        return
    state = seen.state or "unknown"
    if state == "configured":
        yield good("cable", f"a PC is connected ({seen.speed})")
    elif state == "suspended":
        yield note("cable", "the PC sleeps, or the cable was pulled", "wake it, or plug it in")
    elif state == "not attached":
        yield warning("cable", "there is no PC at it", _CABLE_ADVICE)
    else:
        text = f"a PC is there, but has not taken the device ({state})"
        yield warning("cable", text, _CABLE_ADVICE)


def network(machine: Machine) -> Iterator[Finding]:
    """See whether the network on the cable has its address."""
    seen = look(machine.settings, machine.root).network
    if seen is None:
        yield note("network", "there is to be none beside the files (network.function)")
        return
    told = machine.run(["ip", "-o", "-4", "address", "show", "dev", INTERFACE])
    if told is None:
        yield unknown("network", "cannot be seen", "install iproute2")
    elif seen.device_address in told:
        yield good("network", f"{INTERFACE} is {seen.device_address}; {' or '.join(seen.urls)}")
    elif not machine.exists(f"sys/class/net/{INTERFACE}"):
        yield warning("network", f"there is no {INTERFACE}", "see what gadget and cable say above")
    else:
        advice = "systemctl restart systemd-networkd"
        yield warning("network", f"{INTERFACE} has not {seen.device_address}", advice)


def name(machine: Machine) -> Iterator[Finding]:
    """See whether the PC can find the appliance by its name."""
    wanted = machine.settings.network_host_name
    actual = machine.read("proc/sys/kernel/hostname") or ""
    if machine.settings.network_function == "none" or not machine.exists(places.FUNCTIONFS.parent):
        return
    if actual != wanted:
        yield warning("name", f"is {actual}, not {wanted}", "systemctl start mtp-appliance-apply")
    elif (machine.run(["systemctl", "is-active", "avahi-daemon"]) or "").strip() != "active":
        advice = "apt install avahi-daemon; the address by number works without"
        yield warning("name", f"{wanted}.local is not announced", advice)
    else:
        yield good("name", f"{wanted}.local")
