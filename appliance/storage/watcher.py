# SPDX-License-Identifier: GPL-3.0-or-later
"""What the table needs of a watch over its folders, and having none."""

from typing import Protocol


class Watcher(Protocol):
    """Follows what happens in folders; called with the store's lock held.

    `refusal` says why some or all folders are not watched that should be; "" where none.
    """

    @property
    def refusal(self) -> str:
        """The reason."""
        ...

    def follow(self, folder: int, fd: int) -> None:
        """Watch a folder, open as `fd`, from now on; where that cannot be, do without."""
        ...

    def unfollow(self, folder: int) -> None:
        """Watch a folder no more; harmless where it was not watched."""
        ...

    def hand_over(self, folder: int, new: int) -> None:
        """Watch a folder for another row that it has now."""
        ...

    def catch_up(self) -> None:
        """Bring the table up to what has happened until now."""
        ...

    def look_again(self, folder: int, name: bytes) -> None:
        """Look at a name in a folder that was left alone while something of ours was done to it."""
        ...

    def look_over(self, folder: int) -> None:
        """Look all over a folder soon, which may be another directory now."""
        ...

    def touch(self, storage_id: int) -> None:
        """Note that a storage's free space may have changed."""
        ...


class Unwatched:
    """No watch; for a reason, where one was wanted."""

    def __init__(self, refusal: str = "") -> None:
        self.refusal = refusal

    def follow(self, folder: int, fd: int) -> None:
        """Do without."""

    def unfollow(self, folder: int) -> None:
        """Do nothing."""

    def hand_over(self, folder: int, new: int) -> None:
        """Not mind: nothing is watched."""

    def catch_up(self) -> None:
        """Know of nothing."""

    def look_again(self, folder: int, name: bytes) -> None:
        """Not look."""

    def look_over(self, folder: int) -> None:
        """Not look."""

    def touch(self, storage_id: int) -> None:
        """Not mind."""
