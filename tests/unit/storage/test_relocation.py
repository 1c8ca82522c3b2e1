# SPDX-License-Identifier: GPL-3.0-or-later
import errno
import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.mtp.codes import ResponseCode as Code
from appliance.mtp.ports import ChangeKind
from appliance.storage import Catalogue, Folder, relocation, removal, survey, syscalls, trees
from appliance.storage.survey import Survey
from tests.unit.storage.conftest import Mount
from tests.unit.storage.ear import Ear
from tests.unit.storage.helpers import (
    AT_REST,
    FIRST,
    SECOND,
    WORKPLACE,
    content,
    find,
    leftovers,
    names,
    open_descriptors,
    put,
    refused,
)


@pytest.fixture
def tree(root: Path) -> Path:
    """A folder with files of several dates and permissions on three levels."""
    folder = root / "tree"
    (folder / "a" / "b").mkdir(parents=True)
    for number, place in enumerate(("one", "a/two", "a/b/three", ".hidden")):
        (folder / place).write_text(place)
        (folder / place).chmod(0o640 + number)
        os.utime(folder / place, ns=(AT_REST, AT_REST + number))
    (folder / "a" / "b").chmod(0o750)
    os.utime(folder / "a" / "b", ns=(AT_REST, AT_REST + 10))
    return folder


def shape(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Names with mode, date and content."""
    found = {}
    for path in folder.rglob("*"):
        status = path.stat()
        text = path.read_text() if path.is_file() else ""
        found[str(path.relative_to(folder))] = (
            stat.S_IMODE(status.st_mode),
            status.st_mtime_ns,
            text,
        )
    return found


# Renaming


@pytest.mark.parametrize("name", ["file", "folder"])
def test_an_object_is_renamed(store: Catalogue, root: Path, name: str) -> None:
    (root / "folder" / "below").mkdir(parents=True)
    (root / "file").write_text("1")
    handle, below = find(store, name), find(store, "folder/below")
    store.rename(handle, "new name")
    assert (root / "new name").exists()
    assert not (root / name).exists()
    assert store.entry(handle).name == "new name"
    assert find(store, "new name") == handle
    store.record(below)


def test_the_same_name_again_is_no_change(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = put(store, "file")
    monkeypatch.setattr(syscalls, "rename_new", None)
    store.rename(handle, "file")
    assert (root / "file").exists()


def test_the_name_of_what_is_gone_from_the_device(store: Catalogue, root: Path) -> None:
    for name in ("a gone one", "file"):
        (root / name).write_text(name)
    gone, handle = store.children(FIRST, 0)
    ear = Ear(store, root)
    (root / "a gone one").unlink()
    store.rename(handle, "a gone one")
    assert list(store.children(FIRST, 0)) == [handle]
    assert content(store, handle) == b"file"
    assert ear.told == [(ChangeKind.REMOVED, gone)]


@pytest.mark.parametrize("disks", ["both", "far"])
def test_a_move_to_the_name_of_what_is_gone_from_the_device(
    request: pytest.FixtureRequest, root: Path, second: Path, disks: str
) -> None:
    store: Catalogue = request.getfixturevalue(disks)
    for each in (root, second):
        (each / "file").write_text(each.name)
    gone, handle = find(store, "file"), find(store, "file", storage=SECOND)
    ear = Ear(store, root)
    (root / "file").unlink()
    store.move(handle, FIRST, 0)
    assert list(store.children(FIRST, 0)) == [handle]
    assert content(store, handle) == second.name.encode()
    assert ear.told == [(ChangeKind.REMOVED, gone)]


def test_a_folder_by_the_name_of_a_file_that_is_gone_from_the_device(
    store: Catalogue, root: Path
) -> None:
    gone = put(store, "name")
    ear = Ear(store, root)
    (root / "name").unlink()
    made = store.make_folder(FIRST, 0, "name", modified=None)
    assert list(store.children(FIRST, 0)) == [made.handle]
    assert ear.told == [(ChangeKind.REMOVED, gone)]


@pytest.mark.parametrize("taken", ["file", "folder", "link"])
def test_a_taken_name_is_refused(store: Catalogue, root: Path, taken: str) -> None:
    (root / "file").write_text("1")
    (root / "folder").mkdir()
    (root / "link").symlink_to("nowhere")
    handle = put(store, "other", b"2")
    with refused(Code.INVALID_OBJECT_PROP_VALUE):
        store.rename(handle, taken)
    assert (root / "file").read_text() == "1"
    assert content(store, handle) == b"2"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\0b", "\ud800", "x" * 256])
def test_a_name_that_is_none(store: Catalogue, root: Path, name: str) -> None:
    handle = put(store, "file")
    with refused(Code.INVALID_OBJECT_PROP_VALUE):
        store.rename(handle, name)
    assert (root / "file").exists()


@pytest.mark.parametrize("fault", [errno.EINVAL, errno.ENAMETOOLONG])
def test_a_name_that_the_file_system_cannot_hold(
    store: Catalogue, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    handle = put(store, "file")

    def failing(*_: object, **__: object) -> None:
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(syscalls, "rename_new", failing)
    with refused(Code.INVALID_OBJECT_PROP_VALUE):
        store.rename(handle, "a:b")


@pytest.mark.parametrize("late", [False, True])
def test_a_name_in_other_letters_on_a_file_system_that_folds_them(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch, *, late: bool
) -> None:
    """As on FAT: the new name is there already, and it is the old one."""
    handle = put(store, "file", b"1")
    status, rename = os.stat, syscalls._renameat2

    def folding(source_fd: int, source: bytes, target_fd: int, target: bytes) -> int:
        if source.lower() == target.lower() or (late and target == b"FILE"):
            return errno.EEXIST
        return rename(source_fd, source, target_fd, target)

    def fold(name: bytes, *, dir_fd: int, follow_symlinks: bool) -> os.stat_result:
        known = b"file" if name == b"FILE" else name
        return status(known, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    with monkeypatch.context() as patch:
        patch.setattr(syscalls, "_renameat2", folding)
        patch.setattr(os, "stat", fold)
        if late:
            with refused(Code.INVALID_OBJECT_PROP_VALUE):
                store.rename(handle, "FILE")
        else:
            store.rename(handle, "FILE")
    expected = "file" if late else "FILE"
    assert [path.name for path in root.iterdir() if path.name != WORKPLACE] == [expected]
    assert content(store, handle) == b"1"


def test_two_links_to_one_file_are_two_names(store: Catalogue, root: Path) -> None:
    (root / "a").touch()
    (root / "b").hardlink_to(root / "a")
    with refused(Code.INVALID_OBJECT_PROP_VALUE):
        store.rename(find(store, "a"), "b")
    assert sorted(path.name for path in root.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("act", ["rename", "move"])
@pytest.mark.parametrize("name", ["file", "folder"])
def test_what_is_protected_is_not_changed(
    store: Catalogue, root: Path, act: str, name: str
) -> None:
    (root / "target").mkdir()
    (root / "file").touch(0o444)
    (root / "folder").mkdir(0o555)
    handle, target = find(store, name), find(store, "target")
    with refused(Code.OBJECT_WRITE_PROTECTED):
        store.rename(handle, "new") if act == "rename" else store.move(handle, FIRST, target)
    assert (root / name).exists()


# Moving


def test_a_tree_is_moved_and_all_handles_stay(store: Catalogue, tree: Path, root: Path) -> None:
    (root / "target").mkdir()
    before = shape(tree)
    handles = {path: find(store, f"tree/{path}") for path in ("a", "a/two", "a/b", "a/b/three")}
    top, target = find(store, "tree"), find(store, "target")
    store.move(top, FIRST, target)
    assert shape(root / "target" / "tree") == before
    assert not tree.exists()
    assert names(store) == ["target"]
    assert store.entry(top).parent == target
    for path, handle in handles.items():
        assert find(store, f"target/tree/{path}") == handle
    assert content(store, handles["a/b/three"]) == b"a/b/three"


def test_a_move_to_where_it_is_changes_nothing(store: Catalogue, tree: Path) -> None:
    handle = find(store, "tree/one")
    store.move(handle, FIRST, find(store, "tree"))
    assert find(store, "tree/one") == handle


@pytest.mark.parametrize("act", ["move", "copy"])
@pytest.mark.parametrize("target", ["tree", "tree/a", "tree/a/b"])
def test_a_folder_does_not_go_into_itself(
    store: Catalogue, tree: Path, root: Path, *, act: str, target: str
) -> None:
    before = shape(root)
    with refused(Code.INVALID_PARENT_OBJECT):
        getattr(store, act)(find(store, "tree"), FIRST, find(store, target))
    assert shape(root) == before


@pytest.mark.parametrize("act", ["move", "copy"])
@pytest.mark.parametrize("taken", ["file", "folder", "link"])
def test_nothing_is_overwritten(store: Catalogue, root: Path, *, act: str, taken: str) -> None:
    target = store.make_folder(FIRST, 0, "target", modified=None).handle
    handle = put(store, "name", b"mine")
    if taken == "file":
        (root / "target" / "name").write_text("theirs")
    elif taken == "folder":
        (root / "target" / "name").mkdir()
    else:
        (root / "target" / "name").symlink_to("nowhere")
    with refused(Code.ACCESS_DENIED):
        getattr(store, act)(handle, FIRST, target)
    assert content(store, handle) == b"mine"
    assert leftovers(root) == []


@pytest.mark.parametrize("act", ["move", "copy"])
def test_a_name_that_is_taken_at_the_last_moment(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    target = store.make_folder(FIRST, 0, "target", modified=None).handle
    handle = put(store, "name", b"mine")
    rename = syscalls._renameat2

    def late(source_fd: int, source: bytes, target_fd: int, name: bytes) -> int:
        (root / "target" / "name").write_text("theirs")
        return rename(source_fd, source, target_fd, name)

    monkeypatch.setattr(syscalls, "_renameat2", late)
    with refused(Code.ACCESS_DENIED):
        getattr(store, act)(handle, FIRST, target)
    assert (root / "target" / "name").read_text() == "theirs"
    assert content(store, handle) == b"mine"
    assert leftovers(root) == []


@pytest.mark.parametrize("act", ["move", "copy", "rename"])
def test_what_is_not_there(store: Catalogue, act: str) -> None:
    folder = store.make_folder(FIRST, 0, "folder", modified=None).handle
    for handle in (0, 99, 0xFFFFFFFF):
        with refused(Code.INVALID_OBJECT_HANDLE):
            if act == "rename":
                store.rename(handle, "new")
            else:
                getattr(store, act)(handle, FIRST, folder)


@pytest.mark.parametrize("act", ["move", "copy"])
def test_a_file_is_no_target(store: Catalogue, act: str) -> None:
    file, other = put(store, "file"), put(store, "other")
    with refused(Code.INVALID_PARENT_OBJECT):
        getattr(store, act)(file, FIRST, other)
    with refused(Code.INVALID_STORAGE_ID):
        getattr(store, act)(file, SECOND, 0)


def test_a_tree_goes_to_another_storage_of_the_file_system(
    both: Catalogue, tree: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shape(tree)
    handle, inner = find(both, "tree"), find(both, "tree/a/two")
    monkeypatch.setattr(trees, "copy", None)  # a rename does
    both.move(handle, SECOND, 0)
    assert shape(second / "tree") == before
    assert both.entry(inner).storage_id == SECOND
    assert find(both, "tree/a/two", storage=SECOND) == inner


def test_a_tree_goes_to_another_file_system(far: Catalogue, tree: Path, second: Path) -> None:
    before = shape(tree)
    handle, inner = find(far, "tree"), find(far, "tree/a/two")
    far.move(handle, SECOND, 0)
    assert shape(second / "tree") == before
    assert not tree.exists()
    assert names(far) == []
    assert names(far, storage=SECOND) == ["tree"]
    assert far.entry(handle).storage_id == SECOND
    assert find(far, "tree/a/two", storage=SECOND) == inner
    assert content(far, inner) == b"a/two"
    assert leftovers(tree.parent) == leftovers(second) == []


class _Renumbered:
    """What a file looks like, or an entry of a folder, with an inode number that it never had."""

    numbers = itertools.count(1 << 40)

    def __init__(self, seen: Any) -> None:
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        return next(self.numbers) if name == "st_ino" else getattr(self._seen, name)

    def stat(self, **named: Any) -> Any:
        return _Renumbered(self._seen.stat(**named))


@pytest.fixture(params=["FAT", "exFAT"])
def renumbering(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget each file as soon as it was looked at, as FAT does with little memory."""
    look, scandir = os.stat, os.scandir

    @contextmanager
    def renumbered(fd: int) -> Iterator[Iterator[_Renumbered]]:
        with scandir(fd) as entries:
            yield map(_Renumbered, entries)

    def scanning(place: Any) -> Any:
        return renumbered(place) if isinstance(place, int) else scandir(place)

    monkeypatch.setattr(os, "stat", lambda *args, **named: _Renumbered(look(*args, **named)))
    monkeypatch.setattr(os, "scandir", scanning)
    magic = {"FAT": 0x4D44, "exFAT": 0x2011BAB0}[request.param]
    monkeypatch.setattr(syscalls, "_file_system_magic", lambda _: magic, raising=False)


@pytest.mark.parametrize("name", ["tree", "tree/a/two"])
@pytest.mark.usefixtures("renumbering")
def test_inode_numbers_that_do_not_last_keep_nothing_back(
    far: Catalogue, tree: Path, second: Path, name: str
) -> None:
    handle = find(far, name)
    far.move(handle, SECOND, 0)
    assert not (tree.parent / name).exists()
    assert (second / Path(name).name).exists()
    assert names(far, storage=SECOND) == [Path(name).name]
    assert leftovers(tree.parent) == leftovers(second) == []


@pytest.mark.usefixtures("renumbering")
def test_what_changes_in_a_tree_is_kept_where_inode_numbers_do_not_last(
    far: Catalogue, tree: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = trees.copy

    def changing(*arguments: Any) -> None:
        copy(*arguments)
        (tree / "a" / "two").write_text("newer")

    monkeypatch.setattr(trees, "copy", changing)
    far.move(find(far, "tree"), SECOND, 0)
    assert (tree / "a" / "two").read_text() == "newer"
    assert (second / "tree" / "a" / "two").read_text() == "a/two"


def test_a_file_that_is_replaced_by_one_that_looks_the_same_is_kept(
    far: Catalogue, tree: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As what changes a photo's data and leaves its size and date does it."""
    copy, file = trees.copy, tree / "a" / "two"

    def changing(*arguments: Any) -> None:
        copy(*arguments)
        before = file.stat()
        (tree / "a" / "next").write_text("A/TWO")
        os.utime(tree / "a" / "next", ns=(before.st_atime_ns, before.st_mtime_ns))
        (tree / "a" / "next").rename(file)

    monkeypatch.setattr(trees, "copy", changing)
    far.move(find(far, "tree"), SECOND, 0)
    assert file.read_text() == "A/TWO"


def test_what_the_device_protects_in_a_tree_on_its_way_is_kept(
    far: Catalogue, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = trees.copy

    def protecting(*arguments: Any) -> None:
        copy(*arguments)
        (tree / "a" / "two").chmod(0o444)

    monkeypatch.setattr(trees, "copy", protecting)
    far.move(find(far, "tree"), SECOND, 0)
    assert far.record(find(far, "tree/a/two")).protected


def test_a_file_that_changes_while_it_goes_to_another_file_system(
    far: Catalogue, root: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = put(far, "file", b"old")
    copy = trees.copy

    def changing(*arguments: object) -> None:
        copy(*arguments)  # type: ignore[arg-type]
        (root / "file").write_text("newer")

    monkeypatch.setattr(trees, "copy", changing)
    with refused(Code.DEVICE_BUSY):
        far.move(handle, SECOND, 0)
    assert (root / "file").read_text() == "newer"
    assert names(far, storage=SECOND) == []
    assert leftovers(root) == leftovers(second) == []
    assert find(far, "file") == handle


def test_a_copy_that_does_not_reach_the_disk_costs_nothing(
    far: Catalogue, tree: Path, root: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shape(tree)
    handle = find(far, "tree")
    far.children(SECOND, 0)

    def failing(_: int) -> None:
        raise OSError(errno.EIO, "bad sector")

    monkeypatch.setattr(relocation, "sync", failing)
    with refused(Code.GENERAL_ERROR):
        far.move(handle, SECOND, 0)
    assert shape(tree) == before
    assert names(far, storage=SECOND) == []
    assert leftovers(root) == leftovers(second) == []
    with refused(Code.GENERAL_ERROR):
        far.copy(handle, SECOND, 0)
    assert names(far, storage=SECOND) == ["tree"]  # whole, and its copying is not said to be done


def test_what_cannot_leave_its_file_system_does_not_arrive_either(
    far: Catalogue, tree: Path, root: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shape(tree)
    handle = find(far, "tree")
    rename = syscalls._renameat2

    def staying(source_fd: int, source: bytes, target_fd: int, target: bytes) -> int:
        if Path(f"/proc/self/fd/{source_fd}").readlink() == root and target != b"tree":
            return errno.EACCES
        return rename(source_fd, source, target_fd, target)

    monkeypatch.setattr(syscalls, "_renameat2", staying)
    with refused(Code.ACCESS_DENIED):
        far.move(handle, SECOND, 0)
    assert shape(tree) == before
    assert names(far, storage=SECOND) == []
    assert leftovers(root) == leftovers(second) == []
    assert far.entry(handle).storage_id == FIRST


def test_the_other_file_system_is_full(
    far: Catalogue, tree: Path, root: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if far.storage(SECOND).capacity > 4 << 20:  # nothing could be mounted
        size = far.storage(SECOND).free + (1 << 40)
    else:
        size = 6 << 20
    with (tree / "big").open("wb") as file:
        file.truncate(size)
    monkeypatch.setattr(trees, "copy", None)  # it is not even tried
    for act in (far.move, far.copy):
        with refused(Code.STORE_FULL):
            act(find(far, "tree/big"), SECOND, 0)
    assert (tree / "big").stat().st_size == size
    assert leftovers(root) == leftovers(second) == []


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EDQUOT])
def test_the_disk_fills_while_a_tree_is_copied(
    store: Catalogue, tree: Path, root: Path, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    copy_range = os.copy_file_range
    left = [2]

    def limited(source: int, target: int, count: int) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(fault, os.strerror(fault))
        return copy_range(source, target, count)

    monkeypatch.setattr(os, "copy_file_range", limited)
    target = store.make_folder(FIRST, 0, "target", modified=None).handle
    with refused(Code.STORE_FULL):
        store.copy(find(store, "tree"), FIRST, target)
    assert names(store, target) == []
    assert leftovers(root) == []


# Copying


@pytest.mark.parametrize("no_range", [None, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP])
def test_a_tree_is_copied(
    store: Catalogue, tree: Path, root: Path, monkeypatch: pytest.MonkeyPatch, no_range: int | None
) -> None:
    if no_range:

        def failing(*_: object) -> int:
            raise OSError(no_range, "no such call here")

        monkeypatch.setattr(os, "copy_file_range", failing)
    handle = find(store, "tree")
    target = store.make_folder(FIRST, 0, "target", modified=None).handle
    descriptors = open_descriptors()
    copied = store.copy(handle, FIRST, target)
    assert open_descriptors() - descriptors < 4
    assert shape(root / "target" / "tree") == shape(tree)
    assert copied != handle
    assert find(store, "target/tree") == copied
    assert content(store, find(store, "target/tree/a/b/three")) == b"a/b/three"
    assert leftovers(root) == []


@pytest.mark.parametrize("told", [False, True], ids=["just now", "before"])
@pytest.mark.parametrize("renew", [False, True])
@pytest.mark.parametrize("act", ["move", "copy"])
def test_the_device_renames_folders_while_a_tree_is_copied(
    tree: Path, monkeypatch: pytest.MonkeyPatch, *, act: str, renew: bool, told: bool
) -> None:
    """The folder to which it goes, and the one in which it lies."""
    root, before, copy = tree.parent, shape(tree), trees.copy
    for name in ("from", "to"):
        (root / name).mkdir()
    tree.rename(root / "from" / "tree")
    with Catalogue([Folder(root, "Card")], watch=True, renew=renew) as store:
        handle, target = find(store, "from/tree"), find(store, "to")
        ear = Ear(store, root)

        def copying(*arguments: Any) -> None:
            copy(*arguments)
            for name in ("from", "to"):
                (root / name).rename(root / f"{name} 2")
            if told:
                ear.all()

        monkeypatch.setattr(trees, "copy", copying)
        monkeypatch.setattr(relocation.Relocation, "_move_by_rename", lambda *_: ())
        getattr(store, act)(handle, FIRST, target)
        assert shape(root / "to 2" / "tree") == before
        assert names(store, find(store, "to 2")) == ["tree"]
        assert names(store, find(store, "from 2")) == (["tree"] if act == "copy" else [])
        assert len(list(store.tree(FIRST))) == len(set(store.tree(FIRST)))
    assert leftovers(root) == []


@pytest.mark.parametrize("taken", [False, True])
def test_what_comes_into_a_tree_on_its_way_is_not_lost(
    far: Catalogue, tree: Path, second: Path, monkeypatch: pytest.MonkeyPatch, *, taken: bool
) -> None:
    root, handle = tree.parent, find(far, tree.name)
    (tree / "inner").mkdir(exist_ok=True)
    copy, look = trees.copy, survey.look_ahead

    def copying(*arguments: Any) -> None:
        copy(*arguments)
        (tree / "inner" / "late").write_text("precious")

    def looking(*arguments: Any, **named: Any) -> Survey:
        if taken and not tree.exists():
            tree.mkdir()
        return look(*arguments, **named)

    monkeypatch.setattr(trees, "copy", copying)
    monkeypatch.setattr(survey, "look_ahead", looking)
    far.move(handle, SECOND, 0)
    assert far.entry(handle).storage_id == SECOND
    assert (second / tree.name).exists()
    (kept,) = root.glob(f"{tree.name}*/inner/late")
    assert kept.read_text() == "precious"
    assert kept.parent.parent.name in names(far)


@pytest.fixture
def odd(tree: Path) -> Path:
    """The tree, with things in it that no copy has."""
    (tree / "link").symlink_to("one")
    (tree / "a" / "dangling").symlink_to("/nowhere")
    os.mkfifo(tree / "a" / "b" / "pipe")
    (tree / "c" / WORKPLACE / "trash" / "files").mkdir(parents=True)
    (tree / "c" / WORKPLACE / "trash" / "files" / "precious").write_text("precious")
    return tree


ODD = ["a/b/pipe", "a/dangling", f"c/{WORKPLACE}/trash/files/precious", "link"]


def found(folder: Path) -> list[str]:
    """All in a tree but folders."""
    paths = folder.rglob("*")
    return sorted(
        str(each.relative_to(folder)) for each in paths if each.is_symlink() or not each.is_dir()
    )


def test_what_is_not_copied_to_another_disk_stays_where_it_was(
    far: Catalogue, odd: Path, second: Path
) -> None:
    handle, inner = find(far, "tree"), find(far, "tree/a/two")
    far.move(handle, SECOND, 0)
    assert found(second / "tree") == [".hidden", "a/b/three", "a/two", "one"]
    assert found(odd) == ODD
    assert (odd / "link").readlink() == Path("one")
    assert find(far, "tree", storage=SECOND) == handle
    assert find(far, "tree/a/two", storage=SECOND) == inner
    assert content(far, inner) == b"a/two"
    assert names(far) == ["tree"]
    assert find(far, "tree") not in (0, handle)
    assert names(far, find(far, "tree")) == ["a", "c"]
    assert leftovers(odd.parent) == leftovers(second) == []
    (odd / "a" / "b" / "pipe").unlink()
    far.delete(find(far, "tree/a/b"))
    assert names(far, find(far, "tree/a")) == []


def test_a_disk_that_is_mounted_in_a_folder_stays_when_that_is_moved(
    far: Catalogue, tree: Path, second: Path, mounted: Mount
) -> None:
    (tree / "a" / "disk").mkdir()
    mounted(tree / "a" / "disk")
    far.move(find(far, "tree"), SECOND, 0)
    assert found(second / "tree") == [".hidden", "a/b/three", "a/two", "one"]
    assert found(tree) == []
    assert (tree / "a" / "disk").exists()
    assert leftovers(tree.parent) == leftovers(second) == []


def test_a_folder_of_nothing_that_is_copied(far: Catalogue, root: Path, second: Path) -> None:
    (root / "tree").mkdir()
    (root / "tree" / "link").symlink_to("nowhere")
    far.move(find(far, "tree"), SECOND, 0)
    assert found(root / "tree") == ["link"]
    assert list((second / "tree").iterdir()) == []
    assert leftovers(root) == leftovers(second) == []


@pytest.mark.parametrize("what", ["file", "link"])
def test_what_comes_into_a_folder_that_is_taken_apart(
    far: Catalogue, odd: Path, second: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    copy = trees.copy

    def copying(*arguments: Any) -> None:
        copy(*arguments)
        late = odd / "a" / "late"
        late.write_text("precious") if what == "file" else late.symlink_to("/")

    monkeypatch.setattr(trees, "copy", copying)
    far.move(find(far, "tree"), SECOND, 0)
    (late,) = odd.parent.glob("tree*/a/late")
    assert late.read_text() == "precious" if what == "file" else late.readlink() == Path("/")
    assert found(odd) == ODD
    assert found(second / "tree") == [".hidden", "a/b/three", "a/two", "one"]
    assert late.parent.parent.name in names(far)


def test_a_link_that_comes_into_a_plain_folder_on_its_way(
    far: Catalogue, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = trees.copy

    def copying(*arguments: Any) -> None:
        copy(*arguments)
        (tree / "a" / "late").symlink_to("precious")

    monkeypatch.setattr(trees, "copy", copying)
    far.move(find(far, "tree"), SECOND, 0)
    assert (tree / "a" / "late").is_symlink()


@pytest.mark.parametrize("step", range(1, 12))
def test_a_power_cut_while_a_folder_is_taken_apart(
    far: Catalogue, odd: Path, second: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Before each rename, and before what was copied is removed."""
    rename, count = syscalls._renameat2, [0]

    class PowerCutError(BaseException):
        pass

    def cut(*arguments: Any) -> int:
        count[0] += 1
        if count[0] == step:
            raise PowerCutError
        return rename(*arguments)

    def no_more(*_: object) -> int:
        raise PowerCutError

    with monkeypatch.context() as patch, pytest.raises(PowerCutError):
        patch.setattr(syscalls, "_renameat2", cut)
        patch.setattr(removal, "clear_away", no_more)
        far.move(find(far, "tree"), SECOND, 0)
    for folder in (odd.parent, second):
        Catalogue([Folder(folder, "Again")]).close()
    assert set(found(odd)) >= set(ODD)
    whole = [".hidden", "a/b/three", "a/two", "one"]
    assert set(whole) <= set(found(odd)) or found(second / "tree") == whole


def test_what_is_left_of_a_folder_is_told_and_followed(
    far: Catalogue, odd: Path, root: Path, second: Path
) -> None:
    far.close()
    folders = [Folder(root, "Card"), Folder(second, "Stick")]
    with Catalogue(folders, watch=True) as store:
        ear = Ear(store, root)
        handle, inner = find(store, "tree"), find(store, "tree/a")
        names(store, inner)
        names(store, storage=SECOND)
        store.move(handle, SECOND, 0)
        left = find(store, "tree")
        assert (ChangeKind.ADDED, left) in ear.all()
        assert names(store, left) == ["a", "c"]
        (odd / "new").touch()
        (second / "tree" / "a" / "new too").touch()
        ear.until(lambda: len([kind for kind, _ in ear.told if kind is ChangeKind.ADDED]) == 2)
        assert {store.entry(row).parent for _, row in ear.told} == {left, inner}


def test_a_copy_to_another_file_system(far: Catalogue, tree: Path, second: Path) -> None:
    copied = far.copy(find(far, "tree"), SECOND, 0)
    assert shape(second / "tree") == shape(tree)
    assert find(far, "tree", storage=SECOND) == copied


def test_a_copy_of_many_pieces(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "_PIECE", 1000)
    monkeypatch.setattr(trees, "_READ_PIECE", 1000)
    data = os.urandom(10_500)
    (root / "file").write_bytes(data)
    target = store.make_folder(FIRST, 0, "target", modified=None).handle
    assert content(store, store.copy(find(store, "file"), FIRST, target)) == data
    store.delete(find(store, "target/file"))
    monkeypatch.setattr(trees, "_NO_COPY_RANGE", {errno.EXDEV})

    def failing(*_: object) -> int:
        raise OSError(errno.EXDEV, "not here")

    monkeypatch.setattr(os, "copy_file_range", failing)
    assert content(store, store.copy(find(store, "file"), FIRST, target)) == data


@pytest.mark.parametrize("pieces", [0, 1])
def test_a_file_system_that_says_the_end_where_it_is_not(
    far: Catalogue, root: Path, second: Path, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    """As some do that make their files up: the original goes when the copy is there."""
    data = os.urandom(10_500)
    (root / "file").write_bytes(data)
    calls = []

    def ending(source: int, target: int, _: int) -> int:
        calls.append(source)
        return os.write(target, os.read(source, 1000)) if len(calls) <= pieces else 0

    monkeypatch.setattr(os, "copy_file_range", ending)
    far.move(find(far, "file"), SECOND, 0)
    assert (second / "file").read_bytes() == data
    assert len(calls) >= pieces + 1


def test_a_protected_object_is_copied_with_its_protection(store: Catalogue, root: Path) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "file").touch(0o444)
    (root / "folder").chmod(0o555)
    target = store.make_folder(FIRST, 0, "target", modified=None).handle
    copied = store.copy(find(store, "folder"), FIRST, target)
    assert store.record(find(store, "target/folder/file")).protected
    assert not store.record(copied).protected  # folders stay their owner's


def test_a_copy_is_invisible_until_whole(
    store: Catalogue, tree: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = store.make_folder(FIRST, 0, "target", modified=None).handle
    copy_range = os.copy_file_range
    seen: list[list[str]] = []

    def looking(source: int, made: int, count: int) -> int:
        seen.append(names(store, target) + names(store))
        return copy_range(source, made, count)

    monkeypatch.setattr(os, "copy_file_range", looking)
    store.copy(find(store, "tree"), FIRST, target)
    assert len(seen) == 8
    assert all(sorted(shown) == ["target", "tree"] for shown in seen)


def test_the_target_goes_while_the_copy_is_made(
    store: Catalogue, tree: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = store.make_folder(FIRST, 0, "target", modified=None).handle
    copy = trees.copy

    def removing(*arguments: object) -> None:
        copy(*arguments)  # type: ignore[arg-type]
        (root / "target").rename(root.parent / "moved out")

    monkeypatch.setattr(trees, "copy", removing)
    with refused(Code.INVALID_PARENT_OBJECT):
        store.copy(find(store, "tree"), FIRST, target)
    assert list((root.parent / "moved out").iterdir()) == []
    assert leftovers(root) == []


def test_what_vanishes_while_it_is_copied_is_left_out(
    store: Catalogue, tree: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_folder = trees._TreeCopy._copy_folder

    def vanishing(self: trees._TreeCopy, origin: int, made: tuple[bytes, ...]) -> list[bytes]:
        below = copy_folder(self, origin, made)
        if (tree / "a").exists():
            (tree / "a").rename(tree.parent / "was a")
        return below

    monkeypatch.setattr(trees._TreeCopy, "_copy_folder", vanishing)
    target = store.make_folder(FIRST, 0, "target", modified=None).handle
    store.copy(find(store, "tree"), FIRST, target)
    assert sorted(path.name for path in (root / "target" / "tree").rglob("*")) == [".hidden", "one"]


@pytest.mark.parametrize("becomes", ["nothing", "pipe", "link"])
def test_the_object_itself_vanishes_before_it_is_copied(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch, becomes: str
) -> None:
    handle = put(store, "file")
    target = store.make_folder(FIRST, 0, "target", modified=None).handle
    copy = trees.copy

    def late(*arguments: object) -> None:
        (root / "file").unlink()
        if becomes == "pipe":
            os.mkfifo(root / "file")
        elif becomes == "link":
            (root / "file").symlink_to("/etc/passwd")
        copy(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(trees, "copy", late)
    with refused(Code.INVALID_OBJECT_HANDLE):
        store.copy(handle, FIRST, target)
    assert names(store, target) == []


def test_a_mounted_disk_and_a_workplace_are_not_copied(
    store: Catalogue, tree: Path, root: Path, mounted: Mount
) -> None:
    (tree / WORKPLACE / "1-theirs").mkdir(parents=True)
    (tree / "disk").mkdir()
    mounted(tree / "disk")
    target = store.make_folder(FIRST, 0, "target", modified=None).handle
    store.copy(find(store, "tree"), FIRST, target)
    copied = {path.name for path in (root / "target" / "tree").iterdir()}
    assert copied == {"one", ".hidden", "a"}


def test_the_lock_is_free_while_bytes_are_copied(
    store: Catalogue, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = put(store, "file")
    target = store.make_folder(FIRST, 0, "target", modified=None).handle
    copy = trees.copy
    free = []

    def looking(*arguments: object) -> None:
        free.append(not store._lock._is_owned())  # type: ignore[attr-defined]
        copy(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(trees, "copy", looking)
    store.copy(handle, FIRST, target)
    assert free == [True]


def test_clearing_away_what_is_not_there(root: Path) -> None:
    fd = os.open(root, os.O_RDONLY)
    assert removal.clear_away(fd, b"missing") == 0
    os.close(fd)
