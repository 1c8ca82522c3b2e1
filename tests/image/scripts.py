# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes functions out of the image's shell scripts, which as a whole need a card or a system."""

import re
from pathlib import Path

IMAGE = Path(__file__).parent.parent.parent / "image"


def functions(script: str, *names: str) -> str:
    """Give the text of functions of a script in `image`."""
    text = (IMAGE / script).read_text()
    return "".join(_function(text, name) for name in names)


def _function(text: str, name: str) -> str:
    found = re.search(rf"^{name}\(\) \{{.*?^\}}\n", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no {name}"
    return found[0]
