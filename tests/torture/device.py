# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens on the device itself, unasked: each act once on the disk, once in the model.

What comes or moves gets a name that nothing had before: so a place means one object, also to an
initiator that has not looked yet.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.torture.model import Node
from tests.torture.world import World


def _touch(node: Node) -> None:
    node.is_touched = True


def make_file(world: World) -> None:
    folder, content = world.folder(), world.content()
    name = f"device {world.number()}.txt"
    world.device(lambda: _write(world.place_of(folder) / name, content))
    folder.add(Node(name, content=content, is_touched=True))


def make_folder(world: World) -> None:
    """Make a folder with something in it."""
    folder, content = world.folder(), world.content()
    made = Node(f"device {world.number()}", is_touched=True)
    made.add(Node("inner.txt", content=content, is_touched=True))

    def act() -> None:
        place = world.place_of(folder) / made.name
        place.mkdir()
        (place / "inner.txt").write_bytes(content)

    world.device(act)
    folder.add(made)


def overwrite(world: World) -> None:
    node, content = world.file(), world.content()
    if node is not None:
        world.device(lambda: _write(world.place_of(node), content))
        node.content, node.modified = content, None
        _touch(node)


def append(world: World) -> None:
    node = world.file()
    if node is None or node.content is None:
        return

    def act() -> None:
        with world.place_of(node).open("ab") as file:
            file.write(b"appended")

    world.device(act)
    node.content, node.modified = node.content + b"appended", None
    _touch(node)


def save_as_editors_do(world: World) -> None:
    """Write a new file and rename it over the old one."""
    node, content = world.file(), world.content()
    if world.chance.random() < 0.5:
        _, node = world.begun() or (0, node)
    if node is None:
        return

    def act() -> None:
        draft = world.place_of(node).with_name(f"draft {world.number()}")
        draft.write_bytes(content)
        draft.replace(world.place_of(node))

    world.device(act)
    for edit in world.edits_of(node):
        edit.is_replaced = True
    node.content, node.is_protected, node.modified = content, False, None
    _touch(node)


def rename(world: World) -> None:
    node = world.some()
    if node is not None and node.parent is not None:
        _bring(world, node, node.parent)


def move(world: World) -> None:
    node, folder = world.some(), world.folder()
    if node is not None and folder not in node.all():
        _bring(world, node, folder)


def _bring(world: World, node: Node, folder: Node) -> None:
    name = f"device {world.number()}"
    world.device(lambda: _rename(world.place_of(node), world.place_of(folder) / name))
    for each in node.all():
        _touch(each)
    node.leave()
    node.name = name
    folder.add(node)


def delete(world: World) -> None:
    node = world.some()
    if node is None:
        return
    place = world.place_of(node)
    world.device(lambda: shutil.rmtree(place) if node.is_folder else place.unlink())
    world.bury(node)
    node.leave()


def change_permission(world: World) -> None:
    node = world.file()
    if node is not None:
        node.is_protected = world.chance.random() < 0.3
        mode = 0o444 if node.is_protected else 0o644
        world.device(lambda: world.place_of(node).chmod(mode))
        _touch(node)


def _write(place: Path, content: bytes) -> None:
    place.write_bytes(content)


def _rename(origin: Path, target: Path) -> None:
    origin.rename(target)


ACTS: tuple[Callable[[World], None], ...] = (
    *(make_file, make_file, make_folder, overwrite, append, save_as_editors_do, rename, move),
    *(delete, change_permission),
)
