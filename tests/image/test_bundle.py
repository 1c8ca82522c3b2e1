# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles as `make bundle` makes them, from what install.sh puts into an image; and their keys."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import appliance
from appliance.errors import ApplianceError
from appliance.update import archive, keys
from appliance.update import bundle as bundles
from appliance.update.keys import SecretKey
from appliance.update.signature import public_of
from image import bundle
from tests.unit.update.helpers import PROGRAM, SECRET

ROOT = Path(__file__).parents[2]


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    folder = tmp_path / "packages"
    for each in ("functionfs", "ioctl_opt", "libaio"):
        (folder / each).mkdir(parents=True)
        (folder / each / "__init__.py").touch()
    return folder


def make(*words: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "image.bundle", *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_made_twice_it_is_the_same_and_holds_the_program(packages: Path, tmp_path: Path) -> None:
    made = []
    for name in ("first", "second"):
        done = make(
            *("make", "--packages", packages, "--out", tmp_path / name, "--version", "9.1.0"),
            MTP_APPLIANCE_KEYS=str(tmp_path / "keys"),
            SOURCE_DATE_EPOCH="1700000000",
        )
        assert done.returncode == 0, done.stderr
        assert "your own key" in done.stdout
        made.append((tmp_path / name / "mtp-appliance-9.1.0.mtp-update").read_bytes())
    assert made[0] == made[1]
    key = keys.read_public(tmp_path / "keys/update.pub")
    found = bundles.decode(made[0], [key])
    assert (found.manifest.version, found.manifest.date) == ("9.1.0", "2023-11-14")
    assert found.manifest.base == int((ROOT / "overlay/usr/lib/mtp-appliance/base").read_text())
    assert found.manifest.notes.startswith("### ")
    files = archive.unpack(found.payload, found.manifest)
    assert b'\n__version__ = "9.1.0"\n' in files["appliance/__init__.py"]
    ours = {
        str(path.relative_to(ROOT)): path.read_bytes()
        for room in ("appliance", "webui")
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    ours["appliance/__init__.py"] = files["appliance/__init__.py"]
    vendored = {f"{name}/__init__.py": b"" for name in ("functionfs", "ioctl_opt", "libaio")}
    assert files == ours | vendored


def test_a_bundle_for_some_machines_only() -> None:
    _, data = bundle.make(PROGRAM, 7, SECRET, machines=["armv6l"], boards=["Raspberry Pi Zero"])
    found = bundles.decode(data, [keys.PublicKey(public_of(SECRET.raw))])
    assert (found.manifest.machines, found.manifest.boards) == (("armv6l",), ("Raspberry Pi Zero",))
    assert (found.manifest.base, found.manifest.version) == (7, "9.1.0")


@pytest.mark.parametrize("version", ["x", "1.0/2", "1-0"])
def test_bad_versions(version: str) -> None:
    with pytest.raises(ApplianceError, match="is no version"):
        bundle.make(PROGRAM, 1, SECRET, version=version)


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "my.key"
    first = make("key", "--key", path)
    assert first.returncode == 0, first.stderr
    assert first.stdout.strip() == str(path.with_suffix(".pub"))
    before = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.with_suffix(".pub").unlink()
    again = make("key", "--key", path)
    assert "Made" not in again.stderr
    assert path.read_bytes() == before
    secret = keys.read_secret(path)
    assert keys.read_public(path.with_suffix(".pub")).raw == public_of(secret.raw)


def test_a_named_key_that_is_not_there_is_not_made_by_the_way(tmp_path: Path) -> None:
    done = make("make", "--key", tmp_path / "release.key")
    assert done.returncode == 1
    assert done.stderr.startswith("bundle: there is no key")
    assert list(tmp_path.iterdir()) == []


def test_install_puts_the_key_and_the_release_into_an_image(packages: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    public = tmp_path / "release.pub"
    keys.write_public(public, keys.PublicKey(bytes(32), "a"))
    install = ["sh", str(ROOT / "overlay/install.sh"), "--packages", str(packages)]
    subprocess.run([*install, "--key", str(public), str(target)], check=True, capture_output=True)
    library = target / "usr/lib/mtp-appliance"
    assert keys.trusted([library / "keys"]) == (keys.PublicKey(bytes(32), "a"),)
    version, base, checksum = (library / "release").read_text().split()
    assert (version, base) == (appliance.__version__, (library / "base").read_text().strip())
    assert checksum.isdecimal()
    secret = tmp_path / "secret.key"
    secret.write_text(keys.secret_line(SecretKey(bytes(32))))
    for wrong in (secret, tmp_path / "none"):
        command = [*install, "--key", str(wrong), str(target)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode != 0
        assert "is no public key" in done.stderr


def test_an_image_takes_the_builders_own_updates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTP_APPLIANCE_KEYS", str(tmp_path))
    path = bundle.public_key(None)
    assert keys.read_public(path).raw == public_of(keys.read_secret(tmp_path / "update.key").raw)
    assert bundle.public_key(None).read_bytes() == path.read_bytes()


def test_an_image_takes_the_updates_of_a_key_that_is_named(tmp_path: Path) -> None:
    named = tmp_path / "project.pub"
    with pytest.raises(ApplianceError, match=r"project\.pub"):
        bundle.public_key(str(named))
    keys.write_public(named, keys.PublicKey(public_of(SECRET.raw), "project"))
    assert bundle.public_key(str(named)) == named
