"""The emulator's parts that need no emulated board: children, ELF files, the plugin's compiler, the pty."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import serial
from processes import gone, wait_for

from host import emulator
from host.boards import get_board
from host.build import Image
from host.emulator.counter import build_plugin
from host.emulator.elf import ArmElf
from host.emulator.process import Child
from host.emulator.pty import PtyBridge
from host.errors import LinkError, SetupError, UsageError

ASM = """
    .syntax unified
    .thumb
    .text
    .thumb_func
    .type far, %function
far: bl target
    .space 0x3000
    .thumb_func
    .global main
    .type main, %function
main:
    nop
    bl target
    bl far
    bl target
    nop
    .word 0xf000f000  @ looks like the first half of a BL
    .thumb_func
    .global target
    .type target, %function
target: bx lr
    .space 0x5002
    bl target
"""


def image_of(name, elf):
    return Image(
        board=get_board(name), elf=Path(elf), map=Path(elf), build_id="", version="", engine="", compiler="", flags="",
        sha256="", sizes={}, models=(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def asm_elf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asm")
    (folder / "a.S").write_text(ASM)
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-nostdlib", "-Wl,-Ttext=0x8000,--entry=main"]
    subprocess.run([*command, "-o", folder / "a.elf", folder / "a.S"], check=True)
    return folder / "a.elf"


def test_symbols_and_callers_are_those_of_the_disassembler(asm_elf):
    elf = ArmElf(asm_elf)
    target = elf.function("target")
    listing = subprocess.run(
        ["arm-none-eabi-objdump", "-d", asm_elf], capture_output=True, text=True, check=True
    ).stdout
    expected = tuple(
        int(line.split(":")[0], 16) for line in listing.splitlines() if "bl\t" in line and "<target>" in line
    )
    assert len(expected) == 4
    assert elf.callers(target) == expected
    with pytest.raises(SetupError, match="no function 'nothing'"):
        elf.function("nothing")


def test_a_damaged_elf_file_is_an_error_or_another_answer(asm_elf, tmp_path):
    whole = asm_elf.read_bytes()
    damaged = tmp_path / "damaged.elf"
    table = int.from_bytes(whole[32:36], "little")
    places = [*range(52), *range(table, len(whole))]
    for place in places:
        damaged.write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
        with contextlib.suppress(SetupError):
            elf = ArmElf(damaged)
            elf.callers(elf.function("target"))
    for size in range(0, len(whole), 97):
        damaged.write_bytes(whole[:size])
        with pytest.raises(SetupError):
            ArmElf(damaged)
    with pytest.raises(SetupError, match="cannot read"):
        ArmElf(tmp_path / "missing.elf")


def test_a_child_is_reaped_and_quoted(tmp_path):
    child = Child(["sh", "-c", "echo out; echo 'what went wrong' >&2; exit 3"], tmp_path)
    with pytest.raises(SetupError, match=r"sh ended with exit code 3.*what went wrong"):
        child.wait_until(lambda: False, 60)
    assert child.stdout() == "out\n"
    child.stop()
    assert "what went wrong" in child.obituary()


def test_a_child_that_ignores_a_polite_end(tmp_path, monkeypatch):
    monkeypatch.setattr("host.emulator.process.STOP_GRACE_S", 0.05)
    child = Child(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"], tmp_path)
    child.wait_until(lambda: "ready" in child.stdout(), 60)
    child.stop()
    child.stop()
    assert not child.alive()
    assert "killed by signal 9" in child.obituary()


def test_a_child_that_is_never_ready(tmp_path):
    child = Child(["sleep", "60"], tmp_path)
    with pytest.raises(SetupError, match="sleep was not ready within 0 s"):
        child.wait_until(lambda: False, 0.01)
    child.stop()


def test_a_child_dies_when_its_parent_is_killed(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from host.emulator.process import Child\n"
        f"print(Child(['sleep', '600'], Path({str(tmp_path)!r})).pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    wait_for(lambda: Path(f"/proc/{child}/comm").read_text() == "sleep\n")
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_for(lambda: gone(child))


def test_the_plugin_is_compiled_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built = build_plugin()
    first = built.stat()
    assert built.parent == tmp_path / "tinyjoule"
    assert build_plugin() == built
    assert built.stat().st_mtime_ns == first.st_mtime_ns
    assert [path.name for path in built.parent.iterdir()] == [built.name]


def test_a_plugin_that_cannot_be_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="apt-get install gcc"):
        build_plugin()
    (tmp_path / "gcc").write_text("#!/bin/sh\necho 'no space' >&2\nexit 1\n")
    (tmp_path / "gcc").chmod(0o755)
    with pytest.raises(SetupError, match="no space"):
        build_plugin()
    assert list((tmp_path / "tinyjoule").iterdir()) == []


def test_no_qemu(asm_elf, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="apt-get install qemu-system-arm"):
        emulator.start(image_of("mps2_an386", asm_elf), timed=False)


def test_no_firmware(tmp_path):
    for board in ("mps2_an386", "native"):
        with pytest.raises(SetupError, match=f"host build {board}"):
            emulator.start(image_of(board, tmp_path / "firmware.elf"), timed=False)


def test_a_firmware_that_never_calls_the_engine(asm_elf):
    with pytest.raises(SetupError, match="engine_run"):
        emulator.start(image_of("mps2_an386", asm_elf), timed=True)


@pytest.fixture
def bridge(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        path = tmp_path / "ttyBOARD"
        with PtyBridge(f"socket://127.0.0.1:{server.getsockname()[1]}", path) as bridge:
            peer, _ = server.accept()
            with peer:
                yield bridge, path, peer


def test_a_pty_is_a_serial_device(bridge):
    bridge, path, peer = bridge
    everything = bytes(range(256))
    for _ in range(2):  # a client may go and another one come
        with serial.Serial(str(path), 115200, timeout=0, exclusive=True) as port:
            port.write(everything)
            received = b""
            while len(received) < 256:
                bridge.carry(0.05)
                peer.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    received += peer.recv(4096)
            assert received == everything
            peer.sendall(everything)
            received = b""
            while len(received) < 256:
                bridge.carry(0.05)
                received += port.read(4096)
            assert received == everything


def test_a_pty_whose_client_does_not_read_takes_no_memory(bridge):
    bridge, _, peer = bridge
    peer.settimeout(0.2)

    def flood():
        while True:
            peer.send(bytes(65536))
            for _ in range(20):
                bridge.carry(0)

    with pytest.raises(TimeoutError):
        flood()
    assert len(bridge._to_client) <= 4096


def test_a_pty_goes_with_its_bridge(bridge):
    bridge, path, peer = bridge
    assert path.is_symlink()
    peer.close()
    with pytest.raises(LinkError, match="board has gone"):
        bridge.carry(5)
    bridge.close()
    assert not path.is_symlink()


def test_a_pty_replaces_only_a_stale_link(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        stale, live, file = tmp_path / "stale", tmp_path / "live", tmp_path / "file"
        stale.symlink_to(tmp_path / "nothing")
        live.symlink_to(tmp_path)
        file.touch()
        with PtyBridge(url, stale):
            assert stale.readlink().is_char_device()
        for path in (live, file, tmp_path / "no" / "folder"):
            with pytest.raises(UsageError):
                PtyBridge(url, path)
        assert live.is_symlink()
        assert file.exists()
    with pytest.raises(LinkError, match="cannot make"):
        PtyBridge(url, tmp_path / "new")
    assert not (tmp_path / "new").is_symlink()


def test_a_board_without_an_emulator_says_what_to_do(host_command):
    done = subprocess.run([host_command, "emulate", "nucleo_l4r5zi"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "host flash nucleo_l4r5zi" in done.stderr


def test_a_parent_that_is_killed_ends_the_host_too():
    code = "import time; from host.lifeline import end_with_parent; end_with_parent(); print(1, flush=True); "
    outer = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {code + 'time.sleep(600)'!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print(child.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", outer], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert wait_for(lambda: gone(child))
