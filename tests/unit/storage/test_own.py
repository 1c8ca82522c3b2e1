# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known as our own doing, and for how long."""

import os
from pathlib import Path

from appliance.storage.own import OwnChanges


class _Edit:
    handle = 5

    def __init__(self, file: Path) -> None:
        self._file = file.stat()

    def is_of(self, status: os.stat_result) -> bool:
        return os.path.samestat(self._file, status)


def test_a_note_is_for_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    own = OwnChanges()
    assert not own.is_own(1, file.stat())
    own.note(1, file.stat())
    assert own.is_own(1, file.stat())
    assert not own.is_own(2, file.stat())
    file.write_text("1")
    assert not own.is_own(1, file.stat())
    own.note(1, file.stat())
    os.utime(file, (1, 1))
    assert not own.is_own(1, file.stat())
    own.note(1, file.stat())
    file.chmod(0o400)
    assert not own.is_own(1, file.stat())
    own.note(1, file.stat())
    own.forget(1)
    assert not own.is_own(1, file.stat())


def test_what_comes_into_a_folder_does_not_make_it_anothers(tmp_path: Path) -> None:
    own = OwnChanges()
    own.note(1, tmp_path.stat())
    (tmp_path / "file").touch()
    assert own.is_own(1, tmp_path.stat())


def test_which_file_a_row_may_be(tmp_path: Path) -> None:
    own = OwnChanges()
    one, other = tmp_path / "one", tmp_path / "other"
    one.touch()
    other.touch()
    assert own.may_be(1, other.stat())
    own.note(1, one.stat())
    one.write_text("changed")
    assert own.may_be(1, one.stat())
    assert not own.may_be(1, other.stat())


def test_notes_are_few_and_do_not_last(tmp_path: Path) -> None:
    now = 100.0
    own = OwnChanges(lambda: now)
    status = tmp_path.stat()
    for handle in range(5000):
        own.note(handle, status)
    assert len(own._notes) == 1024
    assert not own.is_own(0, status)
    assert own.is_own(4999, status)
    now += 11
    assert not own.is_own(4999, status)
    own.note(1, status)
    assert len(own._notes) == 1


def test_edits(tmp_path: Path) -> None:
    own = OwnChanges()
    edit = _Edit(tmp_path)
    own.begin_edit(edit)
    assert own.is_own(5, tmp_path.stat())
    assert not own.is_own(5, Path(__file__).stat())  # another one has taken its place
    own.end_edit(edit, Path(__file__).stat())
    assert not own.is_own(5, tmp_path.stat())
    assert own.is_own(5, Path(__file__).stat())
    lost = _Edit(tmp_path)
    own.begin_edit(lost)
    own.end_edit(lost, None)
    assert not own.is_own(5, tmp_path.stat())
    forgotten = _Edit(tmp_path)
    own.begin_edit(forgotten)
    del forgotten
    assert not own.is_own(5, tmp_path.stat())


def test_what_is_done_by_another_handle_of_the_object(tmp_path: Path) -> None:
    own = OwnChanges(current=lambda handle: 7 if handle == 5 else handle)
    own.note(5, tmp_path.stat())
    assert own.is_own(7, tmp_path.stat())
    edit = _Edit(Path(__file__))
    own.begin_edit(edit)
    assert own.is_own(7, Path(__file__).stat())


def test_leaving() -> None:
    own = OwnChanges()
    with own.leaving(3), own.leaving(3):
        with own.leaving(4):
            assert own.is_leaving(4)
        assert own.is_leaving(3)
        assert not own.is_leaving(4)
        assert not own.is_emptied([3, 1])
    assert not own.is_leaving(3)


def test_a_folder_is_emptied_until_all_who_do_so_have_ended() -> None:
    own = OwnChanges()
    with own.emptying(3), own.emptying(3):
        with own.emptying(4):
            assert own.is_emptied([9, 4])
        assert own.is_emptied([3, 1])
        assert not own.is_emptied([4, 1])
        assert not own.is_leaving(3)
    assert not own.is_emptied([3, 4])
