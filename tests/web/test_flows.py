# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person does on the pages, in a real browser, and what a real MTP client sees of it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from appliance.errors import ApplianceError
from tests.fakes.ptpip_client import PtpIpClient
from tests.unit.mtp.test_monitor import object_info
from tests.web.appliance import HOST, PASSWORD
from tests.web.browser import (
    DESKTOP,
    PATIENCE,
    PHONE,
    Site,
    complaints,
    log_in,
    opened,
    shoot,
    site,
)

OPEN_SESSION, GET_STORAGE_IDS = 0x1002, 0x1004
SEND_OBJECT_INFO, SEND_OBJECT = 0x100C, 0x100D
OK, STORE_READ_ONLY = 0x2001, 0x200E
STORAGE = 0x10001
PIECE = bytes(1 << 18)
ROUNDS = 64


@pytest.fixture(
    params=[
        {"viewport": PHONE, "color_scheme": "dark"},
        {"viewport": DESKTOP, "java_script_enabled": False},
    ],
    ids=["phone", "without-scripts"],
)
def window(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = request.param
    return found


def said(page: Page, text: str) -> None:
    expect(page.locator(".note.good")).to_contain_text(text)


def test_first_visit(browser: Browser, tmp_path: Path, window: dict[str, Any]) -> None:
    with site(tmp_path, claimed=False) as place, opened(browser, place.url, **window) as page:
        page.goto("/")
        expect(page.locator(".headline")).to_have_text("Waiting for a PC")
        assert page.locator("main button").count() == 0
        assert complaints(page) == []
        shoot(page, "unclaimed")
        page.click("text=Make it yours")
        assert complaints(page) == []
        shoot(page, "claim")
        page.fill("#name", "Kitchen")
        page.fill("#password", PASSWORD)
        page.fill("#again", f"{PASSWORD}!")
        page.click("text=Make it mine")
        expect(page.locator("#password-error")).to_contain_text("not the same")
        assert complaints(page) == []
        shoot(page, "claim-refused")
        page.fill("#password", PASSWORD)
        page.fill("#again", PASSWORD)
        page.click("text=Make it mine")
        said(page, "The appliance is yours now.")
        assert 'name = "Kitchen"' in place.settings.read_text()
        page.click("text=Log out")
        expect(page.locator("h1")).to_have_text("Log in")
        log_in(page)


def test_a_setting_is_changed_and_undone(
    browser: Browser, tmp_path: Path, window: dict[str, Any]
) -> None:
    with site(tmp_path) as place, opened(browser, place.url, **window) as page:
        log_in(page)
        page.click("nav >> text=Settings")
        page.fill("#trash-days", "7")
        page.uncheck("#leds-pwm")
        page.click("text=Show what changes")
        assert complaints(page) == []
        shoot(page, "review")
        rows = page.locator(".changes tbody tr")
        assert [re.sub(r"\s+", " ", row).strip() for row in rows.all_inner_texts()] != []
        expect(rows).to_have_count(2)
        expect(rows.first).to_contain_text("How long")
        assert "days = 7" not in place.settings.read_text()
        page.click("text=Change it")
        said(page, "The settings are changed.")
        assert "days = 7" in place.settings.read_text()
        assert page.input_value("#trash-days") == "7"
        page.click("text=Undo the last change")
        page.click("text=Change it")
        said(page, "as they were")
        assert page.input_value("#trash-days") == "30"


def test_what_was_typed_is_still_there_on_the_way_back(
    browser: Browser, tmp_path: Path, window: dict[str, Any]
) -> None:
    def fields() -> list[str]:
        return [page.input_value(f"#{each}") for each in ("name", "trash-days", "log-level")]

    typed = ["Kitchen", "7", "verbose"]
    with site(tmp_path) as place, opened(browser, place.url, **window) as page:
        log_in(page)
        page.goto("/settings")
        page.fill("#name", typed[0])
        page.fill("#trash-days", typed[1])
        page.select_option("#log-level", typed[2])
        page.fill("#wifi-passphrase", "hush hush")
        page.click("text=Show what changes")
        page.go_back()
        assert fields() == typed
        page.fill("#wifi-passphrase", "hush hush")
        page.click("text=Show what changes")
        shoot(page, "review-with-a-way-back")
        page.click("text=Change something else")
        assert fields() == typed
        assert complaints(page) == []
        shoot(page, "settings-kept")
        page.fill("#wifi-network", "Home ")
        page.click("text=Show what changes")
        expect(page.locator(".changes")).to_contain_text("“Home ”")
        page.click("text=Change it")
        said(page, "The settings are changed.")
        secret = place.settings.with_suffix(".secrets") / "wifi.passphrase"
        assert secret.read_text() == "hush hush\n"
        assert 'network = "Home "' in place.settings.read_text()


def test_bad_values_are_refused_on_both_sides(browser: Browser, tmp_path: Path) -> None:
    with site(tmp_path) as place, opened(browser, place.url) as page:
        log_in(page)
        page.goto("/settings")
        page.fill("#trash-days", "0")
        page.click("text=Show what changes")
        assert page.evaluate("document.querySelector('#trash-days').validity.rangeUnderflow")
        page.evaluate("document.querySelector('main form').noValidate = true")
        page.fill("#leds-pins", "17, 99")
        page.click("text=Show what changes")
        expect(page.locator("#trash-days-error")).to_contain_text("between 1 and 3650")
        expect(page.locator("#leds-pins-error")).to_contain_text("between 0 and 27")
        assert page.input_value("#leds-pins") == "17, 99"
        assert complaints(page) == []
        shoot(page, "settings-refused")


def test_a_transfer_is_watched(browser: Browser, tmp_path: Path) -> None:
    with (
        site(tmp_path) as place,
        opened(browser, place.url) as page,
        PtpIpClient(place.mtp) as pc,
    ):
        log_in(page)
        assert pc.call(OPEN_SESSION, 1).code == OK
        expect(page.locator(".headline")).to_have_text("Connected to a PC")
        size = ROUNDS * len(PIECE)
        name = "<i>holiday & more.mov"
        assert pc.call(SEND_OBJECT_INFO, STORAGE, 0, data=object_info(name, size)).code == OK
        pc.request(SEND_OBJECT, phase=2)
        pc.start_data(size)
        bar = page.locator("progress")
        seen: list[int] = []
        for number in range(ROUNDS):
            pc.data(PIECE, last=number == ROUNDS - 1)
            if number in (ROUNDS // 4, ROUNDS // 2):
                expect(bar).to_have_js_property("max", size)
                page.wait_for_function(
                    "before => document.querySelector('progress')?.value > before",
                    arg=seen[-1] if seen else 0,
                )
                seen.append(bar.evaluate("bar => bar.value"))
            if number == ROUNDS // 2:
                expect(page.locator(".safety")).to_contain_text("Do not unplug now")
                expect(page.locator(".headline")).to_have_text("Receiving from the PC")
                expect(page.locator("[data-part=transfers]")).to_contain_text(name)
                assert page.locator(".light-transferring").count() == 1
                assert complaints(page) == []
                shoot(page, "transfer")
        assert 0 < seen[0] < seen[1] < size
        assert pc.response()[0] == OK
        expect(bar).to_have_count(0)
        expect(page.locator(".safety")).to_contain_text("Safe to unplug")
        row = page.locator(".recent tbody tr").first
        expect(row).to_contain_text(name)
        expect(row).to_contain_text("whole")
        expect(page.locator("#chart-words")).to_contain_text("from the PC")
        assert complaints(page) == []
        shoot(page, "transferred")
        with opened(browser, place.url, color_scheme="dark", viewport=PHONE) as other:
            log_in(other)
            shoot(other, "transferred-phone-dark")


def test_what_is_read_only_refuses_a_client(
    browser: Browser, tmp_path: Path, window: dict[str, Any]
) -> None:
    def send(pc: PtpIpClient, name: str) -> int:
        return pc.call(SEND_OBJECT_INFO, STORAGE, 0, data=object_info(name, 4)).code

    with (
        site(tmp_path) as place,
        opened(browser, place.url, **window) as page,
        PtpIpClient(place.mtp) as pc,
    ):
        assert pc.call(OPEN_SESSION, 1).code == OK
        assert send(pc, "a.txt") == OK
        assert pc.call(SEND_OBJECT, data=b"data").code == OK
        log_in(page)
        page.click("text=Make it read-only")
        said(page, "Nothing can be changed")
        assert send(pc, "b.txt") == STORE_READ_ONLY
        assert "read_only = true" in place.settings.read_text()
        page.click("text=Allow changes")
        said(page, "Files can be changed")
        assert send(pc, "c.txt") == OK


def test_what_is_ejected_on_one_page_comes_back_on_the_other(
    browser: Browser, tmp_path: Path, window: dict[str, Any]
) -> None:
    def seen(pc: PtpIpClient) -> int:
        return int.from_bytes((pc.call(GET_STORAGE_IDS).data or b"")[:4], "little")

    with (
        site(tmp_path) as place,
        opened(browser, place.url, **window) as page,
        PtpIpClient(place.mtp) as pc,
    ):
        assert pc.call(OPEN_SESSION, 1).code == OK
        log_in(page)
        page.goto("/storage")
        page.click("[aria-label='Eject Files']")
        said(page, "It is ejected.")
        page.goto("/")
        expect(page.locator(".headline")).to_have_text("Ejected")
        assert seen(pc) == 0
        page.click("text=Show the files again")
        said(page, "The PC sees the files again.")
        assert seen(pc) == 1
        expect(page.locator(".headline")).to_have_text("Connected to a PC")
        page.click("main .actions button.primary")
        said(page, "Ejected")
        page.goto("/storage")
        assert page.locator("[aria-label='Eject Files']").count() == 0
        page.click("[aria-label='Load Files']")
        said(page, "The PC sees it again.")
        assert seen(pc) == 1


def test_a_backup_is_saved_and_taken_over(browser: Browser, tmp_path: Path) -> None:
    with site(tmp_path) as place, opened(browser, place.url) as page:
        log_in(page)
        page.goto("/maintenance")
        with page.expect_download() as coming:
            page.click("text=Save a backup")
        backup = tmp_path / "backup.toml"
        coming.value.save_as(backup)
        assert coming.value.suggested_filename.endswith(".toml")
        assert "scrypt" not in backup.read_text()
        assert "days = 30" in backup.read_text()
        page.goto("/settings")
        page.fill("#trash-days", "9")
        page.click("text=Show what changes")
        page.click("text=Change it")
        said(page, "changed")
        page.goto("/maintenance")
        page.set_input_files("#file", backup)
        page.click("text=Show what changes")
        expect(page.locator(".changes")).to_contain_text("30")
        assert complaints(page) == []
        shoot(page, "restore")
        page.click("text=Change it")
        said(page, "those of the backup")
        assert "days = 30" in place.settings.read_text()
        hashed = place.settings.with_suffix(".secrets") / "web.password"
        assert hashed.read_text().startswith("scrypt$")


def test_storages_are_looked_after(
    browser: Browser, tmp_path: Path, window: dict[str, Any]
) -> None:
    more = tmp_path / "more"
    more.mkdir()
    with site(tmp_path) as place, opened(browser, place.url, **window) as page:
        log_in(page)
        page.click("nav >> text=Storage")
        page.fill("#path", "/etc/passwd")
        page.click("text=Serve it")
        expect(page.locator("#path-error")).to_be_visible()
        assert page.input_value("#path") == "/etc/passwd"
        assert complaints(page) == []
        page.fill("#path", str(more))
        page.click("text=Serve it")
        said(page, "more is served now.")
        assert complaints(page) == []
        shoot(page, "storages")
        page.click("[aria-label='Move more up']")
        said(page, "The order is changed.")
        expect(page.locator("main h2").first).to_contain_text("more")
        page.locator("summary").first.click()
        page.locator("main form.row input[name=name]").first.fill("Box")
        page.locator("main form.row button").first.click()
        said(page, "It is called Box now.")
        page.click("[aria-label='Eject Box']")
        said(page, "It is ejected.")
        page.click("[aria-label='Load Box']")
        said(page, "The PC sees it again.")
        page.click("[aria-label='Take Box out']")
        page.click("main button.risky")
        said(page, "It is not served any more.")
        page.click("text=Look into it")
        page.click("text=Music")
        page.click("text=Album")
        expect(page.locator("table")).to_contain_text("01 First.flac")
        assert more.is_dir()


def test_a_storage_s_name_is_refused_at_its_field(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    with site(tmp_path) as place, opened(browser, place.url, locale="de-DE") as page:
        log_in(page)
        page.goto("/storage")
        assert page.get_attribute("#name", "maxlength") == "100"
        page.fill("#path", str(tmp_path / "more"))
        page.fill("#name", "Files")
        page.locator("main button.primary").last.click()
        expect(page.locator("#name-error")).to_contain_text("heißt schon ein anderer Speicher")
        assert page.get_attribute("#name", "aria-invalid") == "true"
        assert page.locator("#path-error").count() == 0
        assert complaints(page) == []
        shoot(page, "storage-name-refused")
        for path, words in (
            (str(place.share), "wird schon gezeigt"),
            (str(tmp_path / "none"), "gibt es auf dem Gerät nicht"),
            (str(place.share / "Notes.txt"), "Das ist kein Ordner."),
        ):
            page.fill("#path", path)
            page.fill("#name", "Another")
            page.locator("main button.primary").last.click()
            expect(page.locator("#path-error")).to_contain_text(words)
            assert "mkdir" not in page.inner_text("main")


def test_log_comes_by_itself(browser: Browser, tmp_path: Path) -> None:
    with site(tmp_path) as place, opened(browser, place.url) as page:
        log_in(page)
        page.goto("/maintenance/logs")
        line = {"time": 0.0, "source": "leds", "priority": 6, "text": "<b>new"}
        place.helper.answers["logs"] = {"lines": [line], "cursor": "c2"}
        expect(page.locator("#log p").last).to_contain_text("leds: <b>new")
        place.helper.answers["logs"] = {"lines": [], "cursor": "c2"}
        assert place.helper.asked("logs")[-1]["after"] in ("c1", "c2")


def test_clock_is_set_from_the_browser(browser: Browser, tmp_path: Path) -> None:
    with site(tmp_path) as place, opened(browser, place.url) as page:
        log_in(page)
        expect(page.locator("[data-now]")).to_be_hidden()
        page.clock.install(time="2031-05-01T10:00:00Z")
        page.goto("/")
        expect(page.locator("[data-now]")).to_be_visible()
        page.click("text=Set the clock")
        said(page, "The clock is set.")
        asked = place.helper.asked("clock set")[-1]["time"]
        assert 0 <= asked - 1_935_396_000 < 600


def test_an_update_is_sent_checked_and_installed(browser: Browser, tmp_path: Path) -> None:
    bundle = tmp_path / "new.mtp-update"
    bundle.write_bytes(bytes(3 << 20))
    with site(tmp_path) as place, opened(browser, place.url) as page:
        log_in(page)
        page.goto("/maintenance/update")
        page.set_input_files("#bundle", bundle)
        page.click("#upload button")
        expect(page.locator("h1")).to_have_text("Install version 0.2.0?")
        path = place.helper.asked("update check")[-1]["path"]
        assert path == str(tmp_path / "web" / "uploads" / "bundle.mtp-update")
        assert Path(path).stat().st_size == 3 << 20
        status = {"running": "0.1.0", "chosen": "0.2.0", "trial": True}
        before = place.helper.answers.get("update status", {})
        place.helper.answers["update status"] = before | STATUS | status
        page.click("main button.primary")
        expect(page.locator("h1")).to_have_text("It starts anew with the other version")
        assert complaints(page) == []
        shoot(page, "updating")
        assert not Path(path).exists()
        done = {"running": "0.2.0", "chosen": "0.2.0", "trial": False}
        place.helper.answers["update status"] = STATUS | done
        expect(page.locator("h1")).to_have_text("Update")
        expect(page.locator(".facts")).to_contain_text("0.2.0")
        shoot(page, "updated")


STATUS = {"image": "0.1.0", "installed": ["0.2.0"], "starts": 0, "last": "", "keys": []}


@contextmanager
def updating(
    browser: Browser, root: Path, size: int, **options: Any
) -> Iterator[tuple[Site, Page]]:
    """Somebody has chosen a file of this size as an update."""
    bundle = root / "new.mtp-update"
    with bundle.open("wb") as file:
        file.truncate(size)
    with site(root) as place, opened(browser, place.url, **options) as page:
        log_in(page)
        page.goto("/maintenance/update")
        page.set_input_files("#bundle", bundle)
        yield place, page


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "without-scripts"])
def test_an_update_that_is_refused_says_why(
    browser: Browser, tmp_path: Path, scripts: bool
) -> None:
    with updating(browser, tmp_path, 3 << 20, java_script_enabled=scripts) as (place, page):
        words = "it is signed with a key that is not trusted here"
        place.helper.answers["update check"] = ApplianceError(words)
        page.click("#upload button")
        expect(page.locator(".note.bad")).to_contain_text(words)
        expect(page.locator("h1")).to_have_text("Update")
        assert complaints(page) == []
        shoot(page, f"update-refused-{scripts}")
        assert list((tmp_path / "web" / "uploads").iterdir()) == []


def test_a_file_that_is_too_large_is_not_sent(browser: Browser, tmp_path: Path) -> None:
    with updating(browser, tmp_path, 40 << 20, locale="de-DE") as (_, page):
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.method))
        page.click("#upload button")
        assert page.eval_on_selector("#bundle", "field => field.validity.customError")
        words = page.eval_on_selector("#bundle", "field => field.validationMessage")
        assert words == "Das ist größer als das, was angenommen wird."
        page.goto("/maintenance")
        page.set_input_files("#file", tmp_path / "new.mtp-update")
        assert page.eval_on_selector("#file", "field => field.validity.customError")
        page.set_input_files("#file", place_of_backup(tmp_path))
        assert page.eval_on_selector("#file", "field => field.validity.valid")
        assert "POST" not in sent


def place_of_backup(root: Path) -> Path:
    path = root / "backup.toml"
    path.write_text("version = 1\n")
    return path


def test_an_update_of_one_who_was_logged_out_meanwhile(browser: Browser, tmp_path: Path) -> None:
    with updating(browser, tmp_path, 3 << 20) as (_, page):
        page.context.clear_cookies()
        page.click("#upload button")
        expect(page.locator("h1")).to_have_text("Log in")


def test_an_update_of_one_who_is_logged_out_while_it_is_sent(
    browser: Browser, tmp_path: Path
) -> None:
    with updating(browser, tmp_path, 1000) as (_, page):
        page.route("**/update/state", lambda route: route.fulfill(json={}))
        page.context.clear_cookies()
        page.click("#upload button")
        expect(page.locator("main")).to_contain_text("You have to log in to do that.")


def test_an_update_whose_sending_breaks_off(browser: Browser, tmp_path: Path) -> None:
    with updating(browser, tmp_path, 3 << 20) as (_, page):
        page.route("**/update/upload", lambda route: route.abort())
        page.click("#upload button")
        expect(page.locator("#broken-off")).to_be_visible()
        expect(page.locator("#sending")).to_be_hidden()
        assert complaints(page) == []
        shoot(page, "update-broken-off")
        page.unroute("**/update/upload")
        page.click("#upload button")
        expect(page.locator("h1")).to_have_text("Install version 0.2.0?")


ELSEWHERE = "http://elsewhere.example"
FROM_ELSEWHERE = {
    "link": '<a id="go" href="{0}/">look</a>',
    "link to a page": '<a id="go" href="{0}/storage">look</a>',
    "link to the login": '<a id="go" href="{0}/login">look</a>',
    "redirect": '<a id="go" href="/redirect">look</a>',
    "form": '<form method="post" action="{0}/logout"><button id="go">look</button></form>',
    "form that asks": '<form action="{0}/login"><button id="go">look</button></form>',
    "picture": '<img src="{0}/login"><a id="go" href="{0}/login">look</a>',
    "frame": '<iframe src="{0}/login"></iframe><a id="go" href="{0}/help">look</a>',
}


def test_what_another_site_links_to_logs_nobody_out(browser: Browser, tmp_path: Path) -> None:
    """By a name as on the appliance, where browsers do not say which site a request comes from."""
    with site(tmp_path) as place:
        url = place.url.replace("127.0.0.1", HOST)
        context = browser.new_context(base_url=url)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        log_in(page)
        for name, text in FROM_ELSEWHERE.items():
            other(context, url, text)
            page.goto(f"{ELSEWHERE}/")
            page.click("#go")
            page.wait_for_url(f"{url}/**")
            if "link" in name or name == "redirect":
                expect(page.locator("header button"), name).to_have_text("Log out")
            page.goto("/settings")
            expect(page.locator("h1"), name).to_have_text("Settings")
        context.close()


def other(context: BrowserContext, url: str, text: str) -> None:
    """Another site, with one page and a way from it."""
    to_us = {"status": 302, "headers": {"Location": f"{url}/"}}
    context.route(f"{ELSEWHERE}/redirect", lambda route: route.fulfill(**to_us))
    body = f"<!doctype html>{text.format(url)}"
    context.route(f"{ELSEWHERE}/", lambda route: route.fulfill(body=body, content_type="text/html"))


def test_keyboard_alone_is_enough(browser: Browser, tmp_path: Path) -> None:
    with site(tmp_path) as place, opened(browser, place.url) as page:
        page.goto("/login")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Skip to the content")
        shoot(page, "focus")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_id("password")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.locator(".headline")).to_be_visible()


def test_no_answer_is_said_and_gets_over(browser: Browser, tmp_path: Path) -> None:
    with site(tmp_path) as place, opened(browser, place.url) as page:
        log_in(page)
        page.route("**/live", lambda route: route.abort())
        expect(page.locator("#lost")).to_contain_text("No answer from the appliance")
        assert complaints(page) == []
        page.unroute("**/live")
        expect(page.locator("#lost")).to_be_hidden()
