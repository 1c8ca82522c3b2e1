# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside the booted image, on its own Python: plugs in the virtual cable, uses the device from
the PC's side of the same kernel, and says what it saw, a line of JSON for each thing.

`python3 inside.py PHASE`, with the PC's disk at /run/pc.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

PC = Path("/run/pc")
LEDS = Path("/sys/class/leds")
SHARE = Path("/srv/share")
IN_NETWORK = ("ip", "netns", "exec", "pc")
NOTES = Path("/run/mtp-appliance-failures")
_PATIENCE = 400.0
_LEASE = """#!/bin/sh
[ "$1" != bound ] || echo "$ip $router $dns" >/run/lease
"""


def say(what: str, value: object) -> None:
    print(f"RESULT {json.dumps({what: value})}", flush=True)


def run(*argv: str, check: bool = True) -> str:
    try:
        done = subprocess.run(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired as late:
        raise RuntimeError(
            f"{' '.join(argv)}: still busy\n{(late.output or b'')[-2000:]!r}"
        ) from None
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.returncode}\n{done.stdout[-2000:]}")
    return done.stdout


def on_pc(*argv: str, check: bool = True) -> str:
    return run("chroot", str(PC), *argv, check=check)


def wait(what: str, condition: Callable[[], object], patience: float = _PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {patience:.0f} s: {what}")
        time.sleep(0.2)


def is_active(unit: str) -> bool:
    return run("systemctl", "is-active", unit, check=False).strip() == "active"


def plug_in() -> None:
    """The virtual cable, high speed; what a Pi has by its device tree."""
    for each in ("dev", "proc", "sys"):
        run("mount", "--rbind", f"/{each}", str(PC / each))
    run("modprobe", "-d", str(PC), "dummy_hcd", "is_high_speed=1", "is_super_speed=0")
    run("modprobe", "-d", str(PC), "cdc_ncm")


def on_the_bus() -> bool:
    names = (each.read_text() for each in Path("/sys/bus/usb/devices").glob("*/idProduct"))
    return "0104" in {each.strip() for each in names}


def wait_for_device() -> None:
    wait("the PC sees the device", on_the_bus)
    say("on the bus at", Path("/proc/uptime").read_text().split()[0])
    wait("the responder is ready", lambda: is_active("mtp-appliance.service"))


def mount_leds() -> Path:
    """Stand in for the ACT LED: the kernel's files, as files that keep what is written."""
    run("mount", "-t", "tmpfs", "tmpfs", str(LEDS))
    led = LEDS / "ACT"
    led.mkdir()
    for name, text in (
        ("trigger", "[none] mmc0\n"),
        ("max_brightness", "1\n"),
        ("brightness", "0\n"),
    ):
        (led / name).write_text(text)
        (led / name).chmod(0o666)
    # It may have looked for the LED already.
    run("systemctl", "restart", "--no-block", "mtp-appliance-leds.service")
    return led / "brightness"


def pattern(brightness: Path, seconds: float) -> list[tuple[bool, float]]:
    """What the LED shows in that time: whether it is lit, and for how long; what is cut off too."""
    seen: list[tuple[bool, float]] = []
    started = time.monotonic()
    while (now := time.monotonic()) < started + seconds:
        lit = brightness.read_text().strip() == "1"
        if not seen or seen[-1][0] != lit:
            seen.append((lit, now))
        time.sleep(0.01)
    ends = [*(since for _, since in seen[1:]), started + seconds]
    return [(lit, round(end - since, 2)) for (lit, since), end in zip(seen, ends, strict=True)]


def warnings() -> list[str]:
    try:
        status = json.loads(Path("/run/mtp-appliance/status.json").read_text())
    except (OSError, ValueError):
        return []
    return [each["text"] for each in status["warnings"]]


def tell_state() -> None:
    """What any start must leave."""
    wait(
        "the start is over",
        lambda: run("systemctl", "is-system-running", check=False).strip() != "starting",
    )
    listed = run("systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager")
    say("failed", [line.split()[0] for line in listed.splitlines() if line.strip()])
    mounts = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options = line.split()[:4]
        mounts[place] = [kind, options.split(",")[0]]
    say("mounts", mounts)
    say("machine-id", Path("/etc/machine-id").read_text().strip())
    say("warnings", warnings())
    say(
        "notes",
        {each.name: each.read_text() for each in Path("/run/mtp-appliance-failures").iterdir()},
    )
    modules = Path("/proc/modules").read_text().splitlines()
    say("modules", [line.split()[0] for line in modules])
    say("swap", Path("/proc/swaps").read_text().splitlines()[1:])


def tell_times() -> None:
    say("analyze", run("systemd-analyze", "time", "--no-pager", check=False))
    say("blame", run("systemd-analyze", "blame", "--no-pager", check=False).splitlines()[:25])
    properties = ("ActiveEnterTimestampMonotonic", "InactiveExitTimestampMonotonic")
    for unit in ("mtp-appliance-gadget.service", "mtp-appliance.service", "multi-user.target"):
        shown = run("systemctl", "show", "-p", ",".join(properties), unit)
        say(f"times of {unit}", dict(line.split("=") for line in shown.split()))


def detected() -> str:
    """All that the PC finds out about the device; its name is near the end."""
    return on_pc("mtp-detect", check=False)


def files() -> dict[str, str]:
    """Names and numbers of what the PC sees."""
    found: dict[str, str] = {}
    number = ""
    for line in on_pc("mtp-files").splitlines():
        if line.startswith("File ID:"):
            number = line.split(":")[1].strip()
        elif line.strip().startswith("Filename:"):
            found[line.split(":", 1)[1].strip()] = number
    return found


def send(name: str, data: bytes) -> None:
    (PC / "tmp" / name).write_bytes(data)
    on_pc("mtp-sendfile", f"/tmp/{name}", name)


def fetch(number: str) -> bytes:
    on_pc("mtp-getfile", number, "/tmp/fetched")
    return (PC / "tmp/fetched").read_bytes()


def lease() -> str:
    """Ask for an address as a PC does; the device's own."""
    drivers = Path("/sys/class/net").glob("*/device/driver")
    (card,) = [each.parts[-3] for each in drivers if each.resolve().name == "cdc_ncm"]
    run("ip", "netns", "add", "pc")
    run("ip", "link", "set", card, "netns", "pc")
    run("ip", "-n", "pc", "link", "set", card, "up")
    script = Path("/run/lease.sh")
    script.write_text(_LEASE)
    script.chmod(0o755)
    once = ("-n", "-q", "-f", "-t", "30", "-T", "2")
    run(*IN_NETWORK, "/bin/busybox", "udhcpc", "-i", card, "-s", str(script), *once)
    say("lease", Path("/run/lease").read_text())
    (shown,) = json.loads(run("ip", "-j", "-4", "address", "show", "dev", "usb0"))
    given = Path("/run/lease").read_text().split()[0]
    run("ip", "-n", "pc", "address", "add", f"{given}/29", "dev", card)
    return str(shown["addr_info"][0]["local"])


def page(address: str) -> str:
    """The settings page, as far as a PC gets without a password."""
    where = f"'http://{address}/', timeout=300"
    asked = f"import urllib.request as r; print(r.urlopen({where}).read().decode())"
    return run(*IN_NETWORK, "python3", "-c", asked, check=False)


def light(brightness: Path, seconds: float) -> list[tuple[bool, float]]:
    """What the LED shows once its program has looked around."""
    wait("the LEDs run", lambda: is_active("mtp-appliance-leds.service"))
    time.sleep(4)
    return pattern(brightness, seconds)


def told() -> dict[str, str]:
    """What is written on the boot partition for people, after another look."""
    run("systemctl", "start", "mtp-appliance-card-log.service")
    names = {each.name: each for each in Path("/boot/firmware").glob("mtp-appliance-*.txt")}
    return {name: path.read_text() for name, path in names.items()}


def first() -> None:
    """A card's first start: used at once, grown, a setting changed."""
    brightness = mount_leds()
    plug_in()
    wait_for_device()
    say("detected", detected())
    old = os.urandom(300_000)
    send("old.bin", old)
    say("sent", sha256(old).hexdigest())
    seen = files()
    say("files", sorted(seen))
    say("fetched", sha256(fetch(seen["old.bin"])).hexdigest())
    say("light", light(brightness, 5))
    address = lease()
    say("address", address)
    say("page", page(address))
    wait("the share has grown", lambda: Path("/var/lib/mtp-appliance-card/grown").exists())
    info = os.statvfs(SHARE)
    say("share", info.f_blocks * info.f_frsize)
    say("set", run("mtp-appliance", "settings", "set", "name", "Kept over a start", check=False))
    wait("it is in force", lambda: "Kept over a start" in detected())
    tell_state()
    tell_times()


def second() -> None:
    """Started again: what was set is kept. The power goes while a file comes."""
    plug_in()
    wait_for_device()
    say("detected", detected())
    tell_state()
    tell_times()
    piece = os.urandom(1 << 20)
    with (PC / "tmp/big.bin").open("wb") as file:
        for _ in range(64):
            file.write(piece)
    argv = ("chroot", str(PC), "mtp-sendfile", "/tmp/big.bin", "big.bin")
    subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait("the file comes", lambda: _coming() > 8 << 20)
    say("cut", _coming())
    time.sleep(600)


def _coming() -> int:
    place = SHARE / ".mtp-appliance"
    sizes = [0]
    for folder, _, names in os.walk(place):
        for name in names:
            try:
                sizes.append((Path(folder) / name).stat().st_size)
            except OSError:
                continue
    return max(sizes)


def third() -> None:
    """After the power cut: as clean as ever; then the share runs full, and the settings break."""
    brightness = mount_leds()
    plug_in()
    wait_for_device()
    seen = files()
    say("files", sorted(seen))
    say("fetched", sha256(fetch(seen["old.bin"])).hexdigest())
    say("remains", _coming())
    tell_state()
    address = lease()
    fill(brightness, address, seen["old.bin"])
    break_settings(brightness, address)


def fill(brightness: Path, address: str, number: str) -> None:
    """Let the share run full: said, and files can still be fetched and none sent."""
    space = os.statvfs(SHARE)
    filling = SHARE / "fill.bin"
    with filling.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize - (4 << 20))
    wait("it is said that the share is full", lambda: any("is full" in each for each in warnings()))
    say("full warnings", warnings())
    say("full page", page(address))
    say("full light", light(brightness, 8))
    say("full told", told())
    say("boot", run("findmnt", "-no", "OPTIONS", "/boot/firmware"))
    (PC / "tmp/more.bin").write_bytes(bytes(5 << 20))
    say("refused", on_pc("mtp-sendfile", "/tmp/more.bin", "more.bin", check=False)[-2000:])
    say("full fetched", sha256(fetch(number)).hexdigest())
    say("full files", sorted(files()))
    filling.unlink()
    wait("there is room again", lambda: not any("is full" in each for each in warnings()))


def break_settings(brightness: Path, address: str) -> None:
    """Break the settings file: said, and what was in force stays so."""
    settings = Path("/etc/mtp-appliance/settings.toml")
    settings.write_text('name = "unfinished\n')
    wait("it is said", lambda: any("settings have errors" in each for each in warnings()))
    say("broken warnings", warnings())
    say("broken page", page(address))
    say("broken light", light(brightness, 8))
    say("broken told", told())
    say("broken detected", detected())
    say("broken files", sorted(files()))


def wrong() -> None:
    """A card with things wrong with it: what can work works, what is wrong is said."""
    brightness = mount_leds()
    plug_in()
    wait_for_device()
    say("detected", detected())
    tell_state()
    say("page", page(lease()))
    say("light", light(brightness, 8))
    say("told", told())


#: What each phase does, and how it ends; the second has its power cut.
PHASES: dict[str, tuple[Callable[[], None], str]] = {
    "first": (first, "reboot"),
    "second": (second, "poweroff"),
    "third": (third, "poweroff"),
    "wrong": (wrong, "poweroff"),
}

if __name__ == "__main__":
    phase, end = PHASES[sys.argv[1]]
    try:
        phase()
        say("done", True)
        # After the last word, for the console goes with the end.
        run("systemctl", "--no-block", end)
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        say("error", f"{type(error).__name__}: {error}")
        print(run("journalctl", "-b", "--no-pager", "-n", "150", check=False), flush=True)
        run("systemctl", "poweroff", "--force", check=False)
