# SPDX-License-Identifier: GPL-3.0-or-later
"""The Wi-Fi's settings, put into force: which files are there, and which services run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.services.apply_wifi import apply_wifi
from appliance.services.system import System
from appliance.settings.schema import Settings

HOME = Settings(wifi_network="Home", wifi_passphrase="correct horse")
WITH_PAGE = replace(HOME, wifi_page=True, web_password="scrypt$...")
FILES = (
    "run/mtp-appliance-wifi/wpa_supplicant.conf",
    "run/systemd/network/10-mtp-appliance-wifi.network",
)
PAGE_FILES = ("run/mtp-appliance-wifi/page", "run/mtp-appliance-wifi/avahi")
RESTART = "restart mtp-appliance-wifi.service"
NETWORKD = ["systemctl is-active --quiet systemd-networkd.service", "networkctl reload"]


class Board:
    """A root file system, with a Wi-Fi card or not, and a systemd that obeys."""

    def __init__(self, root: Path, *, card: bool = True) -> None:
        self.root = root
        self.asked: list[str] = []
        if card:
            (root / "sys/class/net/wlan0").mkdir(parents=True)

    def apply(self, settings: Settings, *, starting: bool = False) -> list[str]:
        self.asked = []
        apply_wifi(settings, System(self.root, self._run), starting=starting)
        return self.asked

    def _run(self, command: Sequence[str]) -> bool:
        self.asked.append(" ".join(command).replace("systemctl --no-block ", ""))
        return True

    def has(self, files: Sequence[str]) -> list[bool]:
        return [(self.root / each).exists() for each in files]


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


@pytest.mark.parametrize("starting", [True, False])
def test_without_a_network_there_is_nothing(board: Board, starting: bool) -> None:
    settings = Settings(wifi_page=True, wifi_passphrase="correct horse", web_password="x")
    assert board.apply(settings, starting=starting) == []
    assert board.has(FILES + PAGE_FILES) == [False] * 4


def test_a_start_writes_and_leaves_the_services_to_udev(board: Board) -> None:
    assert board.apply(WITH_PAGE, starting=True) == NETWORKD
    assert board.has(FILES + PAGE_FILES) == [True] * 4
    assert (board.root / FILES[0]).stat().st_mode & 0o777 == 0o600


def test_a_network_that_is_named_is_joined_at_once(board: Board) -> None:
    assert board.apply(HOME) == [*NETWORKD, RESTART]
    assert board.apply(HOME) == []
    assert board.apply(replace(HOME, wifi_passphrase="another horse")) == [RESTART]


def test_the_radio_goes_off_with_the_network(board: Board) -> None:
    board.apply(WITH_PAGE)
    assert board.apply(Settings()) == [
        *NETWORKD,
        "stop mtp-appliance-wifi.service",
        "stop mtp-appliance-web.service",
        "stop mtp-appliance-web-wifi.socket",
        "try-restart avahi-daemon.service",
    ]
    assert board.has(FILES + PAGE_FILES) == [False] * 4


def test_the_page_comes_with_its_password(board: Board) -> None:
    board.apply(replace(WITH_PAGE, web_password=""))
    assert board.has(PAGE_FILES) == [False, False]
    assert board.apply(WITH_PAGE) == [
        "stop mtp-appliance-web.service",
        "restart mtp-appliance-web-wifi.socket",
        "try-restart avahi-daemon.service",
    ]
    assert board.has(PAGE_FILES) == [True, True]
    board.apply(replace(WITH_PAGE, web_password=""))
    assert board.has(PAGE_FILES) == [False, False]


def test_a_board_without_wifi_waits_for_no_card(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    board = Board(tmp_path, card=False)
    assert board.apply(HOME) == NETWORKD
    assert "there is no wlan0 here" in caplog.text
