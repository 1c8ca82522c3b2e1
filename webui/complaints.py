# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of the settings complain of, in the language of the page.

The checks speak English; a complaint that is not in this table is shown as it is.
"""

import re

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
    (r"holds a number twice|is the pin of an LED too", lazy_gettext("A number is there twice.")),
)


def translate(complaint: str) -> str:
    """Say a complaint for a person."""
    for pattern, words in _KNOWN:
        found = re.search(pattern, complaint)
        if found:
            return str(words) % found.groupdict()
    return gettext("This cannot be: %(complaint)s", complaint=complaint)
