# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks into an image without mounting it, by sfdisk and the file systems' own tools."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from image.programs import ask, find_program


@dataclass(frozen=True, slots=True)
class Disk:
    """An image; `scratch` is a directory for its parts."""

    path: Path
    scratch: Path

    def table(self) -> dict[str, Any]:
        """Give the partition table as sfdisk reads it."""
        found: dict[str, Any] = json.loads(ask("sfdisk", "-J", self.path))["partitiontable"]
        return found

    def part(self, number: int) -> Path:
        """Copy a partition out of the image, once."""
        copy = self.scratch / f"part{number}"
        if not copy.exists():
            entry = self.table()["partitions"][number - 1]
            place = (f"skip={entry['start']}", f"count={entry['size']}", "bs=512")
            options = ("conv=sparse", "status=none")
            ask("dd", f"if={self.path}", f"of={copy}", *place, *options)
        return copy

    def offset(self, number: int) -> int:
        """Give where a partition begins, in bytes."""
        return int(self.table()["partitions"][number - 1]["start"]) * 512

    def move(self, number: int, place: int) -> None:
        """Write into the table that a partition begins elsewhere, be it behind the card's end."""
        with self.path.open("r+b") as file:
            file.seek(446 + 16 * (number - 1) + 8)
            file.write((place // 512).to_bytes(4, "little"))

    def boot_names(self) -> set[str]:
        """Name the files on the boot partition."""
        listed = ask("mdir", "-b", "-i", f"{self.path}@@{self.offset(1)}", "::")
        return {line.rpartition("/")[2] for line in listed.splitlines() if line}

    def boot_file(self, name: str) -> bytes:
        """Read a file of the boot partition."""
        place = f"{self.path}@@{self.offset(1)}"
        argv = [find_program("mtype"), "-i", place, f"::{name}"]
        return subprocess.run(argv, capture_output=True, check=True).stdout

    def put_boot_file(self, name: str, content: bytes) -> None:
        """Write a file onto the boot partition, as a person does on a PC."""
        source = self.scratch / "put"
        source.write_bytes(content)
        ask("mcopy", "-o", "-i", f"{self.path}@@{self.offset(1)}", source, f"::{name}")

    def write_before(self, place: int, content: bytes) -> None:
        """Write into what is unused between the partition table and the first partition."""
        assert place + len(content) <= self.offset(1)
        with self.path.open("r+b") as file:
            file.seek(place)
            file.write(content)

    def root_listing(self) -> list[str]:
        """List the root file system, as `ls -l` does, with numbers for owners."""
        return ask("unsquashfs", "-lln", self.part(2)).splitlines()

    def root_file(self, name: str) -> str:
        """Read a file of the root file system."""
        return ask("unsquashfs", "-cat", self.part(2), name)

    def ext4(self, number: int, request: str) -> str:
        """Ask debugfs something about an ext4."""
        return ask("debugfs", "-R", request, self.part(number))
