# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page has to be told of the machine it runs on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: In a request's environment: whether it came over the Wi-Fi, where others are too.
OVER_WIFI = "mtp_appliance.over_wifi"


@dataclass(frozen=True, slots=True)
class Config:
    """Where things lie; `helper` is None where nothing of ours runs as root.

    `state` is a directory of the page's own, open to nobody else. `hosts` are the names and
    addresses that are this machine's, without a port; names count with `.local` behind them too.
    `failures` is where units that failed leave a line each, None where none of them are ours.
    `announced` asks for the name that the network knows the machine by, "" for none.
    """

    settings: Path
    status: Path
    control: Path
    helper: Path | None
    state: Path
    hosts: tuple[str, ...]
    failures: Path | None = None
    announced: Callable[[], str] = str
    title: str = "MTP Appliance"
