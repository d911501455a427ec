"""The stock fake device has stock firmware's quirks and defects, and the host gets along with all of them."""

import json

import pytest
from device_kit import DATA, make

from host.cli import main
from host.device import Device
from host.errors import DeviceError, DeviceRefused, HostError, LinkTimeout
from host.link import FakeLink, Fault, open_link
from host.link.server import TASKS, StockServer, stock_device
from host.link.stock import BANNER, GUARD_BYTES, StockDevice, checksum_results

OVERSIZE = b"Supplied buffer size %s exceeds maximum of 4096\nm-ready\r\n"


def answers_to(device, *commands):
    return [device(command) for command in commands]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("name", ["m-name-dut-[fake]"]),
        ("name and more", ["m-name-dut-[fake]"]),
        ("profile", ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[kws01]"]),
        ("nonsense 1", ["e-[Unknown command: nonsense]"]),
        ("info", ["e-[Unknown command: info]"]),
        ("frames 1", ["e-[Unknown command: frames]"]),
        ("db", ["e-[Command 'db' requires a subcommand]"]),
        ("db load", ["e-[Command 'db load' requires the # of bytes]"]),
        ("db load 0", ["e-[Command 'db load' must be >0 bytes]"]),
        ("db load 9000", OVERSIZE % b"9000"),
        ("db load -1", OVERSIZE % b"-1"),
        ("db 123", ["e-[Insufficent number of hex digits]"]),
        ("db 12zz", ["e-[Invalid hex digit 'zz']"]),
        ("infer 0", ["e-[Inference iterations must be >0]"]),
        ("infer -1", ["e-[Inference iterations must be >0]"]),
        ("infer 1 -1", ["e-[Inference warmup must be >=0]"]),
        ("timestamp", ["m-lap-us-1000"]),
        ("n" * 100, [f"e-[Unknown command: {'n' * 80}]"]),
    ],
)
def test_what_stock_firmware_says(command, answer):
    assert StockDevice()(command) == answer


def test_a_command_is_cut_at_80_characters():
    device = StockDevice()
    device("db load 60")
    assert device("db " + "ab" * 50) == ["e-[Insufficent number of hex digits]"]


def test_the_warm_up_is_ten_when_nobody_says_how_many():
    assert StockDevice()("infer 1")[0] == "m-warmup-start-10"
    assert StockDevice()("infer 1 0")[0] == "m-warmup-start-0"


def test_the_clock_wraps_at_32_bits():
    laps = [line for line in StockDevice(lap_us=2**32 - 10)("infer 1 0") if line.startswith("m-lap")]
    assert laps == [f"m-lap-us-{2**32 - 10}", "m-lap-us-240"]


@pytest.mark.parametrize("comma", [True, False])
def test_results_with_a_comma_too_many(comma):
    assert StockDevice(trailing_comma=comma)("results")[0].endswith(",]") == comma


def test_anomaly_detection_answers_with_one_number():
    host, _ = make(stock_device("ad01"))
    host.load(bytes(2560))
    assert len(host.infer(1, 0).results) == 1


def test_energy_mode_has_no_laps():
    device = StockDevice(mode="energy")
    assert device("timestamp") == []
    assert not [line for line in device("infer 1 0") if line.startswith("m-lap")]


def test_digits_beyond_the_size_are_dropped_in_their_line_and_only_there():
    device = StockDevice()
    assert answers_to(device, "db load 2", "db 11223344") == [["m-[Expecting 2 bytes]"], ["m-load-done"]]
    assert device.buffer[:4] == b"\x11\x22\0\0"
    assert device("db 55") == []
    assert device.buffer[:4] == b"\x11\x22\x55\0"


def test_an_invalid_digit_leaves_what_came_before_it():
    device = StockDevice()
    answers_to(device, "db load 4", "db 1122zz")
    assert device("db 3344") == ["m-load-done"]
    assert device("db print") == ["m-buffer-11-22-33-44"]


def test_an_inference_takes_whatever_is_there():
    device = StockDevice()
    answers_to(device, "db load 2", "db 1122", "db load 2", "db 99")
    assert (
        device("infer 1 0")[-1] == f"m-results-[{','.join(f'{v:.3f}' for v in checksum_results(bytes([0x99, 0x22])))},]"
    )


@pytest.mark.parametrize("first", ["name", "db load 9000"])
def test_data_without_a_load_overwrite_other_variables_and_then_the_stack(first):
    device = StockDevice(capacity=62)
    device(first)
    answers_to(device, "db " + "ab" * 31, "db " + "ab" * 31)
    assert not device.corrupted
    good = device("results")
    answers_to(device, "db ab")
    assert device.corrupted
    assert device("results") != good
    for _ in range(GUARD_BYTES):
        device("db " + "ab" * 31)
    assert device.hung
    assert device("name") == b""


@pytest.mark.parametrize("command", ["", "   "])
def test_a_terminator_alone_hangs_the_device_or_makes_it_start_again(command):
    device = StockDevice()
    assert answers_to(device, command, "name") == [b"", b""]
    device = StockDevice(lone_terminator="reset")
    assert device(command) == BANNER
    assert device("name") == ["m-name-dut-[fake]"]


# ---- the host ----


def flow(device):
    """All that a session does with stock firmware."""
    device.wait_boot()
    assert device.profile().model == "kws01"
    assert device.speed_up() is None
    device.load(DATA)
    inference = device.infer(10, 1)
    assert inference.results == checksum_results(DATA)
    outputs = list(device.stream([DATA, DATA[::-1]]))
    assert [output.values for output in outputs] == [checksum_results(DATA), checksum_results(DATA[::-1])]
    return inference


@pytest.mark.parametrize(
    "options",
    [{}, {"trailing_comma": False}, {"has_results": False}, {"lap_us": 2**32 - 100}, {"mode": "energy"},
     {"capacity": 490}, {"lone_terminator": "reset"}],
    ids=str,
)  # fmt: skip
def test_the_host_gets_along_with_every_kind_of_stock_device(options):
    fake = StockDevice(**options)
    link = FakeLink(fake, banner=BANNER)
    inference = flow(Device(link))
    assert inference.duration_us == (None if "mode" in options else 2500)
    assert not fake.corrupted
    assert not fake.hung
    assert all(command.strip() for command in link.commands)
    assert not [command for command in link.commands if command.startswith("baud")]


def test_after_any_fault_on_the_line_a_load_begins_anew_and_memory_stays_whole():
    """A damaged `db load` or a lost byte must not lead to data without a load, at any place of it."""
    link = FakeLink(StockDevice())
    Device(link).load(DATA)
    length = sum(len(command) + 1 for command in link.commands)
    ended = {"right": 0, "error": 0}
    for kind in ("flip", "drop", "duplicate"):
        for at in range(0, length, 5):
            fake = StockDevice(capacity=490)
            device, cable = make(fake, timeout_s=0.02, infer_timeout_s=0.02)
            cable.add(Fault("tx", at, kind, at % 8))
            try:
                device.load(DATA)
                ended["right"] += 1
                assert not fake.hung  # a terminator that came twice, or that a flip made: nobody can get over that
            except HostError:
                ended["error"] += 1
            assert not fake.corrupted
    assert ended["right"] > 0.9 * sum(ended.values())


def test_an_oversize_input_is_told_and_nothing_of_it_is_sent():
    link = FakeLink(StockDevice(capacity=490))
    device = Device(link)
    with pytest.raises(DeviceRefused, match="exceeds maximum of 490"):
        device.load(bytes(491))
    assert not [command for command in link.commands if command.startswith("db 0")]


def test_a_device_that_starts_again_is_noticed():
    fake = StockDevice(lone_terminator="reset")
    link = FakeLink(fake)
    device = Device(link)
    device.load(DATA)
    link.write(b"%")
    with pytest.raises(DeviceError, match="started again"):
        device.infer(1, 0)


def test_a_device_that_hangs_is_noticed():
    fake = StockDevice()
    device, _ = make(fake, timeout_s=0.05, infer_timeout_s=0.05)
    device.load(DATA)
    fake("")
    with pytest.raises(LinkTimeout):
        device.infer(1, 0)


# ---- behind a port ----


@pytest.mark.parametrize("task", TASKS)
def test_any_runner_can_open_it_one_after_the_other(task):
    with StockServer(stock_device(task)) as server:
        for _ in range(2):
            with Device(open_link(server.url, 115_200)) as device:
                device.wait_boot()
                assert device.profile().model == task
        size, outputs = TASKS[task]
        with Device(open_link(server.url, 115_200)) as device:
            device.load(bytes(min(size, 3072)))
            assert len(device.infer(1, 0).results) == outputs


def bench(server, tmp_path, capsys, *words):
    always = ["bench", "kws01", "--port", server.url, "--out", str(tmp_path), "--rules", "quick"]
    code = main([*always, "--no-report", "--json", *words])
    said = capsys.readouterr()
    assert code == 0, said.err
    (run,) = json.loads(said.out)["runs"]
    return run


def test_a_whole_performance_session(data_dir, tmp_path, capsys):
    device = stock_device("kws01", run_us=2000)
    with StockServer(device) as server:
        run = bench(server, tmp_path, capsys)
    assert run["valid"]
    assert run["latency_us"]["median"] == 2000
    assert not device.corrupted


def test_a_whole_accuracy_session(data_dir, tmp_path, capsys):
    device = stock_device("kws01")
    with StockServer(device) as server:
        run = bench(server, tmp_path, capsys, "--mode", "accuracy", "--inputs", "20")
    assert run["accuracy"]["n"] == 20
    assert not device.corrupted


@pytest.mark.parametrize("words", [[], ["mps2_an386", "--stock", "kws01"], ["--stock", "nothing"]])
def test_the_command_wants_a_board_or_a_task(words, capsys):
    assert main(["emulate", *words]) == 2
    assert "stock" in capsys.readouterr().err
