"""Device: every fault of the line or the device has its named error, and nothing wrong is ever returned."""

import json
import zlib

import pytest
from device_kit import DATA, answers, make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.device import OUTPUT_STEP_BYTES, Device, Transcript
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
from host.link import FakeLink, Fault
from host.link.stock import StockDevice, checksum_results
from host.link.tinyjoule import TinyjouleDevice


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


def test_a_device_that_stops_answering_in_the_middle_of_an_inference():
    device, cable = make(infer_timeout_s=0.05)
    device.load(DATA)
    cable.add(Fault("rx", cable.passed("rx") + 30, "stall"))
    with pytest.raises(LinkTimeout, match=r"no answer to 'infer 10 1' within 0.05 s"):
        device.infer(10, 1)
    with pytest.raises(LinkTimeout):
        device.name()


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


def raw_device(data, crc=None, **replaced):
    """Ours, with an output tensor of `data`; `replaced` are other answers to its `results raw`."""
    done = ["m-warmup-start-1", "m-warmup-done", "m-infer-start-2", "m-lap-us-100", "m-lap-us-350", "m-infer-done"]
    script = {"infer_crc_2_1": [*done, f"m-output-[{len(data)} bytes, CRC-32 {crc or zlib.crc32(data):08x}]"]}
    for start in range(0, len(data), OUTPUT_STEP_BYTES):
        part = data[start : start + OUTPUT_STEP_BYTES]
        lines = [f"m-raw-{part[at : at + 8].hex('-')}" for at in range(0, len(part), 8)]
        script[f"results_raw_{start}_{len(part)}"] = lines
    device = Device(FakeLink(answers(**script | replaced)))
    device.load(DATA)
    return device


def test_outputs_to_the_last_bit():
    data = bytes(range(251)) * 20
    device = raw_device(data)
    inference = device.infer_crc(2, 1)
    assert (inference.duration_us, inference.output_bytes, inference.output_crc) == (250, len(data), zlib.crc32(data))
    assert device.output(inference) == data


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"crc": 1}, "the output came with CRC .*, the device says 00000001"),
        ({"results_raw_0_9": ["m-raw-00-01-02-03-04-05-06-07"]}, "asked for 9 bytes of the output, got 8"),
        ({"results_raw_0_9": []}, "asked for 9 bytes of the output, got 0"),
        ({"results_raw_0_9": ["m-raw-00-01-02-03-04-05-06-07", "m-load-done"]}, "instead of Raw, Raw"),
        ({"infer_crc_2_1": ["m-infer-done", "m-output-[9 bytes, CRC-32 00000000]"]}, "instead of WarmupStart"),
    ],
)
def test_outputs_that_were_changed_on_the_line(options, complaint):
    device = raw_device(bytes(range(9)), **options)
    with pytest.raises(GarbledReply, match=complaint):
        device.output(device.infer_crc(2, 1))


def test_no_output_of_an_input_that_is_not_whole():
    with pytest.raises(LoadIncomplete):
        Device(FakeLink(TinyjouleDevice())).infer_crc(1, 0)


def test_the_line_is_cut():
    device, cable = make()
    cable.add(Fault("tx", 700, "close"))
    with pytest.raises(LinkError, match="cut"):
        device.load(DATA)


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


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(min_size=490, max_size=490), damage=faults)
def test_a_damaged_load_is_whole_or_an_error(data, damage):
    fake = TinyjouleDevice()
    fake.do_db(["load", "490"])
    fake.do_db(["ab" * 490])  # the stale tensor that must never be scored
    device, _ = make(fake, damage, timeout_s=0.01, infer_timeout_s=0.01)
    try:
        device.load(data)
        loaded = fake.tensor
        results = device.infer(1, 0).results
    except (LinkError, DeviceError):
        return
    assert loaded == data
    assert results == checksum_results(data)
