# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, folders, roots and disks are swapped between two system calls of a responder at work.

Whatever happens, nothing outside a root is read, listed, changed or told; the responder lives; no
file is torn; and when it is quiet again, a PC is told what is on the disk.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.torture.budget import Budget


def _in_a_namespace(*argv: str) -> tuple[str, ...]:
    """Run something that may mount, and whose mounts nobody else sees."""
    users = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    return "unshare", *users, "--mount", "--", *argv


@pytest.mark.parametrize("road", ["memory", "ptpip"])
def test_nothing_outside_is_touched(road: str, tmp_path: Path, budget: Budget) -> None:
    if subprocess.run(_in_a_namespace("true"), capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here: run as root, sudo make test")
    stage = (sys.executable, "-m", "tests.torture.stage", str(tmp_path), road)
    limits = (str(budget.seed), str(budget.seconds or 0))
    done = subprocess.run(
        _in_a_namespace(*stage, *limits), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-8000:]
    told = json.loads(done.stdout)
    assert len(told["done"]) > 8, told
    tries, answers = (sum(told[kind].values()) for kind in ("done", "codes"))
    budget.tell(f"{tries} tries, {told['mounts']} mounts, {answers} answers")
