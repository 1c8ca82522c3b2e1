# SPDX-License-Identifier: GPL-3.0-or-later
"""A real browser at real pages over a real responder; only root's helper says what a test wants."""

import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from appliance.services.control_socket import ControlServer
from appliance.services.page_server import PageServer
from appliance.transports.ptpip_listen import Address
from tests.unit.services.test_webd import turning
from tests.unit.test_cli import address, serving
from tests.web.appliance import HOST, PASSWORD, FakeAppliance
from webui import create_app
from webui.config import Config
from webui.limits import body_limit

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
#: Milliseconds after which a test fails instead of waiting on.
PATIENCE = 30_000.0
PHONE, DESKTOP = {"width": 375, "height": 812}, {"width": 1280, "height": 900}
_without_scripts: WeakSet[Page] = WeakSet()
_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    # A name: for an address of this machine browsers take a connection to be a safe one.
    f"--host-resolver-rules=MAP {HOST} 127.0.0.1",
)


@dataclass(frozen=True, slots=True)
class Site:
    """One appliance with its pages: where they are, and what is behind them."""

    url: str
    share: Path
    settings: Path
    mtp: Address
    helper: FakeAppliance


@contextmanager
def site(root: Path, *, claimed: bool = True) -> Iterator[Site]:
    """Serve a folder and the pages about it."""
    share, state = root / "share", root / "state"
    fill(share)
    settings = root / "settings.toml"
    settings.write_text(f'version = 1\n\n[[storages]]\npath = "{share}"\nname = "Files"\n')
    fake = FakeAppliance(root)
    if claimed:
        fake.claim()
    with (
        serving("--settings", settings, "--state-dir", state) as (_, said),
        ControlServer(root / "helper.sock", fake.verbs),
    ):
        config = Config(
            settings=settings,
            status=state / "status.json",
            control=state / "control.sock",
            helper=root / "helper.sock",
            state=root / "web",
            hosts=("127.0.0.1",),
        )
        with _http(config) as url:
            yield Site(url, share, settings, address(said), fake)


def fill(share: Path) -> None:
    (share / "Music" / "Album").mkdir(parents=True)
    (share / "Music" / "Album" / "01 First.flac").write_bytes(bytes(3_000_000))
    (share / "Notes.txt").write_text("notes")
    (share / "<b>bold & brave.txt").write_text("hostile")
    (share / "Große Übersicht - 日本語.pdf").write_bytes(bytes(120_000))


@contextmanager
def _http(config: Config) -> Iterator[str]:
    application = create_app(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = PageServer(application, [listener], limit=partial(body_limit, application))
        with turning(server):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """Open a window; nothing may be loaded from elsewhere, and no script may fail in it."""
    options = {"viewport": DESKTOP, "locale": "en-GB"} | options
    context: BrowserContext = browser.new_context(base_url=url, **options)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    if not options.get("java_script_enabled", True):
        _without_scripts.add(page)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda line: said.append(line.text))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    context.close()
    assert wrong == []
    assert [each for each in said if "Content Security Policy" in each] == []
    assert [each for each in asked if not each.startswith((url, "blob:"))] == []


def log_in(page: Page, password: str = PASSWORD) -> None:
    page.goto("/login")
    page.fill("#password", password)
    page.click("main button.primary")
    page.wait_for_url("**/")


def shoot(page: Page, name: str) -> None:
    """Keep a picture of the whole page."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def _axe() -> str:
    spec = find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        pytest.fail("axe is not installed: pip install axe-playwright-python, or make test")
    return (Path(spec.origin).parent / "axe.min.js").read_text()


def complaints(page: Page) -> Sequence[str]:
    """What axe has against a page: the rule, and where. It is a script: nothing without them."""
    if page in _without_scripts:
        return []
    page.evaluate(_axe())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
