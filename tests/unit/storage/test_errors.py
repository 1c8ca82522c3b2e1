# SPDX-License-Identifier: GPL-3.0-or-later
import errno
import os

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.storage import errors
from appliance.storage.errors import is_gone, reporting, translate
from tests.unit.storage.helpers import refused


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOENT, Code.INVALID_OBJECT_HANDLE),
        (errno.ENOTDIR, Code.INVALID_OBJECT_HANDLE),
        (errno.ELOOP, Code.INVALID_OBJECT_HANDLE),
        (errno.ESTALE, Code.INVALID_OBJECT_HANDLE),
        (errno.ENXIO, Code.INVALID_OBJECT_HANDLE),
        (errno.ENOSPC, Code.STORE_FULL),
        (errno.EDQUOT, Code.STORE_FULL),
        (errno.EFBIG, Code.OBJECT_TOO_LARGE),
        (errno.EROFS, Code.STORE_READ_ONLY),
        (errno.EACCES, Code.ACCESS_DENIED),
        (errno.EPERM, Code.ACCESS_DENIED),
        (errno.EEXIST, Code.ACCESS_DENIED),
        (errno.EISDIR, Code.ACCESS_DENIED),
        (errno.ENOTEMPTY, Code.ACCESS_DENIED),
        (errno.EBUSY, Code.ACCESS_DENIED),
        (errno.EMFILE, Code.DEVICE_BUSY),
        (errno.ENFILE, Code.DEVICE_BUSY),
        (errno.ENOMEM, Code.DEVICE_BUSY),
        (errno.ENODEV, Code.STORE_NOT_AVAILABLE),
        (errno.EIO, Code.GENERAL_ERROR),
        (errno.EINTR, Code.GENERAL_ERROR),
        (errno.EINVAL, Code.GENERAL_ERROR),
        (errno.ENAMETOOLONG, Code.GENERAL_ERROR),
        (None, Code.GENERAL_ERROR),
        (9999, Code.GENERAL_ERROR),
    ],
)
def test_each_error_has_its_code(number: int | None, code: Code) -> None:
    error = OSError(number, "why") if number else OSError("why")
    assert translate(error).code is code
    assert "why" in str(translate(error))


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENAMETOOLONG, errno.EILSEQ])
def test_a_name_that_the_file_system_cannot_hold(number: int) -> None:
    with (
        refused(Code.INVALID_DATASET),
        reporting(gone=Code.INVALID_PARENT_OBJECT, bad_name=Code.INVALID_DATASET),
    ):
        raise OSError(number, os.strerror(number))


def test_what_is_gone_can_be_a_folder() -> None:
    with refused(Code.INVALID_PARENT_OBJECT), reporting(gone=Code.INVALID_PARENT_OBJECT):
        raise FileNotFoundError(errno.ENOENT, "gone")


def test_gone_is_told_from_failing() -> None:
    assert is_gone(OSError(errno.ESTALE, ""))
    assert not is_gone(OSError(errno.EIO, ""))


@pytest.mark.parametrize(
    ("number", "is_trouble"),
    [(errno.EIO, True), (errno.EUCLEAN, True), (errno.ENOSPC, False), (errno.EROFS, False)],
)
def test_a_disk_that_fails_is_known(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
    is_trouble: bool,
) -> None:
    health = errors.Health()
    monkeypatch.setattr(errors, "HEALTH", health)
    translate(OSError(number, "words of the kernel"))
    assert health.trouble == ("words of the kernel" if is_trouble else "")
    assert ("DISK    failed: words of the kernel" in caplog.text) is is_trouble
