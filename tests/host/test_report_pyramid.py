# SPDX-License-Identifier: Apache-2.0
"""A trace's power on a page: what is packed is what the trace holds, in the bytes that a page has for it."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from report_kit import RATE_HZ, WINDOW_S, info, write_trace

from energy.instrument import SampleChunk
from energy.trace import TraceReader, TraceWriter
from host.report.page.pyramid import BUDGET_BYTES, NOTHING, Mark, Pyramid, pyramid

Floats = NDArray[np.float64]


def unpack(text: str, scale: Sequence[float]) -> Floats:
    """As the page's script does it."""
    codes = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<u2").astype(np.float64)
    low, high = scale
    return np.where(codes == NOTHING, np.nan, low + codes * (high - low) / 65534)


def power(path: Path, voltage_v: float = 0.0) -> Floats:
    """All of a trace at once; overloaded samples are nothing."""
    with TraceReader(path) as trace:
        current, voltage, _ = trace.read(0, trace.samples)
        with np.errstate(invalid="ignore"):
            mw = current.astype(np.float64) * (voltage_v if voltage is None else voltage.astype(np.float64)) * 1e3
        return np.where(np.isinf(mw), np.nan, mw)


def packed(path: Path, marks: Sequence[Mark] = (), voltage_v: float = 0.0, **words: Any) -> tuple[Any, Pyramid]:
    with TraceReader(path) as trace:
        made = pyramid(trace, marks, "kws01", voltage_v, **words)
    return json.loads(made.text), made


def check(payload: Any, mw: Floats, rate_hz: float) -> None:
    """Every level is the smallest and largest of its bins, every detail the samples, within half a code."""
    scale = payload["scale_mw"]
    half = (scale[1] - scale[0]) / 65534 * 0.5000001
    for level in payload["levels"]:
        size = round(level["bin_s"] * rate_hz)
        starts = np.arange(0, len(mw), size)
        assert level["n"] == len(starts)
        for name, extreme in (("low", np.fmin), ("high", np.fmax)):
            np.testing.assert_allclose(unpack(level[name], scale), extreme.reduceat(mw, starts), rtol=0, atol=half)
    for detail in payload["details"]:
        first = round(detail["t0_s"] * rate_hz)
        assert detail["dt_s"] == 1 / rate_hz
        values = unpack(detail["mw"], scale)
        assert len(values) == detail["n"]
        np.testing.assert_allclose(values, mw[first : first + detail["n"]], rtol=0, atol=half)


def windows(count: int, window_s: float, first_s: float) -> list[Mark]:
    step_s = window_s * 1.5
    return [
        Mark("window", f"window {number + 1}", first_s + number * step_s, first_s + number * step_s + window_s)
        for number in range(count)
    ]


def test_levels_and_details_are_those_of_the_trace(tmp_path: Path) -> None:
    write_trace(tmp_path / "t.jls", "kws01")
    marks = windows(3, WINDOW_S, 0.5)
    payload, made = packed(tmp_path / "t.jls", marks)
    assert (payload["version"], payload["task"], payload["rate_hz"]) == (1, "kws01", RATE_HZ)
    mw = power(tmp_path / "t.jls")
    assert payload["duration_s"] == len(mw) / RATE_HZ
    check(payload, mw, RATE_HZ)
    assert payload["scale_mw"] == [np.nanmin(mw), np.nanmax(mw)]
    sizes = [level["bin_s"] for level in payload["levels"]]
    assert all(coarse == pytest.approx(4 * fine) for coarse, fine in pairwise(sizes))
    size = round(made.overview.size_s * RATE_HZ)
    np.testing.assert_array_equal(made.overview.low, np.fmin.reduceat(mw, np.arange(0, len(mw), size)))


def test_every_edge_has_the_same_samples_on_both_sides(tmp_path: Path) -> None:
    write_trace(tmp_path / "t.jls", "kws01", window_s=3.0)
    marks = windows(2, 3.0, 1.0)
    payload, _ = packed(tmp_path / "t.jls", marks, budget=20_000)
    assert len(payload["details"]) == 4
    reaches = set()
    for detail, edge_s in zip(payload["details"], (1.0, 4.0, 5.5, 8.5), strict=True):
        end_s = detail["t0_s"] + detail["n"] * detail["dt_s"]
        assert detail["t0_s"] < edge_s < end_s
        reaches |= {round((edge_s - detail["t0_s"]) * RATE_HZ), round((end_s - edge_s) * RATE_HZ)}
    assert len(reaches) == 1
    assert reaches.pop() > 100


def test_a_short_trace_is_there_sample_by_sample(tmp_path: Path) -> None:
    write_trace(tmp_path / "t.jls", "kws01", windows=1, window_s=0.2)
    payload, _ = packed(tmp_path / "t.jls", windows(1, 0.2, 0.35))
    (detail,) = payload["details"]
    assert detail["n"] == len(power(tmp_path / "t.jls"))


def test_marked_operators_have_all_their_samples(tmp_path: Path) -> None:
    write_trace(tmp_path / "t.jls", "kws01", window_s=5.0)
    spans = [Mark("operator", f"{index} CONV", 2.0 + 0.01 * index, 2.01 + 0.01 * index) for index in range(3)]
    payload, _ = packed(tmp_path / "t.jls", [*windows(2, 5.0, 1.0), *spans], budget=30_000)
    held = [(detail["t0_s"], detail["t0_s"] + detail["n"] * detail["dt_s"]) for detail in payload["details"]]
    assert any(first <= 2.0 and end >= 2.03 for first, end in held)
    assert [mark["name"] for mark in payload["marks"] if mark["kind"] == "operator"] == ["0 CONV", "1 CONV", "2 CONV"]


def test_operators_that_are_too_long_for_the_page_leave_room_for_the_edges(tmp_path: Path) -> None:
    write_trace(tmp_path / "t.jls", "kws01", window_s=10.0)
    spans = [Mark("operator", f"{index} CONV", 1.0 + index, 2.0 + index) for index in range(8)]
    payload, made = packed(tmp_path / "t.jls", [*windows(1, 10.0, 1.0), *spans], budget=40_000)
    assert len(made.text) <= 40_000
    assert payload["details"]
    check(payload, power(tmp_path / "t.jls"), RATE_HZ)


def test_lost_and_overloaded_samples_are_marked_where_they_are(tmp_path: Path) -> None:
    current = np.full(4000, 0.01, np.float32)
    bad = current.copy()
    bad[100:110] = np.nan
    bad[3000] = np.inf
    with TraceWriter(tmp_path / "t.jls", info(rate_hz=1000.0, voltage_measured=False, windows="trigger")) as trace:
        trace.begin_capture("idle")
        trace.write(SampleChunk(current, None, None, 0.0, 1000.0))
        trace.write(SampleChunk(bad, None, None, 4.05, 1000.0, lost=50))
        trace.end_capture(None)
        trace.begin_capture("idle")  # what fills the file up between two captures is not lost
        trace.write(SampleChunk(current, None, None, 0.0, 1000.0))
        trace.end_capture(None)
    payload, made = packed(tmp_path / "t.jls", voltage_v=3.0)
    assert (made.lost, made.overloads) == (60, 1)
    gaps = [mark for mark in payload["marks"] if mark["kind"] == "gap"]
    assert [(mark["note"], mark["valid"]) for mark in gaps] == [
        ("50 samples are not there", False), ("10 samples are not there", False), ("1 samples were overloaded", False),
    ]  # fmt: skip
    assert [mark["from_s"] for mark in gaps] == [
        pytest.approx(at_s, abs=payload["levels"][-1]["bin_s"]) for at_s in (4.0, 4.15, 7.05)
    ]
    check(payload, power(tmp_path / "t.jls", 3.0), 1000.0)
    assert payload["scale_mw"][0] == pytest.approx(30.0)


def test_a_trace_of_nothing_but_losses_is_packed_as_nothing(tmp_path: Path) -> None:
    with TraceWriter(tmp_path / "t.jls", info(rate_hz=1000.0, voltage_measured=False, windows="trigger")) as trace:
        trace.begin_capture("idle")
        trace.write(SampleChunk(np.full(500, np.nan, np.float32), None, None, 0.0, 1000.0))
        trace.end_capture(None)
    payload, made = packed(tmp_path / "t.jls", windows(1, 0.2, 0.1), voltage_v=3.0)
    assert made.lost == 500
    assert all(np.isnan(unpack(level["low"], payload["scale_mw"])).all() for level in payload["levels"])


def test_five_million_samples_keep_to_the_budget_and_to_the_trace(tmp_path: Path) -> None:
    """Five windows of 10 s at 100 kS/s: what an MLPerf run leaves."""
    write_trace(tmp_path / "t.jls", "kws01", windows=5, window_s=10.0, rate_hz=100e3)
    with TraceReader(tmp_path / "t.jls") as trace:
        marks = [
            Mark("window", "w", (capture.first + 5000) / 1e5, (capture.first + 1_005_000) / 1e5)
            for capture in trace.captures
            if capture.begin.kind == "window"
        ]
        assert trace.samples > 5_000_000
        payload = pyramid(trace, marks, "kws01", 0.0).text
    assert len(marks) == 5
    assert BUDGET_BYTES * 0.9 < len(payload) <= BUDGET_BYTES
    found = json.loads(payload)
    assert len(found["details"]) == 10
    assert min(detail["n"] for detail in found["details"]) > 2000
    check(found, power(tmp_path / "t.jls"), 100e3)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.floats(width=32), min_size=1, max_size=400),
    copies=st.integers(1, 60),
    edges=st.lists(st.floats(0, 30), max_size=6),
    budget=st.integers(2_000, 60_000),
)
def test_whatever_the_samples(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], copies: int, edges: list[float], budget: int
) -> None:
    path = tmp_path_factory.mktemp("trace") / "t.jls"
    current = np.tile(np.array(values, np.float32), copies)
    with TraceWriter(path, info(rate_hz=1000.0, voltage_measured=False, windows="trigger")) as trace:
        trace.begin_capture("idle")
        trace.write(SampleChunk(current, None, None, 0.0, 1000.0))
        trace.end_capture(None)
    marks = [Mark("window", "w", edge_s, edge_s + 1.0) for edge_s in edges]
    payload, made = packed(path, marks, voltage_v=2.0, budget=budget)
    check(payload, power(path, 2.0), 1000.0)
    assert made.overloads == int(np.isinf(current).sum())
    marks_bytes = len(json.dumps(payload["marks"]))
    levels_bytes = len(json.dumps(payload["levels"]))
    assert len(made.text) <= max(budget, marks_bytes + levels_bytes + 400)
