# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as a person reads them, in the language of the page.

The decimal mark comes from the catalogue, for the library's own tables of all languages take more
memory than the rest of the page.
"""

import time

from flask import Flask

from webui.languages import gettext, ngettext, pgettext

_UNITS = ("B", "kB", "MB", "GB", "TB")


def install(app: Flask) -> None:
    """Give the templates these words."""
    app.jinja_env.filters.update(size=size, rate=rate, duration=duration, moment=moment)


def size(count: float) -> str:
    """Say a number of bytes to two or three digits."""
    unit = _UNITS[0]
    for unit in _UNITS:
        if count < 999.5 or unit == _UNITS[-1]:
            break
        count /= 1000
    small = unit != "B" and count < 9.95
    return f"{decimal(count) if small else f'{count:.0f}'}\N{NO-BREAK SPACE}{unit}"


def rate(count: float) -> str:
    """Say bytes a second."""
    return f"{size(count)}/s"


def decimal(number: float) -> str:
    """Say a number to one decimal."""
    return f"{number:.1f}".replace(".", pgettext("decimal mark", "."))


def duration(seconds: float) -> str:
    """Say a time in the unit that matters."""
    whole = max(0, round(seconds))
    if whole < 60:
        return ngettext("%(num)d second", "%(num)d seconds", whole)
    if whole < 3600:
        return ngettext("%(num)d minute", "%(num)d minutes", whole // 60)
    if whole < 86400:
        return gettext("%(hours)d h %(minutes)d min", hours=whole // 3600, minutes=whole // 60 % 60)
    return ngettext("%(num)d day", "%(num)d days", whole // 86400)


def moment(seconds: float | None) -> str:
    """Say a point in time, as the appliance's clock has it; nothing where it is not known."""
    if seconds is None:
        return ""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return ""  # a damaged file system, or a joke: no calendar goes so far
