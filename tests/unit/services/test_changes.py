# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of the settings asks for."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.services.changes import AT_START, Action, actions, in_force, snapshot
from appliance.settings.schema import Settings, StorageSetting

BEFORE = Settings(storages=(StorageSetting(Path("/srv/share")),))
REPLUG = (Action.REMAKE_GADGET, Action.RESTART_RESPONDER, Action.NETWORK)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ()),
        ({"network_function": "ecm"}, REPLUG),
        ({"network_address": "10.1.0.1/29"}, REPLUG),
        ({"usb_product_id": 5}, REPLUG),
        ({"name": "Kitchen"}, (Action.RELOAD_RESPONDER,)),
        ({"wifi_ptpip": True}, (Action.RESTART_RESPONDER,)),
        ({"trash_days": 3}, (Action.RELOAD_RESPONDER,)),
        ({"storages": ()}, (Action.RELOAD_RESPONDER,)),
        ({"trash_days": 3, "set_clock": False}, (Action.RESTART_RESPONDER,)),
        ({"network_host_name": "kitchen"}, (Action.HOST_NAME,)),
        ({"leds_pins": (17,)}, (Action.RELOAD_LEDS,)),
        ({"button_pin": 4}, (Action.RELOAD_LEDS,)),
        ({"wifi_network": "Home"}, (Action.WIFI,)),
        ({"wifi_passphrase": "x"}, (Action.WIFI,)),
        ({"wifi_page": True}, (Action.WIFI,)),
        ({"web_password": "x"}, (Action.WIFI,)),
        ({"leds_pwm": False, "trash_days": 3}, (Action.RELOAD_RESPONDER, Action.RELOAD_LEDS)),
        ({"usb_vendor_id": 9, "trash_days": 3}, REPLUG),
    ],
)
def test_actions(changed: dict[str, Any], expected: tuple[Action, ...]) -> None:
    before = json.loads(json.dumps(snapshot(BEFORE)))
    assert actions(before, snapshot(replace(BEFORE, **changed))) == expected


def test_a_start_does_all_and_touches_no_service() -> None:
    assert actions(None, snapshot(BEFORE)) == AT_START


def test_a_setting_of_a_later_version_is_a_change() -> None:
    before = {key: value for key, value in snapshot(BEFORE).items() if key != "trash.days"}
    assert actions(before, snapshot(BEFORE)) == (Action.RELOAD_RESPONDER,)


def test_a_file_that_is_no_use_is_the_responders_to_tell_of() -> None:
    good, broken = snapshot(BEFORE), snapshot(BEFORE, ["line 1: no value"])
    assert actions(good, broken) == (Action.RELOAD_RESPONDER,)
    assert actions(broken, broken) == ()
    assert actions(broken, good) == (Action.RELOAD_RESPONDER,)


def test_what_failed_is_tried_again_and_nothing_else() -> None:
    old = snapshot(BEFORE)
    new = snapshot(replace(BEFORE, network_host_name="kitchen", trash_days=3))
    kept = in_force(new, [Action.HOST_NAME])
    assert actions(kept, new) == (Action.HOST_NAME,)
    assert set(actions(kept, old)) == {Action.HOST_NAME, Action.RELOAD_RESPONDER}
    assert actions(in_force(new, []), new) == ()


def test_the_old_value_is_put_into_force_again_after_another_failed() -> None:
    """A gadget that could not be made anew has left none."""
    old, new = snapshot(BEFORE), snapshot(replace(BEFORE, network_function="ecm"))
    kept = json.loads(json.dumps(in_force(new, [Action.REMAKE_GADGET])))
    assert Action.REMAKE_GADGET in actions(kept, old)


def test_a_gadget_that_failed_at_the_start_is_made_later() -> None:
    new = snapshot(BEFORE)
    assert Action.REMAKE_GADGET in actions(in_force(new, [Action.MAKE_GADGET]), new)
