# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be visible, in the simplest form there is: a tree of nodes in memory.

It knows nothing of handles, sessions or disks; `World` compares the responder with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from appliance.mtp.codes import ResponseCode as R


@dataclass(eq=False, slots=True)
class Node:
    """A file, or a folder (`content` None).

    `handle` is what the responder calls it, 0 while no initiator has been told. `is_touched`: the
    device has changed it since it was listed, so it may come back under another handle.
    """

    name: str
    parent: "Node | None" = None
    content: bytes | None = None
    children: dict[str, "Node"] = field(default_factory=dict)
    handle: int = 0
    is_protected: bool = False
    modified: float | None = None
    is_touched: bool = False
    former: list[int] = field(default_factory=list)

    @property
    def is_folder(self) -> bool:
        return self.content is None

    @property
    def is_root(self) -> bool:
        return self.parent is None

    @property
    def parent_is_root(self) -> bool:
        return self.parent is not None and self.parent.is_root

    @property
    def root(self) -> "Node":
        return self if self.parent is None else self.parent.root

    @property
    def path(self) -> tuple[str, ...]:
        """Names from below the root down."""
        return () if self.parent is None else (*self.parent.path, self.name)

    def all(self) -> Iterator["Node"]:
        """It and all below it."""
        yield self
        for each in self.children.values():
            yield from each.all()

    def add(self, node: "Node") -> "Node":
        self.children[node.name] = node
        node.parent = self
        return node

    def leave(self) -> None:
        assert self.parent is not None
        del self.parent.children[self.name]
        self.parent = None

    def copy(self) -> "Node":
        """Make the same again, which nobody has been told of."""
        twin = Node(self.name, None, self.content, {}, 0, self.is_protected, self.modified)
        for each in self.children.values():
            twin.add(each.copy())
        return twin


# What the responder has to answer, by the order in which it looks


def of_upload(folder: Node, name: str) -> R:
    there = folder.children.get(name)
    if there is None:
        return R.OK
    if there.is_folder:
        return R.ACCESS_DENIED
    return R.OBJECT_WRITE_PROTECTED if there.is_protected else R.OK


def of_new_folder(folder: Node, name: str) -> R:
    there = folder.children.get(name)
    return R.OK if there is None or there.is_folder else R.ACCESS_DENIED


def of_rename(node: Node, name: str) -> R:
    assert node.parent is not None
    if node.is_protected:
        return R.OBJECT_WRITE_PROTECTED
    taken = name != node.name and name in node.parent.children
    return R.INVALID_OBJECT_PROP_VALUE if taken else R.OK


def of_move(node: Node, folder: Node) -> R:
    if node.is_protected:
        return R.OBJECT_WRITE_PROTECTED
    return R.OK if folder is node.parent else of_copy(node, folder)


def of_copy(node: Node, folder: Node) -> R:
    if folder in node.all():
        return R.INVALID_PARENT_OBJECT
    return R.ACCESS_DENIED if node.name in folder.children else R.OK


def of_delete(node: Node) -> R:
    if node.is_protected:
        return R.OBJECT_WRITE_PROTECTED
    if not _is_held(node):
        return R.OK
    return R.OBJECT_WRITE_PROTECTED if all(map(_is_held, node.all())) else R.PARTIAL_DELETION


def _is_held(node: Node) -> bool:
    """Whether it cannot be deleted, for something in it is protected."""
    return any(each.is_protected for each in node.all())


def delete(node: Node) -> None:
    """Take away all that is not protected."""
    for each in list(node.children.values()):
        delete(each)
    if not node.children and not node.is_protected:
        node.leave()
