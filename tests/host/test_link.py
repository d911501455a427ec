"""Links against real sockets, real pseudo-terminals and the operating system's own refusals."""

import os
import pty
import socket
import tty

import pytest

from host.errors import LinkError, LinkTimeout, UsageError
from host.link import FakeLink, Fault, FaultyLink, open_link
from host.link.faulty import random_faults
from host.link.stock import BANNER, StockDevice


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def terminal():
    """A serial device, and our end of it."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield os.ttyname(slave), master
    os.close(master)
    os.close(slave)


def url_of(server):
    return f"socket://127.0.0.1:{server.getsockname()[1]}"


def test_a_socket_carries_bytes_both_ways(listener):
    link = open_link(url_of(listener), 115200)
    peer, _ = listener.accept()
    with peer:
        link.write(b"name%")
        assert peer.recv(100) == b"name%"
        assert link.read(0) == b""
        assert link.read(0.01) == b""
        peer.sendall(b"m-ready\r\n")
        assert link.read(5) == b"m-ready\r\n"
    assert link.name == url_of(listener)
    link.close()
    link.close()
    with pytest.raises(LinkError, match="closed already"):
        link.write(b"name%")


def test_a_socket_sends_small_commands_at_once(listener):
    link = open_link(url_of(listener), 115200)
    assert link._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    link.close()


def test_a_socket_whose_other_end_goes(listener):
    link = open_link(url_of(listener), 115200)
    peer, _ = listener.accept()
    peer.sendall(b"last words")
    peer.close()
    assert link.read(5) == b"last words"
    with pytest.raises(LinkError, match="closed the connection"):
        link.read(5)
    link.close()


def test_a_port_where_nobody_listens(listener):
    url = url_of(listener)
    listener.close()
    with pytest.raises(LinkError, match=r"refused.*host emulate"):
        open_link(url, 115200)


@pytest.mark.parametrize(
    "url",
    ["socket://", "socket://127.0.0.1", "socket://127.0.0.1:x", "socket://:5000", "socket://h:70000", "socket://h:1/x"],
)
def test_a_socket_url_that_is_none(url):
    with pytest.raises(UsageError, match="socket://HOST:PORT"):
        open_link(url, 115200)


def test_a_url_that_pyserial_does_not_know():
    with pytest.raises(UsageError, match="nosuch"):
        open_link("nosuch://x", 115200)


def test_a_serial_device_carries_bytes_both_ways(terminal):
    path, master = terminal
    link = open_link(path, 115200)
    link.write(b"name%")
    assert os.read(master, 100) == b"name%"
    assert link.read(0) == b""
    assert link.read(0.01) == b""
    os.write(master, b"m-ready\r\n")
    received = b""
    while len(received) < 9:
        received += link.read(5)
    assert received == b"m-ready\r\n"
    link.close()
    link.close()
    with pytest.raises(LinkError):
        link.write(b"name%")


def test_a_serial_device_that_is_unplugged(terminal):
    path, master = terminal
    link = open_link(path, 115200)
    spare = os.open(os.devnull, os.O_RDONLY)
    os.dup2(spare, master)  # closes the device's end, and leaves a number for the fixture to close
    os.close(spare)
    with pytest.raises(LinkError, match="the port is gone"):
        link.read(5)
    link.close()


def test_a_port_that_is_not_there():
    with pytest.raises(LinkError, match="no such port"):
        open_link("/dev/ttyTINYJOULE", 115200)


def test_a_port_that_is_busy(terminal):
    path, _ = terminal
    first = open_link(path, 115200)
    with pytest.raises(LinkError, match=r"busy: another program"):
        open_link(path, 115200)
    first.close()
    open_link(path, 115200).close()


def test_a_file_that_is_no_port(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LinkError, match="not a serial port"):
        open_link(str(tmp_path / "file"), 115200)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up its rights for one call")
def test_a_port_that_is_forbidden(terminal):
    path, _ = terminal
    os.chmod(path, 0o600)
    os.seteuid(65534)
    try:
        with pytest.raises(LinkError, match="dialout"):
            open_link(path, 115200)
    finally:
        os.seteuid(0)


def read_all(link):
    received = b""
    while data := link.read(0):
        received += data
    return received


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("db load 4;0", ["m-[Expecting 4 bytes]"]),
        ("db load x", ["e-[Command 'db load' must be >0 bytes]"]),
        ("db load -3", b"Supplied buffer size -3 exceeds maximum of 4096\nm-ready\r\n"),
        ("infer 0x1", ["e-[Inference iterations must be >0]"]),
    ],
)
def test_the_fake_device_reads_damaged_numbers_as_stock_firmware_does(command, answer):
    assert StockDevice()(command) == answer


def test_the_fake_device_speaks_like_a_stock_one():
    link = FakeLink(StockDevice(), banner=BANNER)
    assert read_all(link) == b"m-timestamp-mode-performance\r\nm-lap-us-0\r\nm-init-done\r\nm-ready\r\n"
    link.write(b"na")
    assert read_all(link) == b""
    link.write(b"me%nonsense 1%")
    assert read_all(link) == b"m-name-dut-[fake]\r\nm-ready\r\ne-[Unknown command: nonsense]\r\nm-ready\r\n"
    link.close()
    with pytest.raises(LinkError):
        link.read(0)


@pytest.mark.parametrize(
    ("fault", "sent", "received"),
    [
        (Fault("tx", 2, "flip", 0), b"nale", b"m-ready\r\n"),
        (Fault("tx", 2, "drop"), b"nae", b"m-ready\r\n"),
        (Fault("tx", 2, "duplicate"), b"namme", b"m-ready\r\n"),
        (Fault("tx", 2, "stall"), None, b""),
        (Fault("rx", 2, "flip", 1), b"name", b"m-peady\r\n"),
        (Fault("rx", 2, "drop"), b"name", b"m-eady\r\n"),
        (Fault("rx", 2, "duplicate"), b"name", b"m-rready\r\n"),
        (Fault("rx", 2, "stall"), b"name", b"m-"),
        (Fault("rx", 9, "flip"), b"name", b"m-ready\r\n"),
    ],
)
def test_each_fault(fault, sent, received):
    inner = FakeLink(lambda _command: [])
    link = FaultyLink(inner, [fault])
    link.write(b"na")
    link.write(b"me%")
    assert read_all(link) == received
    assert inner.commands == ([] if sent is None else [sent.decode()])


@pytest.mark.parametrize("direction", ["tx", "rx"])
def test_a_line_that_is_cut(direction):
    link = FaultyLink(FakeLink(StockDevice()), [Fault(direction, 3, "close")])

    def talk():
        link.write(b"name%")
        read_all(link)

    with pytest.raises(LinkError, match="cut"):
        talk()
    with pytest.raises(LinkError, match="cut"):
        link.write(b"name%")


def test_a_faulty_line_waits_for_what_it_drops(listener):
    link = FaultyLink(open_link(url_of(listener), 115200), [Fault("rx", 0, "drop")])
    peer, _ = listener.accept()
    with peer:
        peer.sendall(b"a")
        assert link.read(0.05) == b""
        peer.sendall(b"b")
        assert link.read(5) == b"b"
        assert link.passed("rx") == 2
    link.close()


def test_random_faults_repeat():
    faults = random_faults(1, "tx", 100, 1000, 0.05)
    assert faults == random_faults(1, "tx", 100, 1000, 0.05)
    assert faults != random_faults(2, "tx", 100, 1000, 0.05)
    assert all(100 <= fault.at < 1100 for fault in faults)
    assert {fault.kind for fault in faults} == {"flip", "drop", "duplicate"}


def test_a_peer_that_takes_nothing_any_more(listener, monkeypatch):
    monkeypatch.setattr("host.link.tcp.WRITE_TIMEOUT_S", 0.05)
    link = open_link(url_of(listener), 115200)
    with pytest.raises(LinkTimeout, match="hung"):
        link.write(bytes(64 << 20))
    link.close()
