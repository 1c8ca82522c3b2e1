# SPDX-License-Identifier: GPL-3.0-or-later
"""What python-functionfs is counted on for, and the descriptors that it is given."""

import inspect
import os
from pathlib import Path

import pytest

try:
    import functionfs

    from appliance.transports.aio import AioQueue, AioRequest
    from appliance.transports.functionfs import _Function, descriptors
except (ImportError, OSError):
    pytest.skip("python-functionfs or its libraries are missing", allow_module_level=True)


def test_its_own_reads_are_submitted_by_nothing_but_its_on_enable() -> None:
    source = inspect.getsource(functionfs.Function)
    assert source.count("_out_aio_context.submit(") == 1
    assert "_out_aio_context.submit(" in inspect.getsource(functionfs.Function.onEnable)
    assert "onEnable" in vars(_Function)


def test_each_out_endpoint_has_the_one_block_that_it_wants(tmp_path: Path) -> None:
    function = _Function(tmp_path, owner=None)  # type: ignore[arg-type]
    assert len(function._out_aio_block_list) == 1
    function.eventfd.close()


def test_descriptors_at_each_speed() -> None:
    given = descriptors()
    for name, size in (("fs_list", 64), ("hs_list", 512), ("ss_list", 1024)):
        interface = given[name][0]
        kind = (interface.bInterfaceClass, interface.bInterfaceSubClass)
        assert (*kind, interface.bInterfaceProtocol, interface.bNumEndpoints) == (6, 1, 1, 3)
        endpoints = [each for each in given[name] if hasattr(each, "bEndpointAddress")]
        assert [each.bEndpointAddress for each in endpoints] == [0x81, 0x02, 0x83]
        assert [each.wMaxPacketSize for each in endpoints] == [size, size, 28]


def test_the_interface_is_called_mtp() -> None:
    given = descriptors()
    assert given["hs_list"][0].iInterface == 1
    assert given["lang_dict"] == {0x0409: ["MTP"]}


def test_windows_finds_its_driver() -> None:
    (descriptor,) = descriptors()["os_list"]
    assert b"MTP\0\0\0\0\0" in bytes(descriptor)
    assert len(bytes(descriptor)) == 35


def test_requests_go_to_the_kernel_and_come_back(tmp_path: Path) -> None:
    """An ordinary file is endpoint enough: exact sizes, parts of buffers, reuse, errors."""
    path = tmp_path / "file"
    path.write_bytes(b"")
    fd = os.open(path, os.O_RDWR)
    bell = os.eventfd(0, os.EFD_NONBLOCK)
    write, read = AioRequest(8192, to_host=True), AioRequest(8192, to_host=False)
    queue = AioQueue([write, read])
    try:
        write.view[:5000] = b"x" * 5000
        write.aim(fd, 4998, eventfd=bell, start=2)
        queue.submit([write])
        os.eventfd_read(bell)
        assert queue.completed() == [write]
        assert (write.result, write.busy) == (4998, False)
        read.aim(fd, 8192, eventfd=bell)
        queue.submit([read])
        assert queue.completed() == [read]
        assert bytes(read.view[: read.result]) == b"x" * 4998
        read.aim(-1, 10, eventfd=bell)
        with pytest.raises(OSError, match="io_submit"):
            queue.submit([read])
        assert not read.busy
        assert queue.completed() == []
    finally:
        queue.close()
        os.close(bell)
        os.close(fd)
