# SPDX-License-Identifier: GPL-3.0-or-later
"""The page's process: where it listens, when it ends, and that nobody is left without an answer."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from appliance.services import page_server, webd
from appliance.services.activation import listening_sockets
from appliance.services.own_addresses import own_addresses
from appliance.services.page_server import PageServer
from tests.fakes.ptpip_client import PATIENCE
from tests.unit.services.activated import start
from tests.unit.test_cli import run
from webui.config import OVER_WIFI

WAIT = 4 * PATIENCE


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text("")
    return path


def words(settings: Path, *more: str | Path) -> tuple[str | Path, ...]:
    status, state = settings.with_name("status.json"), settings.with_name("page")
    return "web", "--settings", settings, "--status", status, "--state-dir", state, *more


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def get(port: int, path: str = "/", **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
    connection.request("GET", path, headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def test_at_systemds_socket_it_serves_and_ends_when_nobody_looks(
    settings: Path, listener: socket.socket
) -> None:
    process = start(listener, *words(settings, "--idle", "1"))
    assert get(port_of(listener)) == 200
    said, _ = process.communicate(timeout=WAIT)
    assert (process.returncode, "IDLE" in said) == (0, True), said


def test_who_comes_when_it_has_just_ended_is_served_by_the_next(
    settings: Path, listener: socket.socket
) -> None:
    process = start(listener, *words(settings, "--idle", "0"))
    process.communicate(timeout=WAIT)
    again = start(listener, *words(settings, "--idle", "1"))
    assert get(port_of(listener)) == 200
    again.communicate(timeout=WAIT)
    assert again.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_by_a_signal(settings: Path, listener: socket.socket, number: int) -> None:
    process = start(listener, *words(settings))
    assert get(port_of(listener)) == 200
    process.send_signal(number)
    process.communicate(timeout=WAIT)
    assert process.returncode == 0


def test_a_foreign_host_is_refused_and_the_own_addresses_are_not(
    settings: Path, listener: socket.socket
) -> None:
    process = start(listener, *words(settings))
    try:
        port = port_of(listener)
        own = [f"[{each}]" if ":" in each else each for each in own_addresses()]
        for host in (*own, "localhost", f"{socket.gethostname()}.local"):
            assert get(port, Host=f"{host}:{port}") == 200, host
        for host in ("evil.example", "192.0.2.99", ""):
            assert get(port, Host=host) in (400, 421), host
    finally:
        process.terminate()
        process.communicate(timeout=WAIT)


def test_on_another_machine_it_listens_itself_and_says_where(settings: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = port_of(taken)
        done = run(*words(settings, "--listen", f"127.0.0.1:{port}"))
        assert done.returncode == 1
        assert f"cannot listen at 127.0.0.1:{port}" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    process = subprocess.Popen(
        ["mtp-appliance", *map(str, words(settings, "--listen", f"127.0.0.1:{port}"))],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == f"The settings page is at http://127.0.0.1:{port}\n"
    assert get(port) == 200
    process.terminate()
    process.communicate(timeout=WAIT)
    assert process.returncode == 0


@pytest.mark.parametrize("text", ["", "127.0.0.1:99999", "a:b:c:d", "127.0.0.1:x"])
def test_an_address_that_is_none(settings: Path, text: str) -> None:
    done = run(*words(settings, "--listen", text))
    assert (done.returncode, len(done.stderr.splitlines())) in ((1, 1), (2, 1))


# The pieces


@contextmanager
def turning(server: PageServer) -> Iterator[Callable[[], None]]:
    """Turn a server in a thread, until what is given is called: then it closes."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            server.turn()
        server.close()

    thread = threading.Thread(target=work)
    thread.start()

    def end() -> None:
        over.set()
        thread.join(WAIT)

    try:
        yield end
    finally:
        end()
    assert not thread.is_alive()


def test_a_request_under_way_gets_its_answer_when_the_end_comes(listener: socket.socket) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(environ: object, respond: Callable[..., object]) -> Iterable[bytes]:
        begun.set()
        assert go.wait(WAIT)
        respond("200 OK", [("Content-Length", "4")])
        return [b"done"]

    server = PageServer(slow, [listener], limit=lambda *_: 1 << 20)
    statuses: list[int] = []
    port = port_of(listener)
    with turning(server) as end:
        asker = threading.Thread(target=lambda: statuses.append(get(port)))
        asker.start()
        assert begun.wait(WAIT)
        assert server.idle < WAIT
        threading.Timer(0.5, go.set).start()
        end()
        asker.join(WAIT)
    assert statuses == [200]


def test_more_than_is_taken_is_refused(listener: socket.socket) -> None:
    def never(environ: object, respond: Callable[..., object]) -> Iterable[bytes]:
        raise AssertionError("it was asked")

    with turning(PageServer(never, [listener], limit=lambda *_: 1000)):
        connection = http.client.HTTPConnection("127.0.0.1", port_of(listener), timeout=WAIT)
        connection.request("POST", "/", body=b"x" * 5000)
        assert connection.getresponse().status == 413
        connection.close()


@pytest.mark.parametrize("is_chunked", [False, True])
def test_how_much_is_taken_depends_on_who_sends_it_where(
    listener: socket.socket, is_chunked: bool
) -> None:
    def take(environ: Any, respond: Callable[..., object]) -> Iterable[bytes]:
        size = str(len(environ["wsgi.input"].read())).encode()
        respond("200 OK", [("Content-Length", str(len(size)))])
        return [size]

    def limit(path: str, cookies: str) -> int:
        return 10_000 if (path, cookies) == ("/large", "a=b") else 1000

    body = b"x" * 5000
    with turning(PageServer(take, [listener], limit=limit)):
        for path, cookies, status in (
            ("/large", "a=b", 200),
            ("/large", "a=c", 413),
            ("/large", "", 413),
            ("/small", "a=b", 413),
        ):
            connection = http.client.HTTPConnection("127.0.0.1", port_of(listener), timeout=WAIT)
            sent: Any = iter([body]) if is_chunked else body
            connection.request("POST", path, body=sent, headers={"Cookie": cookies})
            assert connection.getresponse().status == status, (path, cookies)
            connection.close()


@pytest.mark.parametrize("wifi", ["lo", "wlan0"])
def test_it_says_who_comes_over_the_wifi(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, wifi: str
) -> None:
    """A request cannot say so itself, nor deny it."""
    monkeypatch.setattr(webd, "INTERFACE", wifi)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")

    def tell(environ: Any, respond: Callable[..., object]) -> Iterable[bytes]:
        respond("204" if environ[OVER_WIFI] else "200", [("Content-Length", "0")])
        return []

    server = PageServer(tell, [listener], limit=lambda *_: 1000, environment=webd.environment_of)
    with turning(server):
        headers = {OVER_WIFI: "", f"HTTP_{OVER_WIFI}": "", "REMOTE_ADDR": "127.0.0.1"}
        assert get(port_of(listener), **headers) == (204 if wifi == "lo" else 200)


def test_a_socket_that_hears_all_is_not_the_wifis(listener: socket.socket) -> None:
    assert webd.environment_of(listener) == {OVER_WIFI: False}


def test_it_is_idle_when_nobody_has_a_connection(listener: socket.socket) -> None:
    server = PageServer(lambda *_: [], [listener], limit=lambda *_: 1000)
    with turning(server), socket.create_connection(listener.getsockname()):
        time.sleep(1.5)
        assert server.idle < 1.0


def answer_ok(environ: Any, respond: Callable[..., object]) -> Iterable[bytes]:
    body = b"x" * int(environ["PATH_INFO"].strip("/") or 2)
    environ["wsgi.input"].read()
    respond("200 OK", [("Content-Length", str(len(body)))])
    return [body]


NONSENSE = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no method": b" / HTTP/1.1\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 9\r\n\r\nabc",
    "a length and chunks": (
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "no length": b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
    "a length below nothing": b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    "a chunk of no length": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "another encoding": b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    "long headers": b"GET / HTTP/1.1\r\nA: " + b"x" * 40_000 + b"\r\n\r\n",
    "a header with a line": b"GET / HTTP/1.1\r\nA : b\r\n c\r\n\r\n",
    "a byte of zero": b"GET /\0 HTTP/1.1\r\nA: \0\r\n\r\n",
}


#: What may be answered: chunks count for more than a length (RFC 9112, 6.3).
HARMLESS = {"a length and chunks", "a byte of zero"}


def all_of(client: socket.socket) -> bytes:
    """Take what a server sends; one that refuses may reset the connection after it."""
    answers = b""
    with suppress(OSError):  # not connected any more
        client.shutdown(socket.SHUT_WR)
    with suppress(ConnectionError):
        while data := client.recv(1 << 16):
            answers += data
    return answers


@pytest.mark.parametrize("sent", NONSENSE)
def test_what_is_no_request_is_refused_and_the_next_one_served(
    listener: socket.socket, sent: str
) -> None:
    with turning(PageServer(answer_ok, [listener], limit=lambda *_: 1 << 20)):
        with socket.create_connection(listener.getsockname(), timeout=WAIT) as client:
            client.sendall(NONSENSE[sent])
            answers = all_of(client)
        assert answers.count(b"HTTP/1.") <= 1  # nothing of it counts as a second one
        assert b" 200 " not in answers or sent in HARMLESS
        assert get(port_of(listener)) == 200


def is_let_go(client: socket.socket) -> bool:
    """Whether the server ends a connection, after whatever it has sent."""
    client.settimeout(WAIT)
    try:
        while client.recv(1 << 16):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"],
    ids=["a line", "headers", "a body"],
)
def test_who_trickles_is_let_go(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(page_server, "_BEGINNING", 1.0)
    over = threading.Event()

    def trickle(client: socket.socket) -> None:
        with suppress(OSError):
            while not over.wait(0.1):
                client.sendall(b"x")

    with turning(PageServer(answer_ok, [listener], limit=lambda *_: 1 << 20)):
        with socket.create_connection(listener.getsockname()) as client:
            client.sendall(begun)
            thread = threading.Thread(target=trickle, args=(client,))
            thread.start()
            assert is_let_go(client)
            over.set()
            thread.join()
        assert get(port_of(listener)) == 200


def test_who_fetches_no_answer_is_let_go(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_server, "_BEGINNING", 1.0)
    monkeypatch.setattr(page_server, "_SLOWEST", 1 << 30)
    server = PageServer(answer_ok, [listener], limit=lambda *_: 1 << 20)
    with turning(server), socket.create_connection(listener.getsockname()) as client:
        client.sendall(b"GET /30000000 HTTP/1.1\r\n\r\n")
        time.sleep(4)
        assert is_let_go(client)


def test_who_is_only_slow_is_served(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than what a trickle may take, for it brings enough; and a kept connection may rest."""
    monkeypatch.setattr(page_server, "_BEGINNING", 1.0)
    server = PageServer(answer_ok, [listener], limit=lambda *_: 1 << 20)
    with turning(server), socket.create_connection(listener.getsockname()) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 80000\r\n\r\n")
        for _ in range(10):
            client.sendall(b"x" * 8000)
            time.sleep(0.3)
        client.settimeout(WAIT)
        assert b"200 OK" in client.recv(1 << 16)
        time.sleep(2)
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert b"200 OK" in client.recv(1 << 16)


def test_one_address_does_not_take_all_connections(listener: socket.socket) -> None:
    with turning(PageServer(answer_ok, [listener], limit=lambda *_: 1000)), ExitStack() as stack:
        where = listener.getsockname()
        held = [stack.enter_context(socket.create_connection(where)) for _ in range(60)]
        assert is_let_go(held[-1])
        other = ("127.0.0.2", 0)
        client = stack.enter_context(socket.create_connection(where, source_address=other))
        client.settimeout(WAIT)
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert b"200 OK" in client.recv(1 << 16)
        held[0].settimeout(WAIT)
        held[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert b"200 OK" in held[0].recv(1 << 16)


def test_who_takes_all_of_one_road_is_not_in_the_way_at_the_other(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a Wi-Fi somebody has as many addresses as they like; the owner sits at the cable."""
    with socket.create_server(("127.0.0.1", 0)) as cable, ExitStack() as stack:
        monkeypatch.setattr(page_server, "_KEPT", 1000)
        server = PageServer(answer_ok, [cable, listener], limit=lambda *_: 1000)
        stack.enter_context(turning(server))
        where = listener.getsockname()
        for number in range(48):
            address = (f"127.0.0.{2 + number // 12}", 0)
            held = socket.create_connection(where, timeout=WAIT, source_address=address)
            stack.enter_context(held)
            with suppress(ConnectionError):  # it is let go at once
                held.sendall(b"GET / HTTP/1.1\r\n\r\n")
                held.recv(1 << 16)
        assert get(port_of(cable)) == 200


def test_who_is_long_at_one_road_keeps_nobody_waiting_at_the_other(
    listener: socket.socket,
) -> None:
    """A password that is checked takes a second, and of these there may be many."""
    begun, go = threading.Semaphore(0), threading.Event()

    def answer(environ: Any, respond: Callable[..., object]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/long":
            begun.release()
            assert go.wait(2 * WAIT)
        return answer_ok({**environ, "PATH_INFO": ""}, respond)

    with socket.create_server(("127.0.0.1", 0)) as cable, ExitStack() as stack:
        server = PageServer(answer, [cable, listener], limit=lambda *_: 1000)
        stack.enter_context(turning(server))
        stack.callback(go.set)
        for _ in range(10):
            client = stack.enter_context(socket.create_connection(listener.getsockname()))
            client.sendall(b"GET /long HTTP/1.1\r\n\r\n")
        for _ in range(page_server._THREADS):
            assert begun.acquire(timeout=WAIT)
        assert get(port_of(cable)) == 200


def test_sockets_for_another_process_are_left_alone() -> None:
    for environment in (
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "many", "LISTEN_PID": str(os.getpid())},
    ):
        assert listening_sockets(environment) == []


def test_own_addresses(tmp_path: Path) -> None:
    (tmp_path / "fib_trie").write_text(
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n"
        "     +-- 10.200.1.0/29 2 0 2\n        |-- 10.200.1.0\n           /29 link UNICAST\n"
        "        |-- 10.200.1.1\n           /32 host LOCAL\n"
        "        |-- 10.200.1.7\n           /32 link BROADCAST\n"
        "Local:\n        |-- 127.0.0.0\n           /8 host LOCAL\n"
        "        |-- 127.0.0.1\n           /32 host LOCAL\n"
    )
    (tmp_path / "if_inet6").write_text(
        "fe8000000000000000fc00fffe000001 03 40 20 80     usb0\n"
        "00000000000000000000000000000001 01 80 10 80       lo\n"
    )
    assert own_addresses(tmp_path) == (
        *("10.200.1.1", "127.0.0.1", "::1"),
        "fe80::fc:ff:fe00:1",
    )
    assert own_addresses(tmp_path / "none") == ()
    assert "127.0.0.1" in own_addresses()
