"""`host emulate`: what another runner sees of it, and that it leaves nothing behind."""

import os
import signal
import subprocess

import pytest
import serial
from processes import children, gone, wait_for

from host.device import Device
from host.link import open_link


@pytest.fixture
def emulate(host_command, firmware_image):
    """Start `host emulate`; returns its process and its first line."""
    started = []

    def start(board, *words):
        firmware_image(board)
        process = subprocess.Popen([host_command, "emulate", board, *words], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("words", [("mps2_an386",), ("mps2_an386", "--fast"), ("native",)])
def test_a_socket_until_ctrl_c(emulate, words):
    process, url = emulate(*words)
    assert url.startswith("socket://127.0.0.1:")
    for _ in range(2):  # a client may go and another one come
        with Device(open_link(url, 115200)) as device:
            assert device.wait_boot() == "tinyjoule"
    (board,) = children(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0
    assert gone(board)


def test_a_socket_opens_with_pyserial_too(emulate):
    _, url = emulate("mps2_an386", "--fast")
    with serial.serial_for_url(url, timeout=20) as port:
        assert port.read_until(b"m-ready\r\n").endswith(b"m-init-done\r\nm-ready\r\n")
        port.write(b"name%")
        assert port.read_until(b"m-ready\r\n") == b"m-name-dut-[tinyjoule]\r\nm-ready\r\n"


def test_a_serial_device_until_sigterm(emulate, tmp_path):
    path = tmp_path / "ttyBOARD"
    process, line = emulate("mps2_an386", "--pty", str(path))
    assert line == str(path)
    for _ in range(2):
        with serial.Serial(str(path), 115200, timeout=20, exclusive=True) as port:
            port.write(b"name%")
            answer = b"m-name-dut-[tinyjoule]\r\nm-ready\r\n"
            assert port.read_until(answer).endswith(answer)  # the banner may come before it
        with Device(open_link(str(path), 115200)) as device:
            assert device.wait_boot() == "tinyjoule"
    (board,) = children(process.pid)
    process.terminate()
    assert process.wait() == 128 + signal.SIGTERM
    assert gone(board)
    assert not path.is_symlink()


def test_a_killed_command_leaves_no_board_and_a_link_that_the_next_one_replaces(emulate, tmp_path):
    path = tmp_path / "ttyBOARD"
    process, _ = emulate("native", "--pty", str(path))
    (board,) = children(process.pid)
    process.kill()
    process.wait()
    assert wait_for(lambda: gone(board))
    assert path.is_symlink()
    if path.exists():
        pytest.skip("another program was given the same terminal's number meanwhile")
    _, line = emulate("native", "--pty", str(path))
    assert line == str(path)


def test_a_board_that_dies_ends_the_command(emulate):
    process, _ = emulate("native")
    (board,) = children(process.pid)
    os.kill(board, signal.SIGKILL)
    assert process.wait() == 1


def test_a_file_in_the_way(host_command, firmware_image, tmp_path):
    firmware_image("native")
    path = tmp_path / "file"
    path.write_text("precious")
    done = subprocess.run(
        [host_command, "emulate", "native", "--pty", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "not ours to replace" in done.stderr
    assert path.read_text() == "precious"
