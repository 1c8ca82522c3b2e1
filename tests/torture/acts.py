# SPDX-License-Identifier: GPL-3.0-or-later
"""What initiators and a person do: each act once to the responder, once to the model."""

from collections.abc import Callable

from appliance.mtp.codes import ALL, DataType, FormatCode, ResponseCode
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.datasets import ObjectInfo
from appliance.mtp.wire import Writer, encode_string
from appliance.storage.write_safety import WriteSafety
from tests.torture import model
from tests.torture.hearing import Hearing
from tests.torture.model import Node
from tests.torture.world import DATE, NAME, STORAGES, Edit, World

R = ResponseCode
Act = Callable[[World], None]
_MANY = 60


def name_list(handle: int, name: str) -> bytes:
    writer = Writer().u32(1).u32(handle).u16(NAME).u16(DataType.STRING)
    return bytes(writer.raw(encode_string(name)))


def announce(world: World, pc: Hearing, folder: Node, name: str, size: int | None) -> int | None:
    """Announce a file of a size, or a folder (None); its handle, None where it was refused."""
    expect = model.of_new_folder if size is None else model.of_upload
    expected, (storage, parent) = expect(folder, name), world.where(folder)
    form = FormatCode.ASSOCIATION if size is None else FormatCode.UNDEFINED
    if world.chance.random() < 0.5:
        info = ObjectInfo(0, form, size or 0, 0, name, association=int(size is None)).encode()
        done = world.do(pc, expected, Op.SEND_OBJECT_INFO, storage, parent, data=info)
    else:
        where = (storage, parent, form, 0, size or 0)
        data = name_list(0, name)
        done = world.do(pc, expected, Op.SEND_OBJECT_PROP_LIST, *where, data=data)
    return None if done is None else done[2]


def _arrived(world: World, folder: Node, name: str, content: bytes, handle: int) -> None:
    if name in folder.children:
        world.bury(folder.children[name])
    folder.add(Node(name, content=content, handle=handle))


# New objects


def upload(world: World) -> None:
    folder, name, content, pc = world.folder(), world.name(), world.content(), world.pc()
    world.look(folder)
    handle = announce(world, pc, folder, name, len(content))
    if handle is not None:
        if content and world.chance.random() < 0.2:  # it waits
            pc.ask(Op.GET_STORAGE_IDS)
        sent = world.do(pc, R.OK, Op.SEND_OBJECT, data=content)
        if sent is not None:
            _arrived(world, folder, name, content, handle)


def torn_upload(world: World) -> None:
    folder, name, content, pc = world.folder(), world.name(), world.content(), world.pc()
    world.look(folder)
    size = len(content) + world.chance.choice((1, 600))
    if announce(world, pc, folder, name, size) is not None:
        world.ask(pc, R.INCOMPLETE_TRANSFER, Op.SEND_OBJECT, data=content)


def upload_that_is_not_sent(world: World) -> None:
    """Announce and do something else: an empty file is there then, but over nothing.

    Another one waits, and is never seen.
    """
    folder, name, pc = world.folder(), world.name(), world.pc()
    if world.is_behind:
        world.compare()
    world.look(folder)
    size = world.chance.choice((0, 1))
    handle = announce(world, pc, folder, name, size)
    pc.ask(Op.GET_STORAGE_IDS)
    if handle is not None and size == 0 and name not in folder.children:
        _arrived(world, folder, name, b"", handle)


def new_folder(world: World) -> None:
    folder, name, pc = world.folder(), world.name(), world.pc()
    world.look(folder)
    handle = announce(world, pc, folder, name, None)
    there = folder.children.get(name)
    if handle is not None and there is None:
        folder.add(Node(name, handle=handle))
    elif handle is not None and there is not None and not there.is_touched:
        assert there.handle in (0, handle)


def copy(world: World) -> None:
    node, folder, pc = world.some(), world.folder(), world.pc()
    if node is None or len(world.nodes()) > _MANY:
        return
    world.look(node, folder)
    storage, parent = world.where(folder)
    expected = model.of_copy(node, folder)
    done = world.do(pc, expected, Op.COPY_OBJECT, node.handle, storage, parent)
    if done is not None:
        folder.add(node.copy()).handle = done[0]


# Changing what is there


def rename(world: World) -> None:
    node, name, pc = world.some(), world.name(), world.pc()
    if node is None:
        return
    world.look(node)
    expected = model.of_rename(node, name)
    if world.chance.random() < 0.5:
        data = encode_string(name)
        done = world.do(pc, expected, Op.SET_OBJECT_PROP_VALUE, node.handle, NAME, data=data)
    else:
        data = name_list(node.handle, name)
        done = world.do(pc, expected, Op.SET_OBJECT_PROP_LIST, data=data)
    if done is not None and node.parent is not None:
        folder = node.parent
        node.leave()
        node.name = name
        folder.add(node)


def move(world: World) -> None:
    node, folder, pc = world.some(), world.folder(), world.pc()
    if node is None:
        return
    world.look(node, folder)
    storage, parent = world.where(folder)
    expected = model.of_move(node, folder)
    if world.do(pc, expected, Op.MOVE_OBJECT, node.handle, storage, parent) is not None:
        node.leave()
        folder.add(node)


def delete(world: World) -> bool:
    node, pc = world.some(), world.pc()
    if node is None:
        return False
    world.look(node)
    expected = model.of_delete(node)
    if world.ask(pc, expected, Op.DELETE_OBJECT, node.handle) is None:
        return False
    if expected is R.OK:
        world.bury(node)
    if expected in (R.OK, R.PARTIAL_DELETION):
        model.delete(node)
    return expected is R.OK


def protect(world: World) -> None:
    node, pc = world.file(), world.pc()
    if node is None:
        return
    world.look(node)
    wanted = world.chance.random() < 0.3
    if world.do(pc, R.OK, Op.SET_OBJECT_PROTECTION, node.handle, int(wanted)) is not None:
        node.is_protected = wanted


def set_date(world: World) -> None:
    node, pc = world.file(), world.pc()
    if node is None:
        return
    world.look(node)
    expected = R.OBJECT_WRITE_PROTECTED if node.is_protected else R.OK
    where = (node.handle, 0xDC09)
    data = encode_string(DATE)
    if world.do(pc, expected, Op.SET_OBJECT_PROP_VALUE, *where, data=data) is not None:
        node.modified = None if world.edits_of(node) else 1.0


# Editing in place


def begin_edit(world: World) -> None:
    node, number = world.file(), world.chance.randrange(len(world.pcs))
    if node is None or len(world.edits) > 20:
        return
    world.look(node)
    begun = world.edits.get((number, node.handle))
    if begun is not None and begun.is_replaced:
        del world.edits[number, node.handle]
        begun = None
    expected = R.OBJECT_WRITE_PROTECTED if node.is_protected and begun is None else R.OK
    done = world.do(world.pcs[number], expected, Op.BEGIN_EDIT_OBJECT, node.handle)
    if done is not None and begun is None:
        world.edits[number, node.handle] = Edit(node)


def end_edit(world: World) -> None:
    if world.edits:
        world.end_edit(*world.chance.choice(sorted(world.edits)))


def edit(world: World) -> None:
    """Write into a file or cut it, be it begun or not; in vain where the device has saved anew."""
    node, number = world.file(), world.chance.randrange(len(world.pcs))
    if world.chance.random() < 0.7:
        number, node = world.begun() or (number, node)
    if node is None or node.content is None:
        return
    world.look(node)
    begun = world.edits.get((number, node.handle))
    expected = R.OBJECT_WRITE_PROTECTED if node.is_protected and begun is None else R.OK
    if begun is not None and begun.is_replaced:
        expected = R.INVALID_OBJECT_HANDLE
    offset = world.chance.choice((0, len(node.content), len(node.content) // 2, 100, 70_000))
    if world.chance.random() < 0.3:
        done = world.do(world.pcs[number], expected, Op.TRUNCATE_OBJECT, node.handle, offset, 0)
        after = node.content[:offset].ljust(offset, b"\0")
    else:
        data = world.content() or b"1" * (begun is not None)
        where = (node.handle, offset, 0, len(data))
        done = world.do(world.pcs[number], expected, Op.SEND_PARTIAL_OBJECT, *where, data=data)
        after = node.content
        if data:
            after = after[:offset].ljust(offset, b"\0") + data + after[offset + len(data) :]
    if done is not None:
        node.content, node.modified = after, None
        if begun is not None:
            begun.is_used = True


# Looking


def read(world: World) -> None:
    node, pc = world.file(), world.pc()
    if node is None or node.content is None:
        return
    world.look(node)
    offset, most = (world.chance.choice((0, 1, 511, 65_536)) for _ in range(2))
    whole = world.ask(pc, R.OK, Op.GET_OBJECT, node.handle)
    part = world.ask(pc, R.OK, Op.GET_PARTIAL_OBJECT, node.handle, offset, most)
    same = world.ask(pc, R.OK, Op.GET_PARTIAL_OBJECT_64, node.handle, offset, 0, most)
    assert whole is None or whole.data == node.content
    for answer in (part, same):
        assert answer is None or answer.data == node.content[offset : offset + most]


def use_former_handles(world: World) -> None:
    """What had another handle before is that very file by it, or nothing; never another one."""
    if world.is_behind:
        world.compare()
    for node in world.nodes():
        for handle in node.former[-2:]:
            answer = world.pc().call(Op.GET_OBJECT, handle)
            if answer.code != R.INVALID_OBJECT_HANDLE:
                assert (answer.code, answer.data) == (R.OK, node.content), (
                    f"{node.path} by {handle}"
                )
    for handle in sorted(world.dead - {0})[-20:]:
        answer = world.pc().call(Op.GET_OBJECT_INFO, handle)
        assert answer.code == R.INVALID_OBJECT_HANDLE, f"{handle} is dead"


# Sessions, and the person at the device


def new_session(world: World) -> None:
    number = world.chance.randrange(len(world.pcs))
    world.close(number)
    world.pcs[number].open(number + 1)


def undo(world: World) -> None:
    """Delete something, and have it back from the trash."""
    if world.is_behind:
        world.compare()
    world.store.settle()  # what fast uploads have replaced is in the trash now
    while world.edits:  # the end of an edit would be told of what came back
        end_edit(world)
    before = {(each.storage_id, each.name) for each in world.store.trash_list()}
    places = {each: (each.copy(), each.parent, world.storage_of(each)) for each in world.nodes()}
    if not delete(world):
        return
    left = set(places) - set(world.nodes())
    top, folder, storage = next(places[each] for each in left if places[each][1] not in left)
    new = [each for each in world.store.trash_list() if (each.storage_id, each.name) not in before]
    assert [(each.storage_id, each.path.split("/")[-1]) for each in new] == [(storage, top.name)]
    for change in world.store.trash_restore(storage, new[0].name):
        world.responder.changed(change)
    assert folder is not None
    folder.add(top)


def eject_and_load(world: World) -> None:
    if world.is_behind:
        world.compare()
    storage = world.chance.choice(STORAGES)
    node = world.file()
    end_edits_of_moved(world)
    world.store.eject(storage)
    if node is not None and node.handle and world.storage_of(node) == storage:
        assert world.pc().refused(Op.GET_OBJECT, node.handle) == R.STORE_NOT_AVAILABLE
    world.store.load(storage)
    forget_edits(world, storage)


def end_edits_of_moved(world: World) -> None:
    """What the device has moved may count elsewhere."""
    for key in [key for key, each in world.edits.items() if each.node.handle != key[1]]:
        world.end_edit(*key)


def forget_edits(world: World, storage: int) -> None:
    """Let the sessions end what has ended by itself in a storage."""
    for key, each in list(world.edits.items()):
        if each.node.root is world.roots[storage]:
            world.pcs[key[0]].ask(Op.END_EDIT_OBJECT, key[1])
            del world.edits[key]


def be_read_only(world: World) -> None:
    node, pc = world.some(), world.pc()
    if node is None:
        return
    if world.is_behind:
        world.compare()
    world.look(node)
    storage = world.storage_of(node)
    end_edits_of_moved(world)
    world.store.set_read_only(storage, read_only=True)
    for code, more in ((Op.DELETE_OBJECT, ()), (Op.MOVE_OBJECT, (storage, ALL))):
        world.ask(pc, R.STORE_READ_ONLY, code, node.handle, *more)
    world.store.set_read_only(storage, read_only=False)
    forget_edits(world, storage)


def change_write_safety(world: World) -> None:
    world.store.set_write_safety(world.chance.choice(list(WriteSafety)))


ACTS: tuple[Act | Callable[[World], bool], ...] = (
    *(upload, upload, upload, torn_upload, upload_that_is_not_sent, new_folder, new_folder, copy),
    *(rename, rename, move, move, delete, protect, set_date, begin_edit, end_edit, edit, edit),
    *(read, read, use_former_handles, new_session, undo, eject_and_load, be_read_only),
    change_write_safety,
)
