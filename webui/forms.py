# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of the settings, made from their declaration.

What a browser can check it checks by attributes; the server checks all of it again, by the checks
of the declaration themselves.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import Field as Item
from dataclasses import dataclass
from typing import Any

from appliance.settings import checks
from appliance.settings.differences import ORDER, show
from appliance.settings.schema import (
    TABLES,
    Effect,
    Setting,
    Settings,
    declared,
    declared_of_storages,
)
from appliance.settings.secret_files import SECRETS
from webui.languages import gettext, lazy_gettext
from webui.machine import machine

#: Has a form of its own.
PASSWORD = "web.password"
_TEXT_MOST, _NAME_MOST = 1000, 254
_HEX = r"0[xX][0-9a-fA-F]{1,4}|[0-9]{1,5}"
_PATTERNS: Mapping[Any, str] = {
    checks.host_name: checks.HOST_NAME,
    checks.passphrase: "[ -~]{8,63}|[0-9A-Fa-f]{64}",
    checks.country: "[A-Z]{2}",
}
_GROUPS = {
    "": lazy_gettext("General"),
    "trash": lazy_gettext("What is deleted"),
    "usb": lazy_gettext("USB"),
    "network": lazy_gettext("Network on the cable"),
    "wifi": lazy_gettext("Wi-Fi"),
    "leds": lazy_gettext("Light"),
    "button": lazy_gettext("Button"),
    "web": lazy_gettext("This page"),
}
_NETWORK = "network.function"
_IN_HEX = frozenset(key for key, _, setting in declared() if setting.in_hex)
_EFFECTS = {
    Effect.RELOAD: lazy_gettext("at once"),
    Effect.RESTART: lazy_gettext("when the service starts anew"),
    Effect.REPLUG: lazy_gettext("at once; the PC sees the device go and come back"),
}
#: Where root's helper puts into force what was changed, which is on an appliance.
_BY_HELPER = {
    Effect.RESTART: lazy_gettext("at once; the service starts anew, and what is moving breaks off"),
}
#: Spaces around it are part of it.
_AS_TYPED = frozenset({"wifi.network"})


@dataclass(frozen=True, slots=True)
class Field:
    """One field: what is in it, and what may be."""

    key: str
    kind: str
    label: str
    help: str
    unit: str
    effect: str
    value: str
    default: str
    choices: tuple[str, ...]
    least: int | None
    most: int | None
    pattern: str
    longest: int
    error: str

    @property
    def id(self) -> str:
        """Its id in the page."""
        return self.key.replace(".", "-").replace("_", "-")


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that belong together."""

    name: str
    title: str
    fields: tuple[Field, ...]


def groups(
    settings: Settings, given: Mapping[str, str], errors: Mapping[str, str]
) -> Iterator[Group]:
    """Make the form: `given` is what somebody has typed already, `errors` what is wrong with it."""
    for table in ("", *TABLES):
        fields = tuple(
            _field(key, item, setting, given.get(key, _value(settings, item, setting)), errors)
            for key, item, setting in editable()
            if _table_of(key) == table
        )
        if fields:
            yield Group(table or "general", str(_GROUPS.get(table, table)), fields)


def editable() -> Iterator[tuple[str, Item[Any], Setting]]:
    """All settings that the form has."""
    return (each for each in declared() if each[0] != PASSWORD)


def read(form: Mapping[str, str]) -> dict[str, str]:
    """Take the values out of a form, as text; a box that is not ticked is not sent."""
    values = {}
    for key, item, setting in editable():
        text = form.get(key)
        if item.type is bool:
            values[key] = "true" if text else "false"
        elif setting.secret:
            if text or form.get(f"{key}:none"):
                values[key] = text or ""
        elif text is not None:
            values[key] = text if key in _AS_TYPED else text.strip()
    return values


def changed(settings: Settings, values: Mapping[str, str]) -> dict[str, str]:
    """Keep of values those that are not as the settings have them already."""
    return {
        key: values[key]
        for key, item, setting in editable()
        if key in values and values[key] != _before(settings, item, setting)
    }


def parted(values: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Part what is secret from what is not, which alone the responder may know."""
    secret = {key: text for key, text in values.items() if key in SECRETS}
    return secret, {key: text for key, text in values.items() if key not in secret}


def _field(
    key: str,
    item: Item[Any],
    setting: Setting,
    value: str,
    errors: Mapping[str, str],
) -> Field:
    check = setting.check
    bounds = check if isinstance(check, checks.Between) else None
    return Field(
        key,
        _kind(item, setting),
        gettext(setting.label),
        gettext(setting.help),
        gettext(setting.unit) if setting.unit else "",
        _words_of(setting.effect),
        value,
        _as_text(item.default, setting),
        setting.choices,
        bounds.least if bounds else None,
        bounds.most if bounds else None,
        _HEX if setting.in_hex else _PATTERNS.get(check, ""),
        _NAME_MOST if check is checks.name_or_nothing else _TEXT_MOST,
        errors.get(key, ""),
    )


def _kind(item: Item[Any], setting: Setting) -> str:
    if setting.secret:
        return "secret"
    if setting.choices:
        return "choice"
    if item.type is bool:
        return "yes-or-no"
    return "number" if item.type is int and not setting.in_hex else "text"


def _before(settings: Settings, item: Item[Any], setting: Setting) -> str | None:
    """Give a value to compare with; a secret that is set is like nothing that anybody types."""
    hidden = setting.secret and getattr(settings, item.name)
    return None if hidden else _value(settings, item, setting)


def _value(settings: Settings, item: Item[Any], setting: Setting) -> str:
    return _as_text(getattr(settings, item.name), setting)


def _as_text(value: Any, setting: Setting) -> str:
    """Write a value as the field has it, and as `appliance.settings.values` reads it."""
    if setting.secret:
        return ""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if setting.in_hex:
        return f"0x{value:04x}"
    return value if isinstance(value, str) else show(value)


def _table_of(key: str) -> str:
    table, dot, _ = key.partition(".")
    return table if dot else ""


# Changes, as the responder tells them


def label_of(change: Mapping[str, Any]) -> str:
    """Say which setting a change is of."""
    labels = {key: setting.label for key, _, setting in declared()}
    key = change["key"]
    if key == ORDER:
        return gettext("Order of storages")
    if key in labels:
        return gettext(labels[key])
    path, _, rest = key.removeprefix("storages[").rpartition("]")
    storage = gettext("Storage %(path)s", path=path)
    of_storages = {f".{each}": setting.label for each, _, setting in declared_of_storages()}
    return f"{storage}: {gettext(of_storages[rest])}" if rest in of_storages else storage


def effect_of(words: str) -> str:
    """Say when a change takes effect."""
    return next((_words_of(effect) for effect in Effect if effect.value == words), words)


def _words_of(effect: Effect) -> str:
    own = _BY_HELPER.get(effect) if machine().has_helper else None
    return str(own or _EFFECTS[effect])


def notes_of(changes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Say what changes bring with them that nobody may think of."""
    if any(each["key"] == _NETWORK and each["after"] == "none" for each in changes):
        yield gettext(
            "This page goes with the network on the cable: then it is there over the Wi-Fi alone,"
            " if at all, and the settings file on the card is the way back."
        )


def value_of(value: Any, key: str = "") -> str:
    """Say a value that was or will be, as its setting's field has it."""
    if key in _IN_HEX and isinstance(value, int):
        return f"0x{value:04x}"
    if value is None or value in ("", []):
        return gettext("(nothing)")
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, str) and value != value.strip():
        return gettext("“%(value)s”", value=value)
    secrets = {"(set)": gettext("(set)"), "(not set)": gettext("(not set)")}
    return secrets.get(value, str(value)) if isinstance(value, str) else str(value)
