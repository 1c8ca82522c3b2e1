# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was put into force last, and the settings now, to what is to be done. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from appliance.settings.schema import Effect, Settings, declared

#: Settings by their keys in the file, as JSON has them.
Snapshot = Mapping[str, Any]
_LEDS = ("leds.", "button.")
#: A password opens the page to the Wi-Fi, where that is wanted.
_WIFI = ("wifi.network", "wifi.passphrase", "wifi.country", "wifi.page", "web.")
_NAME = "network.host_name"


class Action(StrEnum):
    """What can be done, in the order in which it is."""

    MAKE_GADGET = "make the gadget"
    REMAKE_GADGET = "make the gadget anew"
    RESTART_RESPONDER = "restart the responder"
    RELOAD_RESPONDER = "reload the responder"
    NETWORK = "tell networkd"
    HOST_NAME = "set the host name"
    WIFI = "set up the Wi-Fi"
    RELOAD_LEDS = "reload the LEDs"


#: What a start does; the services come after it by themselves.
AT_START = (Action.MAKE_GADGET, Action.NETWORK, Action.HOST_NAME, Action.WIFI)


def snapshot(settings: Settings, errors: Sequence[str] = ()) -> Snapshot:
    """Say settings, and what is wrong with their file, so that they can be kept and compared.

    The responder is to say what is wrong, so it looks again when that changes.
    """
    values = {key: getattr(settings, item.name) for key, item, _ in declared()}
    storages = [asdict(each) | {"path": str(each.path)} for each in settings.storages]
    others = {"storages": storages, "errors": list(errors)}
    return {key: _json(value) for key, value in values.items()} | others


def actions(before: Snapshot | None, after: Snapshot) -> tuple[Action, ...]:
    """Say what brings the appliance from `before` to `after`; None: nothing is in force yet."""
    if before is None:
        return AT_START
    keys = [key for key in after if key not in before or before[key] != after[key]]
    wanted = {action for key in keys for action in _wanted_by(key)}
    if Action.RESTART_RESPONDER in wanted:
        wanted.discard(Action.RELOAD_RESPONDER)
    return tuple(action for action in Action if action in wanted)


def in_force(after: Snapshot, failed: Iterable[Action]) -> Snapshot:
    """Say what is in force now. A setting whose action failed is not among it: what was in force
    before may be so no more, and so any value of it, the old one too, is to be tried.
    """
    again = set(failed)
    if Action.MAKE_GADGET in again:
        again.add(Action.REMAKE_GADGET)
    return {key: value for key, value in after.items() if not again & set(_wanted_by(key))}


def half_done(last: Snapshot | None, after: Snapshot) -> frozenset[Action]:
    """Say which actions failed last: their files may be written, and nobody told of them."""
    keys = () if last is None else after.keys() - last.keys()
    return frozenset(action for key in keys for action in _wanted_by(key))


def _wanted_by(key: str) -> tuple[Action, ...]:
    """Say what a change of one setting asks for."""
    effect = _EFFECTS.get(key, Effect.RELOAD)
    if key == _NAME:
        return (Action.HOST_NAME,)
    if key.startswith(_LEDS):
        return (Action.RELOAD_LEDS,)
    if key.startswith(_WIFI):
        return (Action.WIFI,)
    if effect is Effect.REPLUG:
        return (Action.REMAKE_GADGET, Action.RESTART_RESPONDER, Action.NETWORK)
    if effect is Effect.RESTART:
        return (Action.RESTART_RESPONDER,)
    return (Action.RELOAD_RESPONDER,)


_EFFECTS = {key: setting.effect for key, _, setting in declared()}


def _json(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
