"""Modelled time: what a byte takes, and the stock protocol against the fast link. No assertion looks at a clock."""

import json
import math

import pytest

from host.cli import main
from host.device import Device
from host.errors import DeviceError
from host.frames import wire_bytes
from host.link import FakeLink
from host.link.stock import StockDevice
from host.link.throttled import Line, ThrottledLink
from host.link.tinyjoule import TinyjouleDevice
from host.runner.link_bench import (
    AD01_INFERENCE_S,
    CAPACITY_BYTES,
    TURNAROUND_S,
    WORKLOADS,
    Workload,
    fake_link,
    measure,
    run_link_bench,
)

KWS = 490
BYTE_S = 10 / 115_200


def close(seconds):
    return pytest.approx(seconds, rel=1e-9)


def test_a_byte_takes_ten_bits_and_the_latency():
    line = ThrottledLink(FakeLink({"x": b"ab"}), Line(115_200, 0.002))
    line.write(b"x%")
    assert line.read(0.004) == b""
    assert line.now_s == close(0.004)
    assert line.read(1) == b"a"
    assert line.now_s == close(2 * BYTE_S + 0.002 + BYTE_S + 0.002)
    assert line.read(1) == b"b"
    assert line.now_s == close(4 * BYTE_S + 0.004)
    assert line.carried == {"tx": 2, "rx": 2}


def test_a_line_is_busy_with_what_was_written_before():
    line = ThrottledLink(FakeLink(StockDevice()), Line(115_200, 0))
    line.write(b"name%name%")
    reply = b"m-name-dut-[fake]\r\nm-ready\r\n"
    said = b""
    while len(said) < 2 * len(reply):
        said += line.read(1)
    assert said == 2 * reply
    assert line.now_s == close((5 + 2 * len(reply)) * BYTE_S)


def test_another_rate_holds_for_what_is_written_after_it():
    line = ThrottledLink(FakeLink({"x": b"a"}), Line(115_200, 0))
    line.set_baud(1_152_000)
    line.write(b"x%")
    line.read(1)
    assert (line.baud, line.now_s) == (1_152_000, close(0.3 * BYTE_S))


@pytest.mark.parametrize("device", [StockDevice(), TinyjouleDevice()])
def test_an_inference_takes_its_time_and_is_found_in_the_text(device):
    line = ThrottledLink(FakeLink(device), Line(115_200, 0), inference_s=0.5)
    host = Device(line)
    host.load(bytes(KWS))
    before_s = line.now_s
    host.infer(3, 2)
    assert line.inferences == 5
    assert 2.5 < line.now_s - before_s < 2.6


def test_bytes_that_come_while_the_device_is_busy_wait_for_it():
    line = ThrottledLink(FakeLink(StockDevice()), Line(115_200, 0), inference_s=1.0)
    line.write(b"infer 1 0%" + b"name%")
    while line.read(1):
        pass
    assert line.unread_bytes_max == len(b"name%")


def entry(protocol, work, baud, inference_s=0.0):
    return measure(fake_link(protocol, work.task), protocol, work, baud, inference_s)[0]


VWW, KWS50, AD = WORKLOADS


def test_one_vww01_input_at_921600_baud():
    fast, stock = (entry(protocol, VWW, 921_600) for protocol in ("fast", "stock"))
    assert fast.seconds <= 0.33
    assert stock.seconds >= 5 * fast.seconds
    assert fast.wire_per_payload <= 1.03
    assert fast.seconds >= VWW.input_bytes * 10 / 921_600  # nothing is faster than the line


def test_one_vww01_input_at_115200_baud():
    fast, stock = (entry(protocol, VWW, 115_200) for protocol in ("fast", "stock"))
    assert stock.seconds >= 2.3 * fast.seconds
    assert fast.seconds >= VWW.input_bytes * 10 / 115_200


def test_stock_time_is_that_of_its_round_trips():
    """892 exchanges and one that begins: what mlcommons' runner would take, too."""
    stock = entry("stock", VWW, 115_200)
    lines = math.ceil(VWW.input_bytes / 31)
    assert lines == 892
    begin = len("db load 27648%") + len("m-[Expecting 27648 bytes]\r\nm-ready\r\n")
    sent = lines * len("db %") + 2 * VWW.input_bytes
    heard = lines * len("m-ready\r\n") + len("m-load-done\r\n")
    assert stock.seconds == pytest.approx((begin + sent + heard) * BYTE_S + (lines + 1) * TURNAROUND_S, rel=1e-6)


def test_kws01_takes_few_bytes_more_than_it_has():
    fast = entry("fast", KWS50, 921_600, 0.033)
    assert fast.wire_per_payload <= 1.03
    one = entry("fast", Workload("kws01", 1, KWS, infer=True), 921_600, 0.033)
    assert one.wire_per_payload <= 1.05  # with the ping that ends a stream
    assert wire_bytes(KWS + 4) <= 1.03 * KWS


@pytest.mark.parametrize(("baud", "inference_s"), [(115_200, 0.046), (115_200, 0.2), (921_600, 0.033)])
def test_kws01_is_bound_by_inference_where_inference_is_slower_than_the_line(baud, inference_s):
    first_s = 504 * 10 / baud + TURNAROUND_S
    assert inference_s > 504 * 10 / baud
    fast = entry("fast", KWS50, baud, inference_s)
    assert fast.seconds <= 1.05 * 50 * inference_s + first_s
    assert fast.seconds >= 50 * inference_s


def test_kws01_is_bound_by_the_line_where_inference_is_faster():
    fast = entry("fast", KWS50, 115_200, 0.01)
    assert fast.seconds <= 1.05 * 50 * 504 * BYTE_S


def test_windows_that_overlap_cost_their_new_bytes():
    """In bytes exactly; at 115200 baud it is the output tensors that take the time: 640 bytes a window."""
    fast, stock = (entry(protocol, AD, 921_600, AD01_INFERENCE_S) for protocol in ("fast", "stock"))
    first = 2 * wire_bytes(1024) + wire_bytes(512 + 4)
    others = 195 * (wire_bytes(4) + wire_bytes(512 + 4)) + wire_bytes(0)
    assert 0.995 * (first + others) < fast.wire_bytes <= first + others
    assert fast.wire_per_payload < 0.25
    assert stock.wire_per_payload > 2
    assert fast.seconds <= 1.05 * 196 * (640 + 12 + 10 + 3 * 12) * 10 / 921_600
    slow = entry("fast", AD, 115_200, AD01_INFERENCE_S)
    assert slow.seconds <= 1.05 * 196 * (640 + 12 + 10 + 3 * 12) * BYTE_S


@pytest.mark.parametrize("window", [600, 1024, 4096])
def test_no_more_is_on_its_way_than_the_device_can_keep(window):
    inner = FakeLink(TinyjouleDevice(capacity=CAPACITY_BYTES, window=window))
    work = Workload("kws01", 20, KWS, infer=True)
    fast, line = measure(inner, "fast", work, 921_600, 0.6)
    assert line.unread_bytes_max <= window
    assert line.inferences == 20
    assert fast.seconds <= 1.05 * 20 * 0.6  # the next input is there while the device computes


def test_the_figures_repeat():
    assert run_link_bench(workloads=WORKLOADS[:2]) == run_link_bench(workloads=WORKLOADS[:2])


def test_what_speaks_another_protocol_is_not_measured():
    inner = fake_link("stock", "kws01")
    with pytest.raises(DeviceError, match="does not speak the fast protocol"):
        measure(inner, "fast", KWS50, 115_200, 0.033)


def test_the_command_prints_both_protocols_side_by_side(capsys):
    assert main(["link-bench"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("MODELLED")
    assert all(word in text for word in ("vww01", "50 inputs of kws01", "115,200", "921,600", "32.8 emulated ms"))
    assert "1 file of ad01, 196 windows, each run 3.5 ms" in text
    assert main(["link-bench", "--json", "--baud", "921600"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["schema"], record["provenance"]) == ("tinyjoule.link-bench/1", "modelled")
    assert [(item["task"], item["protocol"]) for item in record["entries"]] == [
        *[("vww01", "stock"), ("vww01", "fast")],
        *[("kws01", "stock"), ("kws01", "fast")],
        *[("ad01", "stock"), ("ad01", "fast")],
    ]


def test_the_command_refuses_a_rate_that_is_none(capsys):
    assert main(["link-bench", "--baud", "0"]) == 2
    assert "baud rate" in capsys.readouterr().err
