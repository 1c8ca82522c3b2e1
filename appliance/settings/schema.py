# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings: one declaration, from which the file, the command line and the help come.

A setting is a field of `Settings` with what a person has to know of it. Its key in the file is the
field's name, `trash_days` being `days` in the table `trash`.
"""

from collections.abc import Iterator
from typing import Any

from appliance.settings.checks import (
    Between,
    addresses,
    country,
    file_name,
    guest_places,
    hash_or_nothing,
    host_name,
    interface_address,
    name_or_nothing,
    passphrase,
    pins,
    wifi_network,
)
from appliance.settings.declaration import SETTING, Effect, Setting, declare
from appliance.settings.storage_setting import StorageSetting, declared_of_storages
from appliance.values import Field, dataclass, fields

TABLES = ("trash", "usb", "network", "leds", "button", "web", "wifi")

#: What a declaration is made of comes with it.
__all__ = [
    "TABLES",
    "Effect",
    "Setting",
    "Settings",
    "StorageSetting",
    "declared",
    "declared_of_storages",
]


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; the defaults are what serves where there is no file."""

    name: str = declare(
        "",
        Setting(
            "Device name",
            "What the device is called until a PC gives it another name; empty for the model's.",
            Effect.RELOAD,
            check=name_or_nothing,
        ),
    )
    listen: tuple[str, ...] = declare(
        (),
        Setting(
            "PTP/IP addresses",
            "Where to serve over the network, each ADDRESS or ADDRESS:PORT. There is no password.",
            Effect.RESTART,
            check=addresses,
        ),
    )
    usbredir: tuple[str, ...] = declare(
        (),
        Setting(
            "Virtual machines",
            "Where QEMU's usb-redir finds the device: unix:PATH or tcp:HOST:PORT. No password.",
            Effect.RESTART,
            check=guest_places,
        ),
    )
    allow_format: bool = declare(
        False,
        Setting(
            "Allow formatting", "Whether a PC may delete all of a storage at once.", Effect.RELOAD
        ),
    )
    set_clock: bool = declare(
        True,
        Setting(
            "Let a PC set the clock",
            "Only where the appliance has no clock that runs without power, and no time server.",
            Effect.RESTART,
        ),
    )
    trash_keep: bool = declare(
        True,
        Setting(
            "Keep what is deleted",
            "Whether what a PC deletes or replaces can be put back for a while.",
            Effect.RELOAD,
        ),
    )
    trash_days: int = declare(
        30,
        Setting(
            "How long", "After that it is gone.", Effect.RELOAD, "days", check=Between(1, 3650)
        ),
    )
    trash_share: int = declare(
        10,
        Setting(
            "How much of a storage it may take",
            "The oldest goes first; all of it goes when the space is needed. A file or folder that "
            "is larger than this by itself is not kept: it is gone for good at once.",
            Effect.RELOAD,
            "%",
            check=Between(1, 90),
        ),
    )
    write_safety: str = declare(
        "safe",
        Setting(
            "When a file counts as written",
            "safe: when it is on the card. fast: at once, and on the card within a second; until "
            "then the light and the status say not to unplug.",
            Effect.RELOAD,
            choices=("safe", "fast"),
        ),
    )
    log_level: str = declare(
        "normal",
        Setting(
            "How much is logged",
            "verbose: names of files too.",
            Effect.RELOAD,
            choices=("quiet", "normal", "verbose"),
        ),
    )
    usb_vendor_id: int = declare(
        0x1D6B,
        Setting(
            "USB vendor id",
            "A product that is sold needs one of its own (usb.org).",
            Effect.REPLUG,
            check=Between(1, 0xFFFF),
            in_hex=True,
        ),
    )
    usb_product_id: int = declare(
        0x0104,
        Setting(
            "USB product id",
            "Goes with the vendor id.",
            Effect.REPLUG,
            check=Between(0, 0xFFFF),
            in_hex=True,
        ),
    )
    usb_controller: str = declare(
        "",
        Setting(
            "USB device controller",
            "Its name in /sys/class/udc, where there are several; empty for the first.",
            Effect.REPLUG,
            check=file_name,
        ),
    )
    network_function: str = declare(
        "ncm",
        Setting(
            "USB network",
            "What the PC sees beside the files: ncm for any PC of today, ecm for older ones, "
            "rndis for Windows older than 10 20H2, or none.",
            Effect.REPLUG,
            choices=("ncm", "ecm", "rndis", "none"),
        ),
    )
    network_address: str = declare(
        "",
        Setting(
            "Address on the USB network",
            "Such as 10.55.0.1/29; empty for one made from the board's serial number.",
            Effect.REPLUG,
            check=interface_address,
        ),
    )
    network_host_name: str = declare(
        "mtp-appliance",
        Setting(
            "Host name",
            "The settings page is at http://NAME.local on the PC.",
            Effect.RELOAD,
            check=host_name,
        ),
    )
    wifi_network: str = declare(
        "",
        Setting(
            "Wi-Fi network",
            "The name of the network to join, where the board has Wi-Fi; empty for no Wi-Fi.",
            Effect.RELOAD,
            check=wifi_network,
        ),
    )
    wifi_passphrase: str = declare(
        "",
        Setting(
            "Wi-Fi passphrase",
            "Of that network; empty for one that is open to all.",
            Effect.RELOAD,
            check=passphrase,
            secret=True,
        ),
    )
    wifi_country: str = declare(
        "",
        Setting(
            "Country of the Wi-Fi",
            "Two letters, such as DE: its law says which channels may be used. Empty for those "
            "that may be used everywhere.",
            Effect.RELOAD,
            check=country,
        ),
    )
    wifi_ptpip: bool = declare(
        False,
        Setting(
            "Serve over Wi-Fi too",
            "Over PTP/IP, to everyone in the same network: there is no password.",
            Effect.RESTART,
        ),
    )
    wifi_page: bool = declare(
        False,
        Setting(
            "Settings page over Wi-Fi too",
            "As soon as a password has been chosen for it. What it shows is not encrypted there.",
            Effect.RELOAD,
        ),
    )
    leds_pins: tuple[int, ...] = declare(
        (),
        Setting(
            "Pins of LEDs",
            "GPIO numbers; all of them show the same. None by default.",
            Effect.RELOAD,
            check=pins,
        ),
    )
    leds_active_low: bool = declare(
        False,
        Setting("LEDs light up at 0 V", "Where they hang on the supply.", Effect.RELOAD),
    )
    leds_pwm: bool = declare(
        True,
        Setting("Dim the LEDs", "Soft light by PWM; off for plain on and off.", Effect.RELOAD),
    )
    leds_brightness: int = declare(
        100,
        Setting("Brightness", "Of LEDs that can be dimmed.", Effect.RELOAD, "%", Between(1, 100)),
    )
    leds_board: bool = declare(
        True,
        Setting("Use the board's own LED", "The one marked ACT shows the same.", Effect.RELOAD),
    )
    button_pin: int = declare(
        -1,
        Setting(
            "Pin of a button",
            "GPIO number of a button to ground; -1 for none. Pressed shortly it ejects or "
            "reconnects, held for 7 seconds it resets the settings, never the files.",
            Effect.RELOAD,
            check=Between(-1, 27),
        ),
    )
    web_password: str = declare(
        "",
        Setting(
            "Password of the settings page",
            "Kept as a hash; empty until one has been chosen on the page.",
            Effect.RELOAD,
            check=hash_or_nothing,
            secret=True,
            page_reads=True,
        ),
    )
    storages: tuple[StorageSetting, ...] = ()


def declared() -> Iterator[tuple[str, Field[Any], Setting]]:
    """All settings but the storages: key in the file (`trash.days`), field, declaration."""
    for each in fields(Settings):
        if SETTING in each.metadata:
            yield _key(each.name), each, each.metadata[SETTING]


def _key(name: str) -> str:
    table, underscore, rest = name.partition("_")
    return f"{table}.{rest}" if underscore and table in TABLES else name
