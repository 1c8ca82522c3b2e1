# SPDX-License-Identifier: GPL-3.0-or-later
"""The status in a few words says what light and page say."""

import pytest

from appliance.services.headline import headline
from appliance.status import Status, Warning


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status(ready=False), "It is starting"),
        (Status(ready=False, warnings=(Warning("card", "x"),)), "It is starting; 1 warning"),
        (Status(ready=True), "Waiting for a PC"),
    ],
)
def test_what_it_says(status: Status, words: str) -> None:
    assert headline(status) == words
