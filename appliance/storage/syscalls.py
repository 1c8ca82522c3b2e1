# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls that Python has no function for: renameat2, statx, syncfs and others."""

import ctypes
import errno
import os
import struct

_libc = ctypes.CDLL(None, use_errno=True)
_HAS_RENAMEAT2 = hasattr(_libc, "renameat2")  # not every C library has it
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_HANDLE_BYTES = 128
#: File systems without the flag say one of these.
_NO_FLAG = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


def rename_new(source_fd: int, source: bytes, target_fd: int, target: bytes) -> None:
    """Rename, but never over something that is there: then FileExistsError.

    Where the file system cannot promise that, it is looked at before.
    """
    error = _renameat2(source_fd, source, target_fd, target)
    if error == 0:
        return
    if error not in _NO_FLAG:
        raise OSError(error, os.strerror(error))
    try:
        os.stat(target, dir_fd=target_fd, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def exchange(first_fd: int, first: bytes, second_fd: int, second: bytes) -> bool:
    """Let two names change places in one step; False where the file system cannot do that."""
    error = _renameat2(first_fd, first, second_fd, second, _RENAME_EXCHANGE)
    if error and error not in _NO_FLAG:
        raise OSError(error, os.strerror(error))
    return error == 0


def _renameat2(
    source_fd: int, source: bytes, target_fd: int, target: bytes, flag: int = _RENAME_NOREPLACE
) -> int:
    """Call it; 0, or the number of the error."""
    if not _HAS_RENAMEAT2:
        return errno.ENOSYS
    if _libc.renameat2(source_fd, source, target_fd, target, ctypes.c_uint(flag)) == 0:
        return 0
    return ctypes.get_errno()


#: The head of `struct file_handle`: bytes that follow, and their type.
_FILE_HANDLE = struct.Struct("=Ii")
_FILE_HANDLE_ROOM = _FILE_HANDLE.pack(_HANDLE_BYTES, 0) + bytes(_HANDLE_BYTES)


def file_handle(directory_fd: int, name: bytes) -> bytes | None:
    """Ask for the kernel's own lasting name of a file, as NFS servers use it.

    It holds the inode and its generation, so that a later file with the same inode has another.
    None where the file system has no such names.
    """
    handle = ctypes.create_string_buffer(_FILE_HANDLE_ROOM)
    mount = ctypes.c_int()
    if _libc.name_to_handle_at(directory_fd, name, handle, ctypes.byref(mount), 0):
        error = ctypes.get_errno()
        if error in (errno.EOPNOTSUPP, errno.EOVERFLOW, errno.ENOSYS, errno.EPERM):
            return None
        raise OSError(error, os.strerror(error))
    size, _ = _FILE_HANDLE.unpack_from(handle)
    return handle.raw[_FILE_HANDLE.size : _FILE_HANDLE.size + size]


#: Magic number (linux/magic.h) of FAT.
_FAT = 0x4D44
#: Those of file systems that make inode numbers up, another one each time that a file is read in:
#: FAT, exFAT (`iunique`); FUSE and CIFS where their servers give none.
_MAKES_NUMBERS_UP = {_FAT, 0x2011BAB0, 0x65735546, 0xFF534D42}
_STATFS_ROOM = 256


def keeps_inode_numbers(fd: int) -> bool:
    """Whether a file can be known again by its inode number on an open file's file system."""
    return _file_system_magic(fd) not in _MAKES_NUMBERS_UP


def is_fat(fd: int) -> bool:
    """Whether an open file lies on FAT (vfat, msdos)."""
    return _file_system_magic(fd) == _FAT


def _file_system_magic(fd: int) -> int:
    """Ask for `f_type`, the first field of `struct statfs`; 0 where it is not told."""
    buffer = ctypes.create_string_buffer(_STATFS_ROOM)
    if _libc.fstatfs(fd, buffer):
        return 0
    return ctypes.c_ulong.from_buffer(buffer).value & 0xFFFFFFFF


_AT_SYMLINK_NOFOLLOW = 0x100
_STATX_BTIME = 0x800
_Statx = ctypes.c_char * 256
_MASK = struct.Struct("=I")
#: `stx_btime` of `struct statx`: seconds and nanoseconds.
_BIRTH = struct.Struct("=qI")
_BIRTH_OFFSET = 80
_HAS_STATX = hasattr(_libc, "statx")


def birth_time(directory_fd: int, name: bytes) -> float | None:
    """Ask when a file was made on its file system (Unix seconds); None where that is not kept."""
    buffer = _Statx()
    if not _HAS_STATX or _libc.statx(
        directory_fd, name, _AT_SYMLINK_NOFOLLOW, _STATX_BTIME, buffer
    ):
        return None
    if not _MASK.unpack_from(buffer)[0] & _STATX_BTIME:
        return None
    seconds, nanoseconds = _BIRTH.unpack_from(buffer, _BIRTH_OFFSET)
    return float(seconds + nanoseconds / 1e9)


_SYNC_FILE_RANGE_WRITE = 2
_HAS_SYNC_FILE_RANGE = hasattr(_libc, "sync_file_range")


def start_writing_out(fd: int, offset: int, count: int) -> None:
    """Let the kernel begin to bring a part of a file to the disk, so that a later sync is short.

    It promises nothing, and what goes wrong with it the later sync will tell.
    """
    if _HAS_SYNC_FILE_RANGE:
        _libc.sync_file_range(
            fd, ctypes.c_int64(offset), ctypes.c_int64(count), _SYNC_FILE_RANGE_WRITE
        )


def sync_file_system(fd: int) -> None:
    """Bring all that was written to a file system to the disk, in one go. Raises OSError."""
    if _libc.syncfs(fd):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
