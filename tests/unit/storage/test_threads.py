# SPDX-License-Identifier: GPL-3.0-or-later
"""Several sessions at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from appliance.mtp.errors import MtpError
from appliance.storage import Catalogue
from tests.unit.storage.helpers import FIRST, begin, content, find, leftovers, names, put

WORKERS = 8
ROUNDS = 8


def together(work: Callable[[int], object]) -> None:
    with ThreadPoolExecutor(WORKERS) as pool:
        for done in [pool.submit(work, number) for number in range(WORKERS)]:
            done.result()


def test_uploads_of_different_names(store: Catalogue, root: Path) -> None:
    def work(number: int) -> None:
        for each in range(ROUNDS):
            data = b"%d" % number * (each + 1) * 100
            upload = begin(store, f"{number}-{each}", data)
            store.children(FIRST, 0)
            upload.commit()
            assert content(store, upload.handle) == data

    together(work)
    handles = store.children(FIRST, 0)
    assert len(set(handles)) == WORKERS * ROUNDS
    assert sorted(names(store)) == sorted(path.name for path in root.iterdir() if path.is_file())
    assert leftovers(root) == []


def test_uploads_of_one_name(store: Catalogue, root: Path) -> None:
    def work(number: int) -> None:
        for _ in range(ROUNDS):
            begin(store, "file", b"%d" % number * 1000).commit()

    together(work)
    assert names(store) == ["file"]
    data = content(store, find(store, "file"))
    assert len(data) == 1000
    assert len(set(data)) == 1
    assert leftovers(root) == []


def test_everything_at_once(store: Catalogue, root: Path) -> None:
    """What one session does may be refused to another, but nothing breaks or is lost."""
    folders = [
        store.make_folder(FIRST, 0, f"folder{each}", modified=None).handle for each in range(3)
    ]
    (root / "folder0" / "deep" / "er").mkdir(parents=True)

    def work(number: int) -> None:
        for each in range(ROUNDS):
            folder = folders[(number + each) % 3]
            handle = put(store, f"{number}-{each}", b"12345", parent=folder)
            for act in (
                lambda: store.rename(handle, f"renamed {number}-{each}"),  # noqa: B023
                lambda: store.move(handle, FIRST, folders[(number + each + 1) % 3]),  # noqa: B023
                lambda: store.copy(handle, FIRST, folder),  # noqa: B023
                lambda: store.tree(FIRST),
                lambda: store.copy(folders[0], FIRST, folders[1]),
                lambda: store.delete(find(store, "folder1/folder0")),
                lambda: store.move(folders[2], FIRST, folders[0]),
                lambda: store.move(folders[2], FIRST, 0),
            ):
                try:
                    act()
                except (MtpError, KeyError):
                    continue

    together(work)
    on_disk = sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        if not path.relative_to(root).parts[0].startswith(".")
    )
    by_handle = {each: store.entry(each) for each in store.tree(FIRST)}

    def path(handle: int) -> str:
        entry = by_handle[handle]
        return f"{path(entry.parent)}/{entry.name}" if entry.parent else entry.name

    assert sorted(map(path, by_handle)) == on_disk
    assert leftovers(root) == []
