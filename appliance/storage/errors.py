# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where an error of the file system becomes what an initiator is told."""

import errno
import logging
from collections.abc import Callable

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError

log = logging.getLogger(__name__)

_CODES = {
    errno.ENOSPC: ResponseCode.STORE_FULL,
    errno.EDQUOT: ResponseCode.STORE_FULL,
    errno.EFBIG: ResponseCode.OBJECT_TOO_LARGE,
    errno.EROFS: ResponseCode.STORE_READ_ONLY,
    errno.EACCES: ResponseCode.ACCESS_DENIED,
    errno.EPERM: ResponseCode.ACCESS_DENIED,
    errno.EEXIST: ResponseCode.ACCESS_DENIED,
    errno.EISDIR: ResponseCode.ACCESS_DENIED,
    errno.ENOTEMPTY: ResponseCode.ACCESS_DENIED,
    errno.EBUSY: ResponseCode.ACCESS_DENIED,
    errno.ETXTBSY: ResponseCode.ACCESS_DENIED,
    errno.EMFILE: ResponseCode.DEVICE_BUSY,
    errno.ENFILE: ResponseCode.DEVICE_BUSY,
    errno.ENOMEM: ResponseCode.DEVICE_BUSY,
    errno.EXDEV: ResponseCode.STORE_NOT_AVAILABLE,  # its disk came or went meanwhile
    errno.ENODEV: ResponseCode.STORE_NOT_AVAILABLE,
    errno.ENOTCONN: ResponseCode.STORE_NOT_AVAILABLE,
    errno.ESHUTDOWN: ResponseCode.STORE_NOT_AVAILABLE,
}
#: The object is gone, or something else stands in its place: a link (ELOOP), a socket (ENXIO).
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE, errno.ENXIO}
#: The file system cannot hold the name.
_BAD_NAME = {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}
#: What is told of an object that is gone, or whose storage is, or that is closed to us.
_AWAY = {
    ResponseCode.INVALID_OBJECT_HANDLE,
    ResponseCode.INVALID_PARENT_OBJECT,
    ResponseCode.STORE_NOT_AVAILABLE,
    ResponseCode.ACCESS_DENIED,
}
#: What a disk says that cannot be read or written any more, or a file system that is damaged.
_FAILING = {errno.EIO, errno.EUCLEAN, errno.EBADMSG}


class Health:
    """What a disk has last said that it cannot do, since the program started; "" for nothing."""

    trouble = ""

    def note(self, error: OSError) -> None:
        """Keep an error, if it is of that kind."""
        if error.errno in _FAILING:
            self.trouble = error.strerror or str(error)
            log.warning("DISK    failed: %s", self.trouble)


#: Of all disks that this process serves, for who tells a person of it.
HEALTH = Health()


def is_gone(error: OSError) -> bool:
    """Whether the error says that the object is not there (any more)."""
    return error.errno in _GONE


class reporting:  # noqa: N801 - it is used as a function is
    """Turn an OSError inside a block into MtpError.

    `gone` is what to tell where the object that the block works on is not there, `bad_name` where
    the file system cannot hold the name that the block makes. A class, for an upload has a dozen of
    them, and each is entered at a third of what a generator costs.
    """

    __slots__ = ("_bad_name", "_gone")

    def __init__(
        self,
        *,
        gone: ResponseCode = ResponseCode.INVALID_OBJECT_HANDLE,
        bad_name: ResponseCode = ResponseCode.GENERAL_ERROR,
    ) -> None:
        self._gone = gone
        self._bad_name = bad_name

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            raise translate(error, gone=self._gone, bad_name=self._bad_name) from error


class forgetting:  # noqa: N801
    """Report as `reporting` does; `forget` is called with a handle whose object is gone."""

    __slots__ = ("_forget", "_handle")

    def __init__(self, forget: Callable[[int], None], handle: int) -> None:
        self._forget = forget
        self._handle = handle

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            if is_gone(error):
                self._forget(self._handle)
            raise translate(error) from error
        if isinstance(error, MtpError) and error.code is ResponseCode.INVALID_OBJECT_HANDLE:
            self._forget(self._handle)


class skipping:  # noqa: N801
    """Pass over what is not there, or closed to us; not over a disk that fails."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        return isinstance(error, MtpError) and error.code in _AWAY


def translate(
    error: OSError,
    *,
    gone: ResponseCode = ResponseCode.INVALID_OBJECT_HANDLE,
    bad_name: ResponseCode = ResponseCode.GENERAL_ERROR,
) -> MtpError:
    """Find the response code for an OSError; the log gets the system's own words."""
    HEALTH.note(error)
    if error.errno in _GONE:
        code = gone
    elif error.errno in _BAD_NAME:
        code = bad_name
    else:
        code = _CODES.get(error.errno or 0, ResponseCode.GENERAL_ERROR)
    return MtpError(code, error.strerror or str(error))
