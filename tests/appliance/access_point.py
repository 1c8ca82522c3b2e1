# SPDX-License-Identifier: GPL-3.0-or-later
"""An access point in a network namespace, with a DHCP server; the air is mac80211_hwsim's."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.appliance.units import run, wait_until

#: What a home has: names may hold anything.
NETWORK, PASSPHRASE = 'Küche "5"', 'correct "horse" #1'
ADDRESS = "192.168.77.1"
_CARD = "wlan1"
_HOSTAPD = f"""\
interface={_CARD}
driver=nl80211
ssid2={NETWORK.encode().hex()}
country_code=DE
hw_mode=g
channel=1
wpa=2
wpa_key_mgmt=WPA-PSK
rsn_pairwise=CCMP
wpa_passphrase={PASSPHRASE}
"""
_UDHCPD = f"""\
start 192.168.77.10
end 192.168.77.20
interface {_CARD}
option subnet 255.255.255.0
option router {ADDRESS}
lease_file {{leases}}
pidfile {{leases}}.pid
"""


class AccessPoint:
    """Two radios, of which the second is the access point's; the first, wlan0, is the board's."""

    def __init__(self, name: str = "air") -> None:
        self._name = name
        self._folder = Path(tempfile.mkdtemp(prefix="air-"))
        self._running: list[subprocess.Popen[bytes]] = []

    def make(self) -> None:
        """Switch the radios on, and the access point."""
        run("modprobe", "mac80211_hwsim", "radios=2")
        wait_until(Path(f"/sys/class/net/{_CARD}").exists, "there are two radios")
        phy = Path(f"/sys/class/net/{_CARD}/phy80211/name").read_text().strip()
        run("ip", "netns", "add", self._name)
        run("iw", "phy", phy, "set", "netns", "name", self._name)
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "address", "add", f"{ADDRESS}/24", "dev", _CARD)
        self._folder.mkdir(exist_ok=True)
        self._start("hostapd", _HOSTAPD)
        leases = self._folder / "leases"
        leases.touch()
        self._start("udhcpd", _UDHCPD.format(leases=leases), "-f")

    def _start(self, program: str, text: str, *options: str) -> None:
        path = self._folder / f"{program}.conf"
        path.write_text(text)
        with path.with_suffix(".log").open("wb") as log:
            inside = ("ip", "netns", "exec", self._name, program, *options, str(path))
            self._running.append(subprocess.Popen(inside, stdout=log, stderr=subprocess.STDOUT))

    def remove(self) -> None:
        """Switch it off, and the radios."""
        for each in self._running:
            each.terminate()
            each.wait()
        self._running.clear()
        run("ip", "netns", "delete", self._name)
        run("modprobe", "-r", "mac80211_hwsim")
        shutil.rmtree(self._folder)

    def run(self, *argv: str) -> str:
        """Run a command on the access point's side."""
        return run("ip", "netns", "exec", self._name, *argv)

    def reaches(self, address: str, port: int) -> bool:
        """Whether a port answers there."""
        program = f"import socket; socket.create_connection(({address!r}, {port}), 3)"
        argv = ["ip", "netns", "exec", self._name, "python3", "-c", program]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    def log(self) -> str:
        """Give what the access point said."""
        return "\n".join(path.read_text() for path in self._folder.glob("*.log"))


def address_of(card: str) -> str:
    """Give the IPv4 address of an interface of the device, "" for none."""
    told = json.loads(run("ip", "-j", "-4", "address", "show", "dev", card) or "[]")
    return next((str(each["local"]) for card in told for each in card.get("addr_info", [])), "")
