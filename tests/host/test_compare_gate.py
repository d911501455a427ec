# SPDX-License-Identifier: Apache-2.0
"""Gates: what may be written, and what becomes of a change."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.errors import UsageError
from host.results.gate import QUANTITIES, Gate, parse_gate


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("energy>2%", Gate("energy", ">", 0.02)),
        ("accuracy<-0.5%", Gate("accuracy", "<", -0.005)),
        (" latency > +0 % ", Gate("latency", ">", 0.0)),
        ("instructions<-12.25%", Gate("instructions", "<", -0.1225)),
        ("arena>100000%", Gate("arena", ">", 1000.0)),
        ("size>0.000001%", Gate("size", ">", 1e-8)),
    ],
)
def test_what_may_be_written(text: str, gate: Gate) -> None:
    assert parse_gate(text) == gate
    assert parse_gate(gate.text) == gate


@pytest.mark.parametrize(
    "text",
    [
        "", "energy", "energy>2", "energy>=2%", "energy>2%%", "energy=2%", "energy>%", "energy>1e3%", "energy>nan%",
        "energy>inf%", "energy>--2%", "energy>2%; rm -rf", "power>2%", "Energy>2%", "energy>2%\n", "energy>\u0662%",
        "energy\u003e\uff12%", "throughput<1%", "energy>9999999%", "\x1b[31menergy>2%", "energy>2%" * 10_000,
        "\u202eenergy>2%",
    ],
)  # fmt: skip
def test_what_may_not_is_refused_with_what_may(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gate(text)
    said = str(caught.value)
    assert said.isascii()
    assert said.isprintable()
    assert len(said) < 700
    for quantity in QUANTITIES:
        assert quantity in said


@given(st.text(max_size=40))
def test_any_text_is_a_gate_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert math.isfinite(parse_gate(text).limit)


WORSE, DEMAND = parse_gate("energy>2%"), parse_gate("latency>-5%")
LOSS = parse_gate("accuracy<-0.5%")


@pytest.mark.parametrize(
    ("gate", "value", "low", "high", "outcome"),
    [
        (WORSE, 0.0, -0.001, 0.001, "passes"),
        (WORSE, 0.019, 0.018, 0.0199, "passes"),
        (WORSE, -0.5, -0.6, -0.4, "passes"),
        (WORSE, 0.03, 0.025, 0.035, "fails"),
        (WORSE, 0.03, 0.01, 0.05, "fails"),  # beyond, and something changed
        (WORSE, 0.03, -0.01, 0.07, "cannot tell"),
        (WORSE, 0.01, -0.03, 0.05, "cannot tell"),
        (WORSE, 0.019, 0.01, 0.03, "cannot tell"),
        (WORSE, 0.02, 0.02, 0.02, "passes"),  # not more than the limit
        (WORSE, 0.0200001, 0.0200001, 0.0200001, "fails"),
        (WORSE, 0.01, None, None, "cannot tell"),
        (WORSE, 0.03, None, None, "fails"),
        (WORSE, None, None, None, "fails"),
        (LOSS, -0.004, -0.004, -0.004, "passes"),
        (LOSS, -0.02, -0.03, -0.01, "fails"),
        (LOSS, -0.02, -0.05, 0.01, "cannot tell"),
        (LOSS, 0.3, 0.2, 0.4, "passes"),
        (DEMAND, 0.0, 0.0, 0.0, "fails"),
        (DEMAND, 0.0, -0.1, 0.1, "fails"),  # what is asked for has to show
        (DEMAND, -0.06, -0.061, -0.059, "passes"),
        (DEMAND, -0.06, -0.1, 0.02, "cannot tell"),
    ],
)
def test_what_becomes_of_a_change(
    gate: Gate, value: float | None, low: float | None, high: float | None, outcome: str
) -> None:
    judged, why = gate.judge(value, low, high)
    assert judged == outcome
    assert why


CHANGES = st.floats(-0.9, 0.9)


@given(st.sampled_from([WORSE, LOSS, DEMAND]), CHANGES, st.floats(0, 0.5), st.floats(0, 0.5))
def test_what_is_certain_is_never_left_open(gate: Gate, value: float, below: float, above: float) -> None:
    low, high = value - below, value + above
    outcome, _ = gate.judge(value, low, high)
    if not gate.beyond(low) and not gate.beyond(high):
        assert outcome == "passes"
    if gate.beyond(low) and gate.beyond(high) and not low <= 0 <= high:
        assert outcome == "fails"


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("instructions>2%", 102 / 100 - 1),
        ("accuracy<-0.5%", 0.896 - 0.901),
        ("size>10%", 1.1 - 1),
        ("arena<-5%", 95 / 100 - 1),
    ],
)
def test_a_change_that_is_the_limit_itself_is_not_beyond_it(text: str, change: float) -> None:
    assert parse_gate(text).judge(change, change, change)[0] == "passes"
    beyond = change * (1 + 1e-6)
    assert parse_gate(text).judge(beyond, beyond, beyond)[0] == "fails"
