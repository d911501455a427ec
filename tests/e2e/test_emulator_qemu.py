"""The real firmware on the emulated boards: the protocol, faults of the line and of the board, and its ends."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest
from processes import gone, wait_for

from host import emulator
from host.boards import find_boards
from host.device import Device
from host.errors import DeviceError, LinkError, LinkTimeout, SetupError
from host.link import Fault, FaultyLink, open_link
from host.link.faulty import random_faults

EMULATED = [board.name for board in find_boards().values() if board.emulator]
QEMU = [board.name for board in find_boards().values() if board.emulator == "qemu"]
KINDS = ["mps2_an386", "native"]  # one of each, for what is the host's and not the board's


@pytest.fixture(scope="module")
def image(firmware_image):
    def get(board):
        image = firmware_image(board)
        if not image.models:
            pytest.skip("no model could be had on this machine: the image is empty")
        return image

    return get


@pytest.fixture(params=QEMU)
def qemu(request, image):
    with emulator.start(image(request.param), timed=False) as board:
        yield board


def connect(board, faults=(), **options):
    cable = FaultyLink(open_link(board.url, 115200), faults)
    return Device(cable, **options), cable


@pytest.mark.parametrize("name", EMULATED)
def test_the_first_client_sees_the_banner(image, name):
    with emulator.start(image(name), timed=False) as board:
        link = open_link(board.url, 115200)
        received = b""
        while not received.endswith(b"m-ready\r\n"):
            received += link.read(10)
        lines = received.decode().split("\r\n")
        assert lines[0] == "m-timestamp-mode-performance"
        assert lines[1].startswith("m-lap-us-")
        assert lines[2:] == ["m-init-done", "m-ready", ""]
        link.close()


@pytest.mark.parametrize("name", EMULATED)
def test_the_typed_commands(image, name):
    with emulator.start(image(name), timed=False) as board, connect(board)[0] as device:
        assert device.wait_boot() == "tinyjoule"
        info = device.info()
        assert info is not None
        assert (info.board, info.build_id) == (name, image(name).build_id)
        assert info.models == tuple(model.id for model in image(name).models)
        for model in image(name).models:
            device.select_model(model.id)
            info = device.info()
            assert info is not None
            assert device.profile().model == info.model == model.id
            assert info.model_sha256 == model.sha256
            device.load(bytes(at % 63 for at in range(info.input_bytes)))  # finite as float32 too
            inference = device.infer(2, 1)
            assert inference.duration_us is not None
            assert inference.duration_us > 0
            assert len(inference.results) == info.output_elements
        device.set_mode("energy")
        assert device.timestamp_us() is None


def test_reset_between_commands_and_again(qemu):
    device, _ = connect(qemu)
    device.wait_boot()
    qemu.reset()
    with pytest.raises(DeviceError):
        wait_for(lambda: device.name() != "tinyjoule")  # DeviceReset, or a reply cut in two
    assert device.wait_boot() == "tinyjoule"
    device.close()


def test_a_board_that_hangs_and_goes_on(qemu):
    device, _ = connect(qemu, timeout_s=0.3)
    device.wait_boot()
    qemu.stop()
    with pytest.raises(LinkTimeout, match=r"no answer to 'name' within 0.3 s"):
        device.name()
    qemu.cont()
    assert device.profile().model == device.info().model  # what `name` answers by now is not taken for it
    device.close()


@pytest.mark.parametrize("qemu", ["mps2_an386"], indirect=True)
def test_a_board_that_is_killed(qemu):
    device, _ = connect(qemu)
    device.wait_boot()
    os.kill(qemu.pid, signal.SIGKILL)
    with pytest.raises(LinkError):
        wait_for(lambda: device.name() != "tinyjoule")
    wait_for(qemu.diagnosis)
    assert "killed by signal 9" in qemu.diagnosis()
    with pytest.raises(LinkError, match="killed by signal 9"):
        qemu.reset()
    with pytest.raises(LinkError, match="refused"):
        open_link(qemu.url, 115200)
    device.close()


@pytest.mark.parametrize("name", KINDS)
def test_the_error_of_a_broken_line_says_why_the_board_died(image, name):
    def use_it_to_death():
        with emulator.start(image(name), timed=False) as board, connect(board)[0] as device:
            device.wait_boot()
            os.kill(board.pid, signal.SIGSEGV)
            wait_for(lambda: device.name() != "tinyjoule")

    with pytest.raises(LinkError) as caught:
        use_it_to_death()
    (note,) = caught.value.__notes__
    assert "signal 11" in note or "SEGV" in note


@pytest.mark.parametrize("qemu", ["mps2_an386"], indirect=True)
def test_a_client_may_go_and_another_one_come(qemu):
    for _ in range(3):
        device, _ = connect(qemu)
        assert device.wait_boot() == "tinyjoule"
        device.close()


@pytest.mark.parametrize("name", KINDS)
def test_a_noisy_line_gives_the_right_results_or_an_error(image, name):
    names = [model.id for model in image(name).models]
    model = "kws01" if "kws01" in names else names[0]  # a small input: many loads in little time
    right = 0
    with emulator.start(image(name), timed=False) as board:
        device, cable = connect(board, timeout_s=0.5)
        device.wait_boot()
        device.select_model(model)
        info = device.info()
        assert info is not None
        data = bytes(at * 7 % 256 for at in range(info.input_bytes))
        device.load(data)
        expected = device.infer(1, 0).results
        for seed in range(8):
            for direction, per_load in (("tx", 3 * info.input_bytes), ("rx", info.input_bytes)):
                for fault in random_faults(seed, direction, cable.passed(direction), per_load, 1.5 / per_load):
                    cable.add(fault)
            with contextlib.suppress(DeviceError, LinkTimeout):
                device.select_model(model)
                device.load(data)
                assert device.infer(1, 0).results == expected
                right += 1
        device.close()
    assert right > 0


@pytest.mark.parametrize("qemu", ["mps2_an386"], indirect=True)
def test_a_line_that_stalls(qemu):
    device, cable = connect(qemu, timeout_s=0.3)
    device.wait_boot()
    cable.add(Fault("tx", cable.passed("tx") + 2, "stall"))
    with pytest.raises(LinkTimeout):
        device.name()
    device.close()


def test_qemu_that_does_not_start(image, tmp_path, monkeypatch):
    (tmp_path / "qemu-system-arm").write_text("#!/bin/sh\necho 'unsupported machine type' >&2\nexit 1\n")
    (tmp_path / "qemu-system-arm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SetupError, match=r"exit code 1.*unsupported machine type"):
        emulator.start(image("mps2_an386"), timed=False)


@pytest.mark.parametrize("name", KINDS)
def test_a_killed_host_leaves_no_board_behind(image, name):
    image(name)  # built
    code = (
        "import time; from host import boards, build, emulator\n"
        f"board = emulator.start(build.last_image(boards.get_board({name!r})), timed=False)\n"
        "print(board.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    board = int(parent.stdout.readline())
    assert not gone(board)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_for(lambda: gone(board))
