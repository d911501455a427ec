"""Device: every fault of the line or the device has its named error, and nothing wrong is ever returned."""

import json
import time
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.device import _PERMANENT, Device, Transcript
from host.errors import (
    DeviceError,
    DeviceRefused,
    DeviceReset,
    GarbledReply,
    LinkError,
    LinkTimeout,
    LoadIncomplete,
    UsageError,
)
from host.exchange import _HINTS, MAX_REPLY_LINES
from host.link import FakeLink, Fault, FaultyLink
from host.link.fake import BANNER, StockDevice, TinyjouleDevice, checksum_results
from host.wire.spec import spec

DATA = bytes(range(256)) + bytes(234)  # 490 bytes, as kws01 has


def make(device=None, faults=(), **options):
    """A Device over a fake one (ours unless given), and the cable between them."""
    cable = FaultyLink(FakeLink(device or TinyjouleDevice()), faults)
    return Device(cable, **options), cable


def answers(**by_command):
    """A device that gives these answers, to the words given with _ for a space, and else those of ours."""
    real = TinyjouleDevice()
    scripted = {command.replace("_", " "): answer for command, answer in by_command.items()}
    return lambda command: scripted[command] if command in scripted else real(command)


def test_the_typed_commands():
    device, _ = make()
    assert device.wait_boot() == "fake"
    assert device.profile().model == "kws01"
    assert device.profile().profile == "ULPMark for tinyML Firmware V0.0.1"
    assert device.timestamp_us() == 1000
    device.select_model("ic01")
    info = device.info()
    assert info is not None
    assert (info.board, info.model, info.models, info.cycles) == ("fake", "ic01", ("ic01", "kws01"), None)
    device.load(DATA)
    inference = device.infer(10, 2)
    assert (inference.start_us, inference.end_us, inference.duration_us) == (1500, 4000, 2500)
    assert inference.results == checksum_results(DATA) == device.results()
    device.set_mode("energy")
    assert device.timestamp_us() is None
    device.load(DATA)
    assert device.infer(10, 0).duration_us is None


def test_stock_firmware_with_its_quirks():
    device, _ = make(StockDevice())
    device.wait_boot()
    assert device.info() is None
    device.load(DATA)
    assert device.infer(3, 0).results == checksum_results(DATA)  # the fake sends a trailing comma
    with pytest.raises(DeviceRefused, match=r"'mode energy'.*Unknown command: mode"):
        device.set_mode("energy")
    with pytest.raises(DeviceRefused, match="Supplied buffer size 5000 exceeds maximum of 4096"):
        device.load(bytes(5000))
    assert device.name() == "fake"


def test_hints_and_permanent_errors_are_of_the_protocol():
    assert set(_HINTS) | set(_PERMANENT) <= set(spec().errors)


def test_an_oversize_load_is_not_tried_again():
    link = FakeLink(StockDevice())
    with pytest.raises(DeviceRefused):
        Device(link).load(bytes(5000))
    assert [command for command in link.commands if command.startswith("db load")] == ["db load 5000"]


def test_infer_always_sends_the_warm_up():
    link = FakeLink(TinyjouleDevice())
    device = Device(link)
    device.load(DATA)
    device.infer(1, 0)
    assert "infer 1 0" in link.commands


def test_a_clock_that_wraps():
    device, _ = make(TinyjouleDevice(lap_us=2**32 - 100))
    device.load(DATA)
    inference = device.infer(10, 0)
    assert (inference.start_us, inference.end_us, inference.duration_us) == (2**32 - 100, 2400, 2500)


def test_data_goes_31_bytes_at_a_time():
    link = FakeLink(TinyjouleDevice())
    Device(link).load(DATA)
    lines = [command for command in link.commands if command.startswith("db ") and command[3] not in "lc"]
    assert [len(line) for line in lines] == [3 + 62] * 15 + [3 + 50]


@pytest.mark.parametrize("firmware", [StockDevice, TinyjouleDevice])
def test_infer_without_a_whole_input_is_an_error(firmware):
    device, _ = make(firmware())
    with pytest.raises(LoadIncomplete):
        device.infer(1, 0)
    device.load(DATA)
    device.infer(1, 0)
    with pytest.raises(UsageError):
        device.load(b"")


def test_selecting_a_model_drops_the_input():
    device, _ = make()
    device.load(DATA)
    device.select_model("ic01")
    with pytest.raises(LoadIncomplete):
        device.infer(1, 0)


def test_an_e_line_quotes_command_and_line_and_leaves_the_stream_in_step():
    device, _ = make()
    with pytest.raises(DeviceRefused, match=r"'model nope'.*Unknown model: nope"):
        device.select_model("nope")
    assert device.name() == "fake"


def test_a_device_that_never_answers():
    link = FakeLink({})
    with pytest.raises(LinkTimeout, match=r"powered.*right port.*right baud"):
        Device(link).wait_boot(0.1)
    with pytest.raises(LinkTimeout, match=r"no answer to 'name' within 5 s"):
        Device(FakeLink({})).name()


def test_a_device_that_stops_answering_in_the_middle_of_an_inference():
    device, cable = make(infer_timeout_s=0.05)
    device.load(DATA)
    cable.add(Fault("rx", cable.passed("rx") + 30, "stall"))
    with pytest.raises(LinkTimeout, match=r"no answer to 'infer 10 1' within 0.05 s"):
        device.infer(10, 1)
    with pytest.raises(LinkTimeout):
        device.name()


def test_a_reply_that_comes_too_late_is_never_taken_for_another():
    late = []

    def device(command):
        if command.startswith("name") and not late:
            late.append(command)
            return b""
        return StockDevice()(command)

    link = FakeLink(device)
    host = Device(link)
    with pytest.raises(LinkTimeout):
        host.name()
    link.say(["m-name-dut-[from before]"])
    assert host.name() == "fake"


def test_a_late_reply_that_comes_only_when_the_next_command_is_on_its_way():
    fake = StockDevice()
    late = iter([b"", b"m-name-dut-[from before]\r\nm-ready\r\n"])

    def device(command):
        answer = "".join(f"{line}\r\n" for line in [*fake(command), "m-ready"]).encode()
        held = next(late, None)
        return b"" if held == b"" else (held or b"") + answer

    host = Device(FakeLink(device))
    with pytest.raises(LinkTimeout):
        host.name()
    assert host.name() == "fake"


@pytest.mark.parametrize("line", ["m-warmup-sta", "e-[UART overrun: the command and the load were dropped]"])
def test_after_an_error_the_input_has_to_be_loaded_again(line):
    bad = iter([[line]])
    fake = StockDevice()
    device = Device(
        FakeLink(lambda command: next(bad, None) or fake(command) if command == "infer 1 0" else fake(command))
    )
    device.load(DATA)
    with pytest.raises(DeviceError):
        device.infer(1, 0)
    with pytest.raises(LoadIncomplete):
        device.infer(1, 0)
    device.load(DATA)
    assert device.infer(1, 0).results == checksum_results(DATA)


def test_a_reply_that_comes_twice():
    host = Device(FakeLink(answers(name=["m-name-dut-[a]", "m-ready", "m-name-dut-[b]"])))
    assert host.name() == "a"
    assert host.profile().model == "kws01"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("m-name-dut-[fake", GarbledReply),
        ("m-name-dux-[fake]", GarbledReply),
        ("n-name-dut-[fake]", GarbledReply),
        ("m-name-dut-[f\x00ke]", GarbledReply),
        ("m-name-dut-[f\xfcke]", GarbledReply),
        ("m-lap-us-17", GarbledReply),
        ("m-name-dut-[fake]m-ready", GarbledReply),
        ("e-[UART overrun: the command and the load were dropped]", DeviceRefused),
        ("x" * 10_000, GarbledReply),
    ],
)
def test_a_line_that_is_not_the_answer(line, error):
    device = Device(FakeLink(answers(name=[line])))
    with pytest.raises(error):
        device.name()
    assert device.profile().model == "kws01"


def test_an_empty_answer_is_not_one():
    with pytest.raises(GarbledReply, match="nothing instead of Name"):
        Device(FakeLink(answers(name=[]))).name()


def test_a_hostile_device_cannot_eat_memory():
    class Babble(FakeLink):
        served = 0

        def read(self, timeout_s):
            if not self.commands:
                return super().read(timeout_s)
            Babble.served += 4096
            return self.answer * (4096 // len(self.answer))

    for answer in (b"x", b"m-lap-us-1\r\n"):
        Babble.served, Babble.answer = 0, answer
        with pytest.raises(GarbledReply, match=str(MAX_REPLY_LINES)):
            Device(Babble({})).name()
        assert Babble.served < 4096 * (MAX_REPLY_LINES + 1) * 3


def test_a_reset_between_two_commands():
    fake = TinyjouleDevice()
    link = FakeLink(fake)
    device = Device(link)
    device.load(DATA)
    link.say(fake.reset())
    with pytest.raises(DeviceReset):
        device.infer(1, 0)
    assert device.name() == "fake"


@pytest.mark.parametrize("command", ["db load 490", "infer 1 0", "db crc", "results"])
def test_a_reset_in_the_middle_of_a_command(command):
    device = Device(FakeLink(answers(**{command: list(BANNER)})))

    def load_and_infer():
        device.load(DATA)
        device.infer(1, 0)

    with pytest.raises(DeviceReset, match=command):
        load_and_infer()


def test_a_reset_that_nobody_saw_is_found_by_the_retry_of_a_load():
    fake = TinyjouleDevice()
    silent = iter(range(3))

    def device(command):
        if command == "db load 490" and next(silent, 2) == 0:
            fake.reset()
            fake.model = "kws01"
            return ["e-[UART overrun: the command and the load were dropped]"]
        return fake(command)

    host = Device(FakeLink(device))
    host.select_model("ic01")
    with pytest.raises(DeviceReset):
        host.load(DATA)


def test_a_banner_at_the_start_is_swallowed():
    link = FakeLink(TinyjouleDevice(), banner=BANNER)
    device = Device(link)
    assert device.wait_boot() == "fake"
    assert device.profile().model == "kws01"


def test_a_device_that_is_still_booting_when_the_port_opens():
    fake = TinyjouleDevice()
    lost = iter([b"", b"\x00\xff", b""])
    link = FakeLink(lambda command: next(lost) if len(link.commands) <= 3 else fake(command))
    assert Device(link).wait_boot(10) == "fake"


def test_no_load_done():
    device = Device(FakeLink(answers(**{f"db {DATA[-25:].hex()}": []})))
    with pytest.raises(LoadIncomplete, match="no m-load-done after all 490 bytes"):
        device.load(DATA)


def test_another_crc():
    device = Device(FakeLink(answers(db_crc=["m-crc32-[00000000]"])))
    with pytest.raises(LoadIncomplete, match=f"{zlib.crc32(DATA):08x}"):
        device.load(DATA)


def test_a_load_is_tried_three_times_and_says_so(tmp_path):
    link = FakeLink(answers(db_crc=["m-crc32-[00000000]"]))
    with Transcript(tmp_path / "log.jsonl") as transcript, pytest.raises(LoadIncomplete):
        Device(link, transcript=transcript).load(DATA)
    assert link.commands.count("db load 490") == 3
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert sum(line["dir"] == "note" and "starting it again" in line["line"] for line in lines) == 2


def test_an_infer_is_never_tried_again():
    link = FakeLink(answers(infer_1_0=["m-warmup-start-0"]))
    device = Device(link)
    device.load(DATA)
    with pytest.raises(GarbledReply):
        device.infer(1, 0)
    assert link.commands.count("infer 1 0") == 1


def test_a_load_mends_single_faults():
    for kind in ("flip", "drop", "duplicate"):
        device, cable = make(timeout_s=0.05)
        device.wait_boot()
        device.info()
        cable.add(Fault("tx", cable.passed("tx") + 200, kind))
        device.load(DATA)
        assert device.infer(1, 0).results == checksum_results(DATA)


GOOD_INFER = [
    *("m-warmup-start-1", "m-warmup-done", "m-infer-start-10", "m-lap-us-5", "m-lap-us-9", "m-infer-done"),
    "m-results-[0.000,0.996,0.004]",
]


@pytest.mark.parametrize("lost", range(len(GOOD_INFER)))
def test_an_infer_with_a_line_missing(lost):
    lines = GOOD_INFER[:lost] + GOOD_INFER[lost + 1 :]
    device = Device(FakeLink(answers(infer_10_1=lines, results=GOOD_INFER[-1:])))
    device.load(DATA)
    with pytest.raises(GarbledReply):
        device.infer(10, 1)


@pytest.mark.parametrize("outputs", [2, 4])
def test_another_models_outputs_are_an_error_whatever_is_measured(outputs):
    device = Device(FakeLink(answers(infer_10_1=GOOD_INFER, results=GOOD_INFER[-1:])))
    device.outputs = outputs
    device.load(DATA)
    with pytest.raises(DeviceError, match=f"answered 3 numbers where the model has {outputs}"):
        device.infer(10, 1)


def test_a_reply_that_drips_without_an_end_is_given_up():
    class Drip(FakeLink):
        """A line now and then, always within the timeout of one."""

        def read(self, timeout_s):
            if timeout_s and self.commands[-1:] == ["name"]:
                time.sleep(timeout_s / 2)
                return b"m-warmup-done\r\n"
            return super().read(timeout_s)

    with pytest.raises(LinkTimeout, match="no answer to 'name' that ended within"):
        Device(Drip(answers(name=b"")), timeout_s=0.02).name()


@pytest.mark.parametrize("line", ["x" * 2000, "m-lap-us-" + "9" * 2000, "e-[" + "x" * 2000 + "]", "x" * 2000 + "\xff"])
def test_a_message_does_not_fill_the_terminal_with_what_the_device_said(line):
    with pytest.raises(DeviceError) as caught:
        Device(FakeLink(answers(name=[line]))).name()
    assert len(str(caught.value)) < 300


def test_an_infer_that_ran_another_number_of_times():
    device = Device(FakeLink(answers(infer_20_1=GOOD_INFER, results=GOOD_INFER[-1:])))
    device.load(DATA)
    with pytest.raises(GarbledReply, match="asked for 20 runs"):
        device.infer(20, 1)


def test_results_in_which_a_digit_became_another():
    device = Device(FakeLink(answers(infer_10_1=GOOD_INFER, results=["m-results-[0.000,0.997,0.004]"])))
    device.load(DATA)
    with pytest.raises(GarbledReply, match="check the line"):
        device.infer(10, 1)


def test_firmware_without_a_results_command():
    device = Device(FakeLink(answers(infer_10_1=GOOD_INFER, results=["e-[Unknown command: results]"])))
    device.load(DATA)
    assert [device.infer(10, 1).results for _ in range(2)] == [(0.0, 0.996, 0.004)] * 2


def test_outputs_that_are_no_numbers():
    lines = [*GOOD_INFER[:-1], "m-results-[nan,0.1]"]
    device = Device(FakeLink(answers(infer_10_1=lines)))
    device.load(DATA)
    with pytest.raises(DeviceError, match="not a number"):
        device.infer(10, 1)


def test_the_line_is_cut():
    device, cable = make()
    cable.add(Fault("tx", 700, "close"))
    with pytest.raises(LinkError, match="cut"):
        device.load(DATA)


def test_transcript_is_on_disk_line_by_line(tmp_path):
    path = tmp_path / "log.jsonl"
    with Transcript(path) as transcript:
        Device(FakeLink(TinyjouleDevice()), transcript=transcript).name()
        lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["dir"], line["line"]) for line in lines] == [
        ("tx", "name%"),
        ("rx", "m-name-dut-[fake]"),
        ("rx", "m-ready"),
    ]
    assert all(line["t"] >= 0 for line in lines)


faults = st.lists(
    st.builds(
        Fault,
        direction=st.sampled_from(["tx", "rx"]),
        at=st.integers(0, 2500),
        kind=st.sampled_from(["flip", "drop", "duplicate", "stall", "close"]),
        bit=st.integers(0, 7),
    ),
    max_size=6,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(min_size=490, max_size=490), damage=faults)
def test_a_damaged_load_is_whole_or_an_error(data, damage):
    fake = TinyjouleDevice()
    fake.do_db(["load", "490"])
    fake.do_db(["ab" * 490])  # the stale tensor that must never be scored
    device, _ = make(fake, damage, timeout_s=0.01, infer_timeout_s=0.01)
    try:
        device.load(data)
        loaded = bytes(fake.buffer)
        results = device.infer(1, 0).results
    except (LinkError, DeviceError):
        return
    assert loaded == data
    assert results == checksum_results(data)
