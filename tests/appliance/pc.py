# SPDX-License-Identifier: GPL-3.0-or-later
"""The PC's network: a namespace with a way to the internet of its own, before the cable comes."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.appliance.units import run, wait_until

_DRIVERS = {"cdc_ncm", "cdc_ether", "rndis_host"}
_UPLINK = (
    "link add up0 type dummy",
    "link set lo up",
    "link set up0 up",
    "address add 192.0.2.2/24 dev up0",
    "route add default via 192.0.2.1",
)
_LEASE = Path(__file__).with_name("lease.sh")
_RESOLVER = "nameserver 192.0.2.53\n"


class Pc:
    """A namespace named `name`; the cable's interface is there after `plug_in`."""

    def __init__(self, name: str = "pc") -> None:
        self._name = name
        self._resolver = Path("/etc/netns") / name / "resolv.conf"
        self.interface = ""

    def make(self) -> None:
        """Make it, with a default route and a resolver that the cable must not take away."""
        run("ip", "netns", "add", self._name)
        self._resolver.parent.mkdir(parents=True, exist_ok=True)
        self._resolver.write_text(_RESOLVER)
        for words in _UPLINK:
            run("ip", "-n", self._name, *words.split())

    def remove(self) -> None:
        """Remove it; the cable's interface goes back."""
        run("ip", "netns", "delete", self._name)
        shutil.rmtree(self._resolver.parent)

    def inside(self, *argv: str) -> list[str]:
        """Give the command that runs another one there."""
        return ["ip", "netns", "exec", self._name, *argv]

    def run(self, *argv: str) -> str:
        """Run a command there."""
        return run(*self.inside(*argv))

    def reaches(self, address: str) -> bool:
        """Whether an address answers from there."""
        argv = self.inside("ping", "-c", "1", "-W", "2", address)
        done = subprocess.run(argv, capture_output=True, check=False)
        return done.returncode == 0

    def plug_in(self) -> str:
        """Take the cable's interface and ask for an address as PCs do; the address."""
        wait_until(self._take, "the PC sees a network card at the cable")
        self.run("ip", "link", "set", self.interface, "up")
        once = ("-n", "-q", "-f", "-t", "30", "-T", "1")
        try:
            self.run("udhcpc", "-i", self.interface, "-s", str(_LEASE), *once)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{_network()}") from None
        return self.address()

    def _take(self) -> bool:
        """Take the interface out of the device's namespace, where the one kernel has put it."""
        for each in Path("/sys/class/net").iterdir():
            if (each / "device/driver").resolve().name in _DRIVERS:
                run("ip", "link", "set", each.name, "netns", self._name)
                self.interface = each.name
        return bool(self.interface) and self._has(self.interface)

    def _has(self, interface: str) -> bool:
        return interface in [each["ifname"] for each in self._ask("link")]

    def address(self) -> str:
        """Give the IPv4 address at the cable."""
        (card,) = self._ask("-4", "address", "show", "dev", self.interface)
        (address,) = card["addr_info"]
        return str(address["local"])

    def default_routes(self) -> list[tuple[str, str]]:
        """Give the default routes: gateway, interface."""
        routes = self._ask("route", "show", "default")
        return [(each["gateway"], each["dev"]) for each in routes]

    def keeps_its_internet(self) -> bool:
        """Whether default route and resolver are as they were before the cable came."""
        same_resolver = self._resolver.read_text() == _RESOLVER
        return same_resolver and self.default_routes() == [("192.0.2.1", "up0")]

    def _ask(self, *words: str) -> list[Any]:
        text = run("ip", "-n", self._name, "-j", *words)
        return [each for each in json.loads(text or "[]") if each]


def _network() -> str:
    """Give what the device's end of the cable looks like, and what networkd has said of it."""
    words = ("networkctl", "--no-pager", "status", "--lines=40", "usb0")
    return run("sh", "-c", f"{' '.join(words)} 2>&1; ip -s link; ip address")
