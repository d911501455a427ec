"""Baud rates: the highest one that works, and back to the first one whatever happens. Ends of a UART in memory."""

import json
import signal

import pytest
from device_kit import DATA

from host import device as device_module
from host import fast as fast_module
from host.device import Device, Transcript
from host.errors import DeviceReset, LinkTimeout
from host.fast import RATES
from host.link.tinyjoule import TinyjouleDevice, checksum_output
from host.link.uart import FakeUart

INPUTS = [bytes([index]) * 490 for index in range(60)]
RIGHT = [checksum_output(data, 12) for data in INPUTS]


def board(**options):
    return TinyjouleDevice(capacity=65_536, **{"baud_max": 2_000_000, **options})


def opened(uart, **options):
    device = Device(uart, timeout_s=0.05, infer_timeout_s=0.05, **options)
    device.wait_boot()
    return device


def raws(device, inputs=None):
    return [output.raw for output in device.stream(INPUTS if inputs is None else inputs)]


@pytest.fixture
def clock(monkeypatch):
    """The host's clock, that a test moves; nothing else moves it."""
    now = [100.0]
    monkeypatch.setattr(fast_module.time, "monotonic", lambda: now[0])
    return now


def test_rates_are_tried_from_the_top():
    assert list(RATES) == sorted(RATES, reverse=True)


@pytest.mark.parametrize(
    ("options", "line", "limit", "baud"),
    [
        ({}, {}, None, 2_000_000),
        ({"baud_max": 1_562_500}, {}, None, 1_000_000),
        ({"baud_max": 0}, {}, None, 115_200),
        ({"baud_max": 115_200}, {}, None, 115_200),
        ({}, {}, 921_600, 921_600),
        ({}, {}, 0, 115_200),
        ({"impossible_bauds": (2_000_000, 1_000_000)}, {}, None, 921_600),
        ({}, {"port_max": 460_800}, None, 460_800),
        ({}, {"best_baud": 921_600, "one_in": 10}, None, 921_600),
        ({}, {"best_baud": 921_600, "one_in": 300}, None, 921_600),
        ({}, {"best_baud": 115_200, "one_in": 5}, None, 115_200),
    ],
)
def test_the_highest_rate_that_works_is_used_and_given_back(options, line, limit, baud):
    fake = board(**options)
    uart = FakeUart(fake, **line)
    with opened(uart) as device:
        link = device.speed_up(limit)
        assert (link.baud, uart.baud, fake.baud) == (baud, baud, baud)
        assert raws(device) == RIGHT
        device.load(DATA)
        assert device.infer(2, 1).iterations == 2
    assert (uart.baud, fake.baud, fake.framing.enabled) == (115_200, 115_200, False)


def test_a_line_that_gets_bad_is_slowed_down(tmp_path):
    fake = board()
    uart = FakeUart(fake, one_in=150)
    with Transcript(tmp_path / "log.jsonl") as transcript, opened(uart, transcript=transcript) as device:
        assert device.speed_up().baud == 2_000_000
        uart._best_baud = 500_000
        assert raws(device) == RIGHT
        assert uart.baud == fake.baud == 460_800
    assert fake.baud == 115_200
    notes = [json.loads(line)["line"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert any("2000000 baud is not used any more" in note for note in notes)


def test_a_load_over_a_line_that_gets_bad():
    fake = board()
    uart = FakeUart(fake, one_in=100)
    with opened(uart) as device:
        device.speed_up()
        uart._best_baud = 500_000
        data = bytes(range(256)) * 40
        device.load(data)
        assert fake.tensor == data
        assert uart.baud == fake.baud < 2_000_000


def test_a_line_that_dies_at_a_raised_rate_is_found_at_the_first_one():
    fake = board()
    uart = FakeUart(fake)
    with opened(uart) as device:
        device.speed_up()
        stream = device.stream(INPUTS)
        assert next(stream).raw == RIGHT[0]
        uart._best_baud, uart._one_in = 115_200, 1  # every byte
        assert [output.raw for output in stream] == RIGHT[1:]
        assert uart.baud == fake.baud == 115_200


@pytest.mark.parametrize("way", ["command", "stream"])
def test_a_device_that_was_idle_has_gone_back_by_itself(way, clock):
    fake = board()
    uart = FakeUart(fake)
    with opened(uart) as device:
        device.speed_up()
        assert raws(device, INPUTS[:3]) == RIGHT[:3]
        clock[0] += 60
        uart.now_s += 60
        if way == "command":
            assert device.name() == "fake"
        else:
            assert raws(device) == RIGHT
        assert uart.baud == fake.baud == 2_000_000
        assert fake.baud == 2_000_000


def test_whoever_takes_his_time_between_two_outputs_gets_all_of_them(clock):
    fake = board()
    uart = FakeUart(fake)
    with opened(uart) as device:
        device.speed_up()
        came = []
        for output in device.stream(INPUTS[:9]):
            came.append(output.raw)
            clock[0] += 10
            uart.now_s += 10
        assert came == RIGHT[:9]


def test_a_source_that_takes_its_time(clock):
    def source():
        for data in INPUTS[:9]:
            clock[0] += 10
            uart.now_s += 10
            yield data

    uart = FakeUart(board())
    with opened(uart) as device:
        device.speed_up()
        assert raws(device, source()) == RIGHT[:9]


def test_a_device_that_a_killed_host_left_at_a_raised_rate():
    fake = board()
    opened(FakeUart(fake)).speed_up()
    assert fake.baud == 2_000_000
    uart = FakeUart(fake, boot_baud=115_200)
    with opened(uart) as device:
        assert uart.rates == []
        assert fake.baud == 115_200
        assert device.speed_up().baud == 2_000_000
        assert raws(device, INPUTS[:5]) == RIGHT[:5]


def test_a_reset_at_a_raised_rate_is_told():
    fake = board()
    uart = FakeUart(fake)
    with opened(uart) as device:
        device.speed_up()
        device.select_model("ic01")
        stream = device.stream(INPUTS)
        next(stream)
        fake.reset()  # its banner comes at a rate that the host does not have
        with pytest.raises(DeviceReset):
            list(stream)
        assert device.profile().model == "kws01"
        device.select_model("ic01")
        assert raws(device, INPUTS[:5]) == RIGHT[:5]


def test_a_device_that_is_gone_at_a_raised_rate():
    uart = FakeUart(board())
    with opened(uart) as device:
        device.speed_up()
        stream = device.stream(INPUTS)
        next(stream)
        uart.write = lambda _data: None
        with pytest.raises(LinkTimeout):
            list(stream)


@pytest.mark.parametrize("where", ["between", "inside"])
def test_ctrl_c_gives_the_first_rate_back(where):
    fake = board()
    uart = FakeUart(fake)

    def session():
        with opened(uart) as device:
            device.speed_up()
            for count, _output in enumerate(device.stream(INPUTS)):
                if count == 5 and where == "between":
                    signal.raise_signal(signal.SIGINT)
                if count == 5:
                    real = uart.write

                    def interrupted(data, real=real):
                        uart.write = real
                        real(data[:100])
                        raise KeyboardInterrupt

                    uart.write = interrupted

    with pytest.raises(KeyboardInterrupt):
        session()
    assert (uart.baud, fake.baud) == (115_200, 115_200)


def test_the_seam_is_what_sessions_use():
    assert device_module.FastLink(1024, 65_536, None).window_bytes == 65_536
