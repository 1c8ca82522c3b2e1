# SPDX-License-Identifier: GPL-3.0-or-later
"""What is no text of settings is refused before anybody has worked on it for long."""

import tomllib

import pytest

from appliance.errors import ApplianceError
from appliance.settings.interpretation import interpret, read_toml
from appliance.settings.secret_files import part
from appliance.settings.store import SettingsFile

DOTS = "a." * 10_000


def _parse(_: str) -> None:
    raise AssertionError("it is being parsed")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{DOTS}a = 1", "nested too deeply"),
        (f"[{DOTS}a]", "nested too deeply"),
        (f"[[ {DOTS.replace('.', ' . ')}a ]]", "nested too deeply"),
        ('"a".' * 10_000 + "a = 1", "nested too deeply"),
        ("'\"'." * 10_000 + "a = 1", "nested too deeply"),
        (f'x = {{a = "", {DOTS}a = 1}}', "nested too deeply"),
        (f'x = {{a = """\n"""", {DOTS}a = 1}}', "nested too deeply"),
        (f"x = {{a = '''#''''', {DOTS}a = 1}}", "nested too deeply"),
        (f'x = {{a = """\\"""", {DOTS}a = """b"""}}', "nested too deeply"),
        (f'x = {{a = "\\\\", {DOTS}a = "b"}}', "nested too deeply"),
        (f"x = [ # '''\n{{{DOTS}a = 1}}]", "nested too deeply"),
        ("a.b = 1\n" * 2001, "more than 2000 lines"),
        ("#" * 65_537, "longer than 65536"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_what_would_take_long_is_not_begun(
    monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    """A word of dots takes a parser the square of its length: minutes, on the smallest board."""
    monkeypatch.setattr(tomllib, "loads", _parse)
    with pytest.raises(ValueError, match=words):
        read_toml(text)


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"k{number} = 1\n" for number in range(1000)),
        "".join(f"[k{number}]\n" for number in range(1000)),
        "[[storages]]\n" * 1000,
        f"x = [{'1,' * 1000}]",
        f"x = [{'{a = 1},' * 1000}]",
    ],
    ids=lambda value: repr(value[:12]),
)
def test_more_values_than_anybody_says_are_not_edited(text: str) -> None:
    """An editor that keeps each comment takes the square of their number."""
    with pytest.raises(ValueError, match="more than 300 values"):
        part(f'web.password = "x"\n{text}')


@pytest.mark.parametrize(
    "text",
    [
        "# " + "." * 1000,
        f'name = "x" # {DOTS}',
        f'name = "{"." * 60}"',
        f"name = '{'.' * 60}' # '",
        'name = """\\\n' + "." * 60 + '"""',
        'usbredir = ["tcp:127.0.0.1:7000"' + ', "tcp:127.0.0.1:7000"' * 60 + "]",
        "".join(f'[[storages]]\npath = "/srv/{number}"\nname = "x"\n' for number in range(60)),
        'leds.pins = [1, 2]\nx = [{a = "\\\\"}]',
    ],
    ids=lambda value: repr(value[:12]),
)
def test_what_a_person_may_write_is_understood(text: str) -> None:
    _, findings = interpret(read_toml(text))
    assert findings.errors == []


def test_one_does_not_get_beyond_what_can_be_read_again(file: SettingsFile) -> None:
    before = file.path.read_text()
    with pytest.raises(ApplianceError, match="more than 300 values"):
        file.edit(lambda text: text + "".join(f"k{number} = 1\n" for number in range(300)))
    assert file.path.read_text() == before


@pytest.fixture
def file(tmp_path_factory: pytest.TempPathFactory) -> SettingsFile:
    folder = tmp_path_factory.mktemp("settings")
    (folder / "settings.toml").write_text('name = "x"\n')
    return SettingsFile(folder / "settings.toml", folder / "state")
