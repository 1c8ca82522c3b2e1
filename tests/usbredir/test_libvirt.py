# SPDX-License-Identifier: GPL-3.0-or-later
"""The XML in docs/qemu.md is what libvirt's own schema lets in."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.vm.image import PROJECT, find_program

_SKELETON = "<name>pc</name><memory>65536</memory><os><type>hvm</type></os>"
_BLOCKS = re.findall(r"```xml\n(.*?)```", (PROJECT / "docs/qemu.md").read_text(), re.DOTALL)


def domain(block: str) -> str:
    """Make a whole machine of what a page shows of it."""
    if "<domain" in block:
        return block.replace("...", _SKELETON)
    devices = block if "<devices>" in block else f"<devices>{block}</devices>"
    return f'<domain type="kvm">{_SKELETON}{devices}</domain>'


def refusal(xml: str, path: Path) -> str:
    """Say what libvirt has against a machine; nothing where it has nothing."""
    path.write_text(xml)
    argv = [find_program("virt-xml-validate"), str(path), "domain"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize("block", _BLOCKS, ids=["unix", "tcp", "command line"])
def test_the_documented_xml_is_let_in(block: str, tmp_path: Path) -> None:
    assert not refusal(domain(block), tmp_path / "pc.xml")


def test_other_xml_is_not(tmp_path: Path) -> None:
    """Or the test above could not fail."""
    wrong = _BLOCKS[0].replace('redirdev bus="usb"', 'redirdev bus="pci"')
    assert refusal(domain(wrong), tmp_path / "pc.xml")
