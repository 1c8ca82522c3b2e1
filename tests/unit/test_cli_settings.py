# SPDX-License-Identifier: GPL-3.0-or-later
"""`mtp-appliance settings` as a person calls it."""

import json
import os
import pty
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from appliance.settings import examples
from appliance.settings.passwords import verify_password
from appliance.settings.schema import declared
from appliance.settings.store import SettingsFile
from tests.unit.test_cli import COMMAND, ENVIRONMENT, ROOT, run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(examples.shipped() + "# mine\n")
    return path


def call(file: Path, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
    return run("settings", verb, "--file", file, *words)


def values(file: Path) -> dict[str, object]:
    return dict(json.loads(call(file, "show", "--json").stdout))


def test_show_has_them_all(file: Path) -> None:
    table = call(file, "show").stdout
    document = values(file)
    for key, _, _ in declared():
        assert f"\n{key} " in table
        assert key in document
    assert document["storages"][0]["path"] == "/srv/share"  # type: ignore[index]


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("name", "Küche", "Küche"),
        ("trash.days", "7", 7),
        ("trash.keep", "no", False),
        ("leds.active_low", "on", True),
        ("leds.pins", "17,27", [17, 27]),
        ("leds.pins", "[17]", [17]),
        ("leds.pins", "", []),
        ("listen", "127.0.0.1, [::1]:99", ["127.0.0.1", "[::1]:99"]),
        ("usb.vendor_id", "0x1234", 0x1234),
        ("network.function", "ecm", "ecm"),
        ("network.address", "10.1.2.1/24", "10.1.2.1/24"),
        ("button.pin", "-1", -1),
    ],
)
def test_set_get_unset(file: Path, key: str, text: str, value: object) -> None:
    done = call(file, "set", key, "--", text)
    assert (done.returncode, done.stderr) == (0, "")
    assert values(file)[key] == value
    assert json.loads(call(file, "get", key, "--json").stdout) == value
    assert "# mine" in file.read_text()
    assert "# Brightness" in file.read_text()
    assert call(file, "unset", key).returncode == 0
    default = next(item.default for name, item, _ in declared() if name == key)
    assert values(file)[key] == (list(default) if isinstance(default, tuple) else default)


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("trash.day", "7", "is it trash.days?"),
        ("trash.days", "0", "between 1 and 3650"),
        ("trash.days", "many", "whole number"),
        ("trash.keep", "perhaps", "true or false"),
        ("network.function", "wifi", "ncm, ecm, rndis, none"),
        ("network.address", "10.1.2.0/24", "the network itself"),
        ("network.address", "8.8.8.8/24", "private"),
        ("network.host_name", "no spaces", "letters"),
        ("network.host_name", "-x", "letters"),
        ("leds.pins", "99", "between 0 and 27"),
        ("leds.pins", "1,1", "twice"),
        ("storages[1].name", "x", "mtp-appliance storage"),
        ("web.password", "secret", "settings password"),
        ("wifi.passphrase", "correct horse", "settings passphrase"),
        ("wifi.network", "x" * 33, "longer than 32 bytes"),
        ("wifi.country", "Germany", "two capital letters"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(
    file: Path, key: str, text: str, words: str
) -> None:
    before = file.read_text()
    done = call(file, "set", key, "--", text)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert file.read_text() == before


def test_what_a_change_does_is_said(file: Path) -> None:
    assert "the PC sees" in call(file, "set", "network.function", "ecm").stdout
    assert "nothing changes" in call(file, "set", "network.function", "ecm").stdout


def test_save_and_restore(file: Path, tmp_path: Path) -> None:
    call(file, "set", "name", "Kitchen")
    saved = tmp_path / "saved.toml"
    saved.write_text(call(file, "export").stdout)
    assert call(file, "reset", "--dry-run").stdout == 'name: "Kitchen" -> "", at once\n'
    assert values(file)["name"] == "Kitchen"
    refused = call(file, "reset")
    assert (refused.returncode, values(file)["name"]) == (1, "Kitchen")
    assert call(file, "reset", "--yes").returncode == 0
    assert file.read_text() == examples.shipped()
    done = call(file, "import", str(saved), "--yes")
    assert 'name: "" -> "Kitchen"' in done.stdout
    assert values(file)["name"] == "Kitchen"


@pytest.mark.parametrize("text", ["name = ", "trash.days = 0", "version = 99", "\0"])
def test_a_bad_import_changes_nothing(file: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    before = file.read_text()
    done = call(file, "import", str(tmp_path / "bad.toml"), "--yes")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert file.read_text() == before
    assert call(file, "import", str(tmp_path / "none.toml"), "--yes").returncode == 1


@pytest.mark.parametrize("damage", [b"days = 'thirty'", b"days = \xff", b"days = 30\n" * (1 << 15)])
@pytest.mark.parametrize("verb", ["reset", "import", "undo"])
def test_a_broken_file_is_mended(file: Path, tmp_path: Path, verb: str, damage: bytes) -> None:
    saved, state = tmp_path / "saved.toml", tmp_path / "state"
    saved.write_text(examples.shipped())
    SettingsFile(file, state).read()
    broken = file.read_bytes().replace(b"days = 30", damage)
    file.write_bytes(broken)
    more = {"import": [str(saved)], "undo": ["--state-dir", str(state)]}.get(verb, [])
    done = call(file, verb, "--dry-run", *more)
    assert (done.returncode, "has errors, and is replaced" in done.stderr) == (0, True), done.stderr
    assert "nothing changes" not in done.stdout
    assert file.read_bytes() == broken
    assert call(file, verb, "--yes", *more).returncode == 0
    checked = call(file, "check")
    assert (checked.returncode, values(file)["trash.days"]) == (0, 30)
    assert "nothing changes" in call(file, "set", "trash.days", "30").stdout


def secret(file: Path, key: str) -> str:
    return (file.with_suffix(".secrets") / key).read_text().removesuffix("\n")


def choose(file: Path, password: str) -> subprocess.CompletedProcess[str]:
    argv = ["settings", "password", "--file", str(file)]
    return run(*argv, stdin=f"{password}\n")


def test_the_password(file: Path, tmp_path: Path) -> None:
    assert choose(file, "short").returncode == 2
    done = choose(file, "correct horse")
    assert done.returncode == 0
    assert "correct" not in done.stdout + done.stderr
    hashed = (file.with_suffix(".secrets") / "web.password").read_text().strip()
    assert hashed not in file.read_text()
    assert verify_password("correct horse", hashed)
    for verb in ("show", "export"):
        assert hashed not in call(file, verb).stdout
        assert hashed not in call(file, verb, "--json").stdout
    assert hashed in call(file, "export", "--with-secrets").stdout
    saved = tmp_path / "saved.toml"
    saved.write_text('name = "x"\n')
    call(file, "import", str(saved), "--yes")
    assert hashed in secret(file, "web.password")  # who imports neither locks the door nor opens it
    assert call(file, "reset", "--yes").returncode == 0
    assert secret(file, "web.password") == ""


def test_the_passphrase(file: Path, tmp_path: Path) -> None:
    argv = ["settings", "passphrase", "--file", str(file)]
    refused = run(*argv, stdin="7 bytes\n")
    assert refused.returncode == 2
    assert "7 bytes" not in refused.stderr
    done = run(*argv, stdin="correct horse\n")
    assert done.returncode == 0
    assert secret(file, "wifi.passphrase") == "correct horse"
    assert "horse" not in file.read_text()
    for verb in ("show", "export"):
        done = call(file, verb)
        assert "horse" not in done.stdout + call(file, verb, "--json").stdout
    saved = tmp_path / "saved.toml"
    saved.write_text('name = "x"\n')
    call(file, "import", str(saved), "--yes")
    assert secret(file, "wifi.passphrase") == "correct horse"
    saved.write_text('[wifi]\npassphrase = ""\n')
    assert "(set)" in call(file, "get", "wifi.passphrase").stdout
    call(file, "import", str(saved), "--yes")
    assert secret(file, "wifi.passphrase") == ""
    assert "passphrase =" not in file.read_text()
    saved.write_text(f'[wifi]\npassphrase = "{"x" * 8}"\n')
    told = call(file, "import", str(saved), "--yes").stdout
    assert 'wifi.passphrase: "(not set)" -> "(set)"' in told
    assert secret(file, "wifi.passphrase") == "x" * 8
    assert call(file, "unset", "wifi.passphrase").returncode == 0
    assert secret(file, "wifi.passphrase") == ""


def test_each_change_can_be_told_as_json(file: Path, tmp_path: Path) -> None:
    (change,) = json.loads(call(file, "set", "trash.days", "7", "--json").stdout)
    assert (change["key"], change["before"], change["after"]) == ("trash.days", 30, 7)
    assert change["label"]
    assert change["effect"]
    assert json.loads(call(file, "unset", "trash.days", "--json").stdout)[0]["after"] == 30
    saved = tmp_path / "saved.toml"
    saved.write_text('name = "x"\n[[storages]]\npath = "/srv/b"\n')
    told = json.loads(call(file, "import", str(saved), "--dry-run", "--json").stdout)
    assert {each["key"] for each in told} >= {"name", "storages[/srv/b]"}
    assert values(file).get("name", "") == ""
    assert json.loads(call(file, "reset", "--yes", "--json").stdout) == []


def test_check(file: Path, tmp_path: Path) -> None:
    assert call(file, "check").returncode == 0
    file.write_text("trash.days = 0\nnames = 1\n")
    done = call(file, "check")
    assert done.returncode == 1
    assert "error: trash.days: 0 is not between" in done.stdout
    assert "warning: names: there is no such setting" in done.stdout
    findings = json.loads(call(file, "check", "--json").stdout)
    assert (len(findings["errors"]), len(findings["warnings"])) == (1, 1)
    good = tmp_path / "good.toml"
    good.write_text('name = "x"')
    assert call(file, "check", str(good)).returncode == 0


def test_check_of_a_file_with_a_mark_before_the_text(file: Path, tmp_path: Path) -> None:
    """As some editors on Windows save it; it is the same by whatever option it is named."""
    file.write_text('name = "x"\n', encoding="utf-8-sig")
    for words in ([], [str(file)]):
        assert call(file, "check", *words).stdout == f"{file} is good\n"
    assert values(file)["name"] == "x"


@pytest.mark.parametrize("words", [["password"], ["passphrase"], ["reset"]], ids=" ".join)
def test_an_end_in_the_place_of_an_answer(file: Path, words: list[str]) -> None:
    file.write_text('name = "x"\n')
    status, said = at_a_terminal(*words, "--file", str(file))
    assert status == 1
    assert said.splitlines()[-1] == "mtp-appliance: there was no answer (nothing was changed)"
    assert "Traceback" not in said
    assert file.read_text() == 'name = "x"\n'
    assert not file.with_suffix(".secrets").exists()


def at_a_terminal(*words: str) -> tuple[int, str]:
    """Call `settings` at a terminal, and type Ctrl-D when it asks; exit status and all it says."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "settings", *words], cwd=ROOT, env=ENVIRONMENT,
        stdin=its, stdout=its, stderr=its, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(its)
        said = b""
        with suppress(OSError):  # it has ended
            while part := os.read(ours, 4096):
                said += part
                if said.endswith(b": ") or said.endswith(b"[y/N] "):
                    os.write(ours, b"\4")
        os.close(ours)
    return process.returncode, said.decode()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = call(tmp_path / "none.toml", "show")
    assert done.returncode == 1
    assert "No such file" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="who owns a file is for root to say")
def test_the_file_keeps_its_owner_and_mode(file: Path) -> None:
    file.chmod(0o640)
    os.chown(file, 1234, 1235)
    for words in (("set", "name", "x"), ("reset", "--yes")):
        assert call(file, *words).returncode == 0
        status = file.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1234, 1235, 0o640)


def test_two_writers_lose_nothing(file: Path) -> None:
    keys = ["trash.days", "trash.share", "leds.brightness", "button.pin"]
    threads = [threading.Thread(target=call, args=(file, "set", key, "7")) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = values(file)
    assert [after[key] for key in keys] == [7, 7, 7, 7]
