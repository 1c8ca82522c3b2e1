# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, folders, roots and disks are swapped between two system calls of a responder at work.

Whatever happens, nothing outside a root is read, listed, changed or told; the responder lives; no
file is torn; and when it is quiet again, a PC is told what is on the disk.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.torture.budget import Budget
from tests.torture.calls import CALLS

STORAGE = Path(__file__).parent.parent.parent / "appliance" / "storage"
#: What `appliance/storage` does by `os` that asks nothing of a file system.
_WITHOUT_NAMES = {
    *("close", "dup", "eventfd", "eventfd_read", "eventfd_write", "fdopen", "fsdecode"),
    *(
        "fsencode",
        "fspath",
        "getpid",
        "lseek",
        "set_blocking",
        "set_inheritable",
        "stat_result",
        "strerror",
    ),
    "urandom",
}
#: Of all answers, at least one in so many is OK; and in a long run, of each of these so many.
_OK_AT_LEAST, _EACH_AT_LEAST = 2.5, 5
_MEANT_FOR = (
    *("GET_OBJECT", "GET_PARTIAL_OBJECT_64", "GET_THUMB", "COPY_OBJECT", "MOVE_OBJECT"),
    *("DELETE_OBJECT", "BEGIN_EDIT_OBJECT", "SEND_PARTIAL_OBJECT", "TRUNCATE_OBJECT"),
    *("SEND_OBJECT", "SEND_OBJECT_PROP_LIST", "SET_OBJECT_PROP_VALUE", "SET_OBJECT_PROTECTION"),
    *("SET_OBJECT_REFERENCES", "GET_OBJECT_PROP_LIST", "GET_OBJECT_HANDLES"),
)


def _is_ok(answer: str) -> bool:
    return answer.endswith(" OK")


def test_all_calls_of_the_storage_are_told_of() -> None:
    asked = set()
    for each in STORAGE.glob("*.py"):
        asked |= {*re.findall(r"\bos\.([a-z_0-9]+)[(,]", each.read_text())}
    assert asked - _WITHOUT_NAMES == set(CALLS)


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
    done_well = Counter({each.split()[0]: n for each, n in told["codes"].items() if _is_ok(each)})
    most = sum(told["codes"].values())
    assert done_well.total() > most / _OK_AT_LEAST, told["codes"]
    if budget.is_long:
        seldom = [each for each in _MEANT_FOR if done_well[each] < _EACH_AT_LEAST]
        assert not seldom, f"hardly ever done: {seldom}"
    tries, answers = (sum(told[kind].values()) for kind in ("done", "codes"))
    budget.tell(f"{tries} tries, {told['mounts']} mounts, {answers} answers")
