# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image is made of: Debian's packages, Python packages beside them, ourselves."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import appliance

REQUIREMENTS = Path(__file__).parent.parent / "overlay/requirements.txt"
_LICENCES = {
    "functionfs": "GPL-3.0-or-later",
    "ioctl-opt": "LGPL-2.0-or-later",
    "libaio": "LGPL-3.0-or-later",
}


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """A package; `licence` is an SPDX expression, empty where nobody has said it in one."""

    name: str
    version: str
    architecture: str = ""
    source: str = ""
    kind: str = "deb"
    licence: str = ""

    @property
    def purl(self) -> str:
        """The package's URL, as other tools know it."""
        name, version = self.name, self.version.replace(":", "%3A").replace("+", "%2B")
        if self.kind == "deb":
            return f"pkg:deb/debian/{name}@{version}?arch={self.architecture}"
        return f"pkg:{self.kind}/{name}@{version}"


def from_dpkg(text: str) -> Iterator[Package]:
    """Read a list as dpkg keeps it; what is not installed is left out."""
    for stanza in re.split(r"\n\n+", text.strip()):
        fields: dict[str, str] = dict(re.findall(r"^([A-Za-z-]+): (.*)$", stanza, re.MULTILINE))
        if fields.get("Status", "").startswith("install ok"):
            source = fields.get("Source", fields["Package"]).partition(" ")[0]
            yield Package(fields["Package"], fields["Version"], fields["Architecture"], source)


def from_requirements(text: str) -> Iterator[Package]:
    """Read a list as pip does: exact versions only."""
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE):
        yield Package(name, version, kind="pypi", licence=_LICENCES.get(name, ""))


def of_image(dpkg_status: str, unpacked: str) -> list[Package]:
    """Name all that is in an image, in order; what stands in its two lists, and what is ours."""
    ours = Package(
        "mtp-appliance", appliance.__version__, kind="generic", licence="GPL-3.0-or-later"
    )
    python = from_requirements(REQUIREMENTS.read_text())
    return sorted({*from_dpkg(dpkg_status), *from_dpkg(unpacked), *python, ours})


def as_list(packages: list[Package]) -> str:
    """Write the list for a person: name, version, architecture, kind."""
    rows = [(each.name, each.version, each.architecture or "all", each.kind) for each in packages]
    return "".join("\t".join(row) + "\n" for row in rows)
