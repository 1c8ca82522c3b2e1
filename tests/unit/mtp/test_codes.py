# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes: unknown ones are kept, as a log must show what came."""

import pytest

from appliance.mtp.codes import SENDS_DATA, OperationCode, ResponseCode


@pytest.mark.parametrize("value", [0, 0x9999, 0xFFFF, 0xFFFFFFFF])
def test_an_unknown_code_is_kept_with_a_name(value: int) -> None:
    code = OperationCode(value)
    assert code == value
    assert code.name == f"UNKNOWN_{value:04X}"
    assert str(code) == f"UNKNOWN_{value:04X}({value:04X})"


@pytest.mark.parametrize("value", [-1, 1 << 32])
def test_what_no_field_can_hold_is_no_code(value: int) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        ResponseCode(value)


def test_the_operations_with_incoming_data_are_those_of_the_specification() -> None:
    assert {f"{code:04X}" for code in SENDS_DATA} == {
        "100C", "100D", "1016", "95C2", "9804", "9806", "9808", "9811",
    }  # fmt: skip
