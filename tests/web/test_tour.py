# SPDX-License-Identifier: GPL-3.0-or-later
"""Every page in a real browser: by day and night, on phone and desktop, with and without scripts.

axe has nothing against any of them, and a picture of each is kept in build/screenshots.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.web.browser import (
    DESKTOP,
    PHONE,
    Site,
    complaints,
    log_in,
    opened,
    shoot,
    site,
)

PAGES = {
    "home": "/",
    "settings": "/settings",
    "storage": "/storage",
    "browse": "/storage/browse?storage={share}",
    "trash": "/storage/trash",
    "remove": "/storage/remove?storage={share}",
    "maintenance": "/maintenance",
    "logs": "/maintenance/logs",
    "doctor": "/maintenance/doctor",
    "update": "/maintenance/update",
    "bundle": "/maintenance/update/review?path=/srv/share/new.mtp-update",
    "reset": "/maintenance/factory-reset",
    "restart": "/maintenance/restart",
    "password": "/password",
    "help": "/help",
    "missing": "/none",
}
WINDOWS: dict[str, dict[str, Any]] = {
    "phone-light": {"viewport": PHONE, "color_scheme": "light"},
    "phone-dark": {"viewport": PHONE, "color_scheme": "dark"},
    "desktop-light": {"viewport": DESKTOP, "color_scheme": "light"},
    "desktop-dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "phone-plain": {"viewport": PHONE, "java_script_enabled": False},
    "desktop-german": {"viewport": DESKTOP, "locale": "de-DE"},
    "phone-german": {"viewport": PHONE, "locale": "de-DE"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("tour")) as found:
        yield found


@pytest.mark.parametrize("window", WINDOWS)
def test_every_page_is_for_everybody(browser: Browser, place: Site, window: str) -> None:
    with opened(browser, place.url, **WINDOWS[window]) as page:
        page.goto("/login")
        assert complaints(page) == []
        shoot(page, f"login-{window}")
        log_in(page)
        for name, path in PAGES.items():
            page.goto(path.format(share=place.share))
            assert complaints(page) == [], name
            assert overflow(page) <= 0, f"{name} is wider than the window"
            shoot(page, f"{name}-{window}")


def overflow(page: Any) -> int:
    """How many pixels have to be scrolled sideways."""
    found: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return found
