# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that look for the C library find it in the process; nobody else sees a difference."""

import subprocess
import sys

import pytest

BEGIN = "import ctypes, sys\nfrom appliance import c_library\n"


def run(code: str) -> str:
    """What a fresh interpreter says, in which nobody has looked for a library yet."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    "look",
    [
        "from ctypes.util import find_library; found = find_library('c')",
        "import ctypes.util; found = ctypes.util.find_library('c')",
    ],
)
def test_what_is_found_has_the_c_library(look: str) -> None:
    code = f"with c_library.at_hand():\n {look}\nprint(ctypes.CDLL(found).getpid() > 0)"
    assert run(code) == "True"


def test_afterwards_all_is_as_before() -> None:
    code = (
        "with c_library.at_hand():\n import ctypes.util\n"
        "print('ctypes.util' in sys.modules, hasattr(ctypes, 'util'))\n"
        "import ctypes.util\nprint(ctypes.util.__file__ is not None)"
    )
    assert run(code).splitlines() == ["False False", "True"]


def test_a_failure_leaves_nothing_behind() -> None:
    code = (
        "try:\n with c_library.at_hand():\n  raise ImportError\n"
        "except ImportError:\n print('ctypes.util' in sys.modules)"
    )
    assert run(code) == "False"


def test_nothing_else_is_looked_for() -> None:
    code = (
        "with c_library.at_hand():\n import ctypes.util\n"
        " try:\n  ctypes.util.find_library('aio')\n except OSError as error:\n  print(error)"
    )
    assert "aio" in run(code)


def test_who_has_paid_for_the_search_keeps_it() -> None:
    code = (
        "import ctypes.util\nbefore = ctypes.util\n"
        "with c_library.at_hand():\n print(sys.modules['ctypes.util'] is before)"
    )
    assert run(code) == "True"
