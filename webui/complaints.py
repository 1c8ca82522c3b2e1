# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of the settings complain of, in the language of the page.

The checks speak English; a complaint that is not in this table is shown as it is.
"""

import re

from appliance.errors import ApplianceError
from webui.languages import gettext, lazy_gettext

_KNOWN = (
    (
        r"is not between (?P<least>-?\d+) and (?P<most>\d+)",
        lazy_gettext("This has to be between %(least)s and %(most)s."),
    ),
    (r"is no whole number", lazy_gettext("This has to be a whole number.")),
    (r"is no list of whole numbers", lazy_gettext("These have to be whole numbers, with commas.")),
    (r"is none of (?P<choices>[^(]+)", lazy_gettext("This has to be one of %(choices)s.")),
    (r"is no name of 1 to 254 characters", lazy_gettext("This is no name, or too long for one.")),
    (
        r"is no name of letters a-z, digits and hyphens",
        lazy_gettext("This has to be of the letters a-z, digits and hyphens."),
    ),
    (
        r"is no ADDRESS\[:PORT\]",
        lazy_gettext("Each has to be an address, or an address and a port, as 0.0.0.0:15740."),
    ),
    (
        r"is no ADDRESS/LENGTH|is the address of the network|is not of a private network",
        lazy_gettext("This has to be an address of a private network, such as 10.55.0.1/29."),
    ),
    (
        r"holds a number that is not between 0 and (?P<most>\d+)",
        lazy_gettext("Each has to be between 0 and %(most)s."),
    ),
    (
        r"is longer than (?P<most>\d+) bytes",
        lazy_gettext("This is too long: it may have %(most)s bytes."),
    ),
    (r"is not 8 to 63 characters", lazy_gettext("This has to be 8 to 63 plain characters.")),
    (r"is not the two capital letters", lazy_gettext("This has to be two capital letters, as DE.")),
    (r"is no TCP port", lazy_gettext("A port is 65535 at most.")),
    (
        r"is no place such as|the path of a socket",
        lazy_gettext("Each has to be a place as unix:/run/mtp.sock or tcp:127.0.0.1:4000."),
    ),
    (r"is no text|no printable character", lazy_gettext("There is a character that cannot be.")),
    (r"is no true or false", lazy_gettext("This has to be yes or no.")),
    (r"holds a number twice|is the pin of an LED too", lazy_gettext("A number is there twice.")),
)


#: What services refuse to do, where their hints are for who has a terminal there.
_NAMES = (
    (
        r"cannot be a storage's name$",
        lazy_gettext("A name has 1 to 100 characters, and no / among them."),
    ),
    (
        r"^two storages are named (?P<name>.+)$",
        lazy_gettext("Another storage has this name: %(name)s"),
    ),
)
_REFUSALS = (
    *_NAMES,
    (r"^/.* is given twice$", lazy_gettext("This folder is served already.")),
    (r"^/.* does not exist$", lazy_gettext("There is no such folder on the appliance.")),
    (r"^/.* is not a folder$", lazy_gettext("This is no folder.")),
    (r"^/.* cannot be read: ", lazy_gettext("The service may not look into this folder.")),
    (r"is no folder's whole path$", lazy_gettext("This is no whole path, which begins with /.")),
    (r"^there is no storage ", lazy_gettext("This folder is not served any more.")),
    (r" is not in the trash$", lazy_gettext("It is not in the trash any more.")),
)


def is_of_name(error: ApplianceError) -> bool:
    """Whether it is the name of a storage that was refused."""
    return any(re.search(pattern, error.message) for pattern, _ in _NAMES)


def refusal(error: ApplianceError) -> str:
    """Say what a service refuses, for who has this page alone; "" where only it has the words."""
    for pattern, words in _REFUSALS:
        found = re.search(pattern, error.message, re.DOTALL)
        if found:
            return str(words) % found.groupdict()
    return ""


def translate(complaint: str) -> str:
    """Say a complaint for a person; "" for none."""
    if not complaint:
        return ""
    for pattern, words in _KNOWN:
        found = re.search(pattern, complaint)
        if found:
            return str(words) % found.groupdict()
    return gettext("This cannot be: %(complaint)s", complaint=complaint)
