"""Replies: where one ends, which command it answers, and what is never taken for one."""

import json
import time

import pytest
from device_kit import DATA, answers, make

from host import frames
from host.device import _PERMANENT, Device, Transcript
from host.errors import (
    DeviceError,
    DeviceRefused,
    DeviceReset,
    GarbledReply,
    LinkTimeout,
)
from host.exchange import _HINTS, MAX_REPLY_LINES
from host.link import FakeLink
from host.link.stock import BANNER, StockDevice
from host.link.tinyjoule import TinyjouleDevice
from host.wire.spec import spec


def test_hints_and_permanent_errors_are_of_the_protocol():
    assert set(_HINTS) | set(_PERMANENT) <= set(spec().errors)


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


def test_frames_that_come_when_nobody_wants_any_are_dropped():
    fake = TinyjouleDevice()
    link = FakeLink(fake)
    device = Device(link)
    device.speed_up()
    link.say(frames.encode(frames.Frame(frames.Kind.RESULT, 3, bytes(12))))
    assert device.name() == "fake"
    late = frames.encode(frames.Frame(frames.Kind.ACCEPTED, 3))
    fake.do_name = lambda _arguments: late + b"m-name-dut-[late]\r\n" + late + b"m-ready\r\n"
    assert device.name() == "late"
    assert not device._reader.frames
