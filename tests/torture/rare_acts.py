# SPDX-License-Identifier: GPL-3.0-or-later
"""What initiators do seldom: refused for size or protection, broken off, all deleted, referred."""

from collections.abc import Callable

from appliance.mtp.codes import ALL, FormatCode, ResponseCode
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.wire import Reader, Writer, encode_string
from tests.torture import acts, model
from tests.torture.breaking_off import break_off
from tests.torture.model import Node
from tests.torture.world import NAME, PARENT, SIZE, STORAGES, World

R = ResponseCode
_FRIENDLY = 0xD402
_FAR = 0xFFFFFFFF


def too_large(world: World) -> None:
    """Announce more than any disk has; make a file longer than one can be."""
    folder, pc = world.folder(), world.pc()
    world.look(folder)
    storage, parent = world.where(folder)
    where = (storage, parent, FormatCode.UNDEFINED, 0x4000, 0)  # the size's upper half is first
    data = acts.name_list(0, f"large {world.number()}")
    world.ask(pc, R.STORE_FULL, Op.SEND_OBJECT_PROP_LIST, *where, data=data)
    node = world.file()
    if node is not None and not node.is_protected and not world.edits_of(node):
        world.look(node)
        world.ask(pc, R.OBJECT_TOO_LARGE, Op.TRUNCATE_OBJECT, node.handle, _FAR, _FAR)
        pc.call(Op.END_EDIT_OBJECT, node.handle)


def broken_off(world: World) -> None:
    """Cancel an upload in the middle, over something or new: all stays as it was."""
    folder, name, content, pc = world.folder(), world.name(), world.content(), world.pc()
    world.look(folder)
    size = len(content) + 70_000
    if acts.announce(world, pc, folder, name, size) is not None:
        break_off(pc.client, Op.SEND_OBJECT, content, size)


def write_what_is_protected(world: World) -> None:
    """Protect a file, and try to change it in every way that there is."""
    node, pc = world.file(), world.pc()
    if node is None or world.edits_of(node):
        return
    world.look(node)
    if world.do(pc, R.OK, Op.SET_OBJECT_PROTECTION, node.handle, 1) is None:
        return
    node.is_protected = True
    handle = node.handle
    tries: tuple[tuple[Op, tuple[int, ...], bytes | None], ...] = (
        (Op.BEGIN_EDIT_OBJECT, (handle,), None),
        (Op.SEND_PARTIAL_OBJECT, (handle, 0, 0, 1), b"x"),
        (Op.TRUNCATE_OBJECT, (handle, 0, 0), None),
        (Op.SET_OBJECT_PROP_VALUE, (handle, NAME), encode_string("new")),
        (Op.DELETE_OBJECT, (handle,), None),
    )
    for code, parameters, data in tries:
        world.ask(world.pc(), R.OBJECT_WRITE_PROTECTED, code, *parameters, data=data)


def delete_around_something_protected(world: World) -> None:
    """Delete a folder of which something has to stay."""
    node, pc = world.some(lambda each: not each.is_folder and not each.parent_is_root), world.pc()
    if node is None or node.parent is None:
        return
    world.look(node)
    if world.do(pc, R.OK, Op.SET_OBJECT_PROTECTION, node.handle, 1) is not None:
        node.is_protected = True
        _delete(world, node.parent)


def _delete(world: World, node: Node) -> None:
    world.look(node)
    expected = model.of_delete(node)
    if world.ask(world.pc(), expected, Op.DELETE_OBJECT, node.handle) is not None:
        _gone(world, node, expected)


def _gone(world: World, node: Node, how: R) -> None:
    if how is R.OK:
        world.bury(node)
    if how in (R.OK, R.PARTIAL_DELETION):
        model.delete(node)


def delete_all(world: World) -> None:
    """Delete everything, or empty a storage by formatting it."""
    if world.chance.random() < 0.8:
        return
    if world.is_behind:
        world.compare()
    storage = world.chance.choice(STORAGES)
    is_format = world.chance.random() < 0.5
    roots = [world.roots[storage]] if is_format else list(world.roots.values())
    tops = [each for root in roots for each in root.children.values()]
    how = {each: model.of_delete(each) for each in tops}
    done = [each for each in how.values() if each in (R.OK, R.PARTIAL_DELETION)]
    expected = R.OK
    if any(each is not R.OK for each in how.values()):
        expected = R.PARTIAL_DELETION if done else R.OBJECT_WRITE_PROTECTED
    what = (Op.FORMAT_STORE, storage, 0) if is_format else (Op.DELETE_OBJECT, ALL, 0)
    code, *parameters = what
    if world.ask(world.pc(), expected, Op(code), *parameters) is not None:
        for each in tops:
            _gone(world, each, how[each])


def refer(world: World) -> None:
    """Let something refer to others; another session is told the same, also after a rename."""
    node, others, pc = world.some(), [world.some() for _ in range(3)], world.pc()
    if node is None or world.is_behind:
        return
    listed = list(dict.fromkeys(each.handle for each in others if each is not None))
    data = Writer().u32(len(listed))
    for each in listed:
        data.u32(each)
    if world.do(pc, R.OK, Op.SET_OBJECT_REFERENCES, node.handle, data=bytes(data.raw(b""))) is None:
        return
    for _ in range(2):
        said = world.pc().data(Op.GET_OBJECT_REFERENCES, node.handle)
        reader = Reader(said)
        assert list(reader.array(reader.u32)) == listed, node.path
        acts.rename(world)


def ask_about(world: World) -> None:
    """Ask one by one for what listings tell."""
    node, folder, pc = world.some(), world.folder(), world.pc()
    if world.is_behind or node is None:
        return
    counted = pc.ask(Op.GET_NUM_OBJECTS, world.storage_of(folder), 0, folder.handle or ALL)
    assert counted.parameters == (len(folder.children),), folder.path
    values = {
        NAME: encode_string(node.name),
        SIZE: len(node.content or b"").to_bytes(8, "little"),
        PARENT: (node.parent.handle if node.parent else 0).to_bytes(4, "little"),
    }
    for code, value in values.items():
        assert pc.data(Op.GET_OBJECT_PROP_VALUE, node.handle, code) == value, (node.path, code)
    told = pc.storage(world.storage_of(node))
    assert 0 <= told.free <= told.capacity
    if not node.is_folder:
        thumb = pc.call(Op.GET_THUMB, node.handle)
        assert thumb.data == (node.content or b"")[:4096] or thumb.code == R.NO_THUMBNAIL_PRESENT


def rename_the_device(world: World) -> None:
    name = encode_string(f"name {world.number()}")
    world.pc().ask(Op.SET_DEVICE_PROP_VALUE, _FRIENDLY, data=name)
    assert world.pc().data(Op.GET_DEVICE_PROP_VALUE, _FRIENDLY) == name


ACTS: tuple[Callable[[World], None], ...] = (
    *(too_large, broken_off, broken_off, write_what_is_protected, refer, ask_about),
    *(delete_around_something_protected, delete_all, rename_the_device),
)
