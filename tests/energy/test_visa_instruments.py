# SPDX-License-Identifier: Apache-2.0
"""N6705, NGU and DMM7510 against the virtual analyser: dialogues, numbers, and everything that goes wrong."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from visa_kit import SLOWER_HZ, VOLTS, Bench, read_some, tidied, written

from energy.errors import EnergyError, InstrumentError, InstrumentLost, InstrumentTimeout, MonitorUnknown
from energy.instrument import SampleChunk, Settings
from energy.instruments import NAMES, module_of, open_monitor
from energy.instruments.rs_ngu import rate_of
from energy.simulator.recording import random_load
from energy.simulator.scpi import execute
from energy.simulator.server import Simulator
from energy.visa import VisaSession
from energy.window import Reading

DIALECTS = ("keysight_n6705", "rs_ngu", "keithley_dmm7510")


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with Bench(request.param) as bench:
        yield bench


every_dialect = pytest.mark.parametrize("bench", DIALECTS, indirect=True)


@every_dialect
def test_dialogue(bench: Bench) -> None:
    """What is sent in a whole session, line by line, is what is written down."""
    with bench.open() as instrument:
        bench.ready(instrument)
        instrument.start(triggered=True, duration_s=2.0)
        bench.work()
        read_some(instrument, bool)
        instrument.stop()
    assert tidied(bench.said) == written(bench.dialect)


@every_dialect
def test_samples_are_those_of_the_load(bench: Bench) -> None:
    """Behind the trigger comes the window's charge, then idle; without a trigger comes idle."""
    with bench.open() as instrument:
        settings = bench.ready(instrument)
        assert settings.rate_hz == pytest.approx(instrument.default_rate_hz)
        assert (settings.range_a, settings.voltage_v) == (0.1, VOLTS)
        bench.work()
        instrument.start(triggered=True, duration_s=2.0)
        bench.work()
        made = bench.made.windows[1]
        chunks = read_some(
            instrument, lambda chunks: sum(len(one.current_a) for one in chunks) > 0.6 * settings.rate_hz
        )
        instrument.stop()
        current = np.concatenate([chunk.current_a for chunk in chunks]).astype(np.float64)
        begins = np.cumsum([0] + [len(chunk.current_a) for chunk in chunks])[:-1] / settings.rate_hz
        assert [chunk.t0_s for chunk in chunks] == pytest.approx(list(begins))
        assert {chunk.rate_hz for chunk in chunks} == {settings.rate_hz}
        assert all(chunk.marker is None and chunk.lost == 0 for chunk in chunks)
        count = round((made.end_s - made.start_s) * settings.rate_hz)
        charge_c = current[:count].sum() / settings.rate_hz
        truth = _charge(bench, made.start_s, made.end_s)
        assert charge_c == pytest.approx(truth, rel=2e-3)
        idle_a = current[-1000:].mean()
        assert idle_a < 2.1e-3
        for chunk in chunks:
            assert (chunk.voltage_v is not None) == instrument.measures_voltage
            if chunk.voltage_v is not None:
                assert chunk.voltage_v.mean() == pytest.approx(VOLTS, abs=0.02)
        instrument.start(triggered=False, duration_s=1.0)
        chunks = read_some(instrument, bool)
        assert chunks[0].t0_s == 0
        assert chunks[0].current_a.mean() == pytest.approx(idle_a, rel=0.01)


def _charge(bench: Bench, start_s: float, end_s: float) -> float:
    """Of the load, between two times of its own."""
    total = 0.0
    for piece in bench.made._pieces:
        ends = np.clip(piece.ends_s, start_s, end_s)
        begins = np.clip(np.concatenate(([piece.begin_s], piece.ends_s[:-1])), start_s, end_s)
        total += float((piece.current_a * (ends - begins)).sum())
    return total


@every_dialect
def test_a_window_is_measured_right(bench: Bench) -> None:
    with bench.open() as instrument:
        _judge(bench, bench.measure(instrument, bench.ready(instrument)), RIGHT, "")


INVALID = "invalid"
RIGHT = "right"
# What becomes of a fault: an error that is raised, a reading that is not valid, or one that is right all the same.
FAULTS: dict[str, type[EnergyError] | str] = {
    "drop@w1:0.1": InstrumentError,
    "silent_drop@w1:0.1=0.02": INVALID,
    "nan@w1:0.1": INVALID,
    "overload@w1:0.1": INVALID,
    "error@w1:0.1": InstrumentError,
    "late@w1:0.1=2": InstrumentTimeout,
    "die@w1:0.1": InstrumentLost,
    "edge_lost@w1": INVALID,
    "edge_doubled@w1": RIGHT,  # only the first edge triggers
    "rate=0.9": RIGHT,  # the read-back tells
    "rate_lie=0.97": INVALID,
}
OTHERWISE = {("rs_ngu", "drop@w1:0.1"): INVALID}  # it reports a gap, the others an error


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_fault(dialect: str, fault: str) -> None:
    """No fault gives a wrong number that is marked valid; after each of them the instrument measures nothing."""
    expected = OTHERWISE.get((dialect, fault), FAULTS[fault])
    chunks: list[SampleChunk] = []
    with Bench(dialect, faults=fault) as bench:
        with bench.open() as instrument:
            settings = bench.ready(instrument, SLOWER_HZ.get(dialect))
            if expected is InstrumentTimeout:
                instrument._session._timeout_s = 0.5
            if isinstance(expected, str):
                _judge(bench, bench.measure(instrument, settings, chunks.append), expected, fault)
            else:
                with pytest.raises(expected):
                    bench.measure(instrument, settings, chunks.append)
        assert bench.simulator.analyser.state() == "off"
    current = np.concatenate([chunk.current_a for chunk in chunks] or [np.empty(0)])
    assert np.isnan(current).any() == fault.startswith("nan")
    assert np.isinf(current).any() == fault.startswith("overload")
    assert any(chunk.lost for chunk in chunks) == (expected == INVALID and fault.startswith("drop"))


def _judge(bench: Bench, reading: Reading, expected: str, fault: str) -> None:
    if expected == INVALID:
        assert not reading.valid
        assert reading.reasons
        assert any("lost" in reason for reason in reading.reasons) == fault.startswith("drop")
        return
    assert reading.valid, reading.reasons
    made = bench.made.windows[1]
    assert reading.charge_c == pytest.approx(_charge(bench, made.start_s, made.end_s), rel=3e-3)


@every_dialect
def test_left_safe_after_an_exception(bench: Bench) -> None:
    """Nothing is measured any more and inputs are as they were; the board keeps its supply."""
    with VisaSession(bench.simulator.address, ".*") as look:
        before = _inputs(bench.dialect, look)
        with pytest.raises(RuntimeError, match="the board"):
            _break_off(bench)
        assert look.query("*OPC?") == "1"
        assert bench.simulator.analyser.state() == "off"
        assert _inputs(bench.dialect, look) == before
        assert bench.simulator.supply.on
        assert look.errors() == []


def _break_off(bench: Bench) -> None:
    with bench.open() as instrument:
        bench.ready(instrument)
        instrument.start(triggered=False, duration_s=1.0)
        read_some(instrument, bool)
        assert bench.simulator.analyser.state() == "recording"
        raise RuntimeError("the board")


def _inputs(dialect: str, look: VisaSession) -> list[str]:
    if dialect == "keysight_n6705":
        return [look.query("DIG:PIN1:FUNC?"), look.query("DIG:PIN1:POL?")]
    return [look.query("TRIG?"), look.query("FLOG:TRIG?")] if dialect == "rs_ngu" else [look.query("TRIG:STAT?")]


@every_dialect
def test_closing_and_stopping_twice(bench: Bench) -> None:
    instrument = bench.open()
    bench.ready(instrument)
    instrument.stop()
    instrument.stop()
    instrument.close()
    instrument.close()
    with pytest.raises(InstrumentLost):
        instrument.errors()


@pytest.mark.parametrize("name", [*DIALECTS, "keysight_34465a", "keithley_2450"])
def test_another_instrument_is_refused(name: str) -> None:
    other = "rs_ngu" if name != "rs_ngu" else "keysight_n6705"
    with Bench(other) as bench, pytest.raises(InstrumentError, match="does not drive"):
        open_monitor(f"{name}@{bench.simulator.address}")


def test_options_of_an_address() -> None:
    with Bench("keysight_n6705") as bench:
        with pytest.raises(InstrumentError, match="no channel 2"):
            open_monitor(f"keysight_n6705@{bench.simulator.address}?channel=2")
        for options in ("?channel=0", "?channel=x", "?range=1", "?channel", "?"):
            address = f"keysight_n6705@{bench.simulator.address}{options}"
            if options == "?":
                open_monitor(address).close()
            else:
                with pytest.raises(MonitorUnknown, match="channel=1, pin=1"):
                    open_monitor(address)


def test_stale_errors_are_not_ours() -> None:
    with Bench("rs_ngu") as bench:
        with VisaSession(bench.simulator.address, ".*") as look:
            look.write("NONSENSE")
        with bench.open() as instrument:
            bench.ready(instrument)


def test_rates_and_ranges_are_what_the_instrument_can() -> None:
    with Bench("keysight_n6705") as bench, bench.open() as instrument:
        took = instrument.configure(Settings(1e6, 0.02, VOLTS))
        assert (took.rate_hz, took.range_a) == (pytest.approx(1 / 204.8e-6), 0.1)
        took = instrument.configure(Settings(1000, None, VOLTS))
        assert took == Settings(pytest.approx(1 / (49 * 20.48e-6)), None, VOLTS)
        with pytest.raises(InstrumentError, match="Data out of range"):
            instrument.configure(Settings(1000, 5.0, VOLTS))
    with Bench("rs_ngu") as bench, bench.open() as instrument:
        assert instrument.configure(Settings(20e3, None, VOLTS)) == Settings(50e3, None, VOLTS)
        assert instrument.configure(Settings(50, 0.002, VOLTS)) == Settings(100.0, 0.01, VOLTS)
    with Bench("keithley_dmm7510") as bench, bench.open() as instrument:
        assert instrument.configure(Settings(1234, 0.002, 3.3)) == Settings(1234, 0.01, 3.3)
        with pytest.raises(InstrumentError, match="auto-range"):
            instrument.configure(Settings(1234, None, 3.3))
        instrument.configure(Settings(1e6, 0.1, 3.3))
        with pytest.raises(InstrumentError, match="rate of at most 275000"):
            instrument.start(triggered=True, duration_s=100)
        with pytest.raises(InstrumentError, match="no supply"):
            instrument.set_supply(True)


@pytest.mark.parametrize(
    ("name", "rate_hz"),
    [
        ("S500k", 500e3),
        ("S500K", 500e3),
        ("500K", 500e3),
        ("S001k", 1e3),
        ("S100", 100),
        ("62K5", 62500),
        ("7K812", 7812),
    ],
)
def test_spellings_of_a_rate(name: str, rate_hz: float) -> None:
    assert rate_of(name) == rate_hz


@pytest.mark.parametrize("name", ["", "S", "fast", "S0", "5e5", "S500M", "-1", "9" * 400])
def test_no_rate(name: str) -> None:
    with pytest.raises(EnergyError):
        rate_of(name)


REFUSED = {
    "keysight_n6705": [
        ("SENS:ELOG:PERIODE 1,(@1)", -113),
        ("SENS:ELOG:PER 0.0002", -109),
        ("SENS:ELOG:PER 0.0002,(@2)", -241),
        ("SENS:ELOG:PER 0.00001,(@1)", -222),
        ("SENS:ELOG:PER fast,(@1)", -104),
        ("SENS:ELOG:CURR:RANG 4,(@1)", -222),
        ("SENS:ELOG:FUNC:CURR MAYBE,(@1)", -141),
        ("TRIG:ELOG:SOUR PIN9,(@1)", -141),
        ("FORM REAL,32", -108),
        ("ABOR:ELOG", -109),
        ("TRIG:ELOG (@1)", -211),
        ("FETC:ELOG? 100,(@1)", 303),
        ("DIG:PIN8:FUNC TINP", -113),
        ("VOLT 1000,(@1)", -222),
    ],
    "rs_ngu": [
        ("FLOG:SRAT 500", -141),
        ("FLOG:SRAT", -109),
        ("FLOG:TARG LAN", -141),
        ("FLOG:RATE S500K", -113),
        ("FLOG 1", -250),
        ("FLOG:DATA?", -230),
        ("SENS:CURR:RANG 20", -222),
        ("VOLT 100", -222),
        ("TRIG:SOUR EXT", -141),
        ("STAT:OPER:INST:ISUM1:PTR 70000", -222),
    ],
    "keithley_dmm7510": [
        ('DIG:FUNC "POW"', -141),
        ("DIG:FUNC CURR", -151),
        ("DIG:CURR:RANG AUTO", -104),
        ("DIG:CURR:SRAT 2000000", -222),
        ("DIG:CURR:APER 0.01", -222),
        ("FORM REAL32", -141),
        ('TRAC:MAKE "a",5', -222),
        ('TRAC:DATA? 1,10,"a",READ', -200),
        ('TRIG:BLOC:MDIG 1,"a",100', -200),
        ("TRIG:BLOC:WAIT 1,EXTRA", -141),
        ("INIT", -281),
        ("CONF:CURR:DC 0.1", -113),
    ],
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_a_real_one_refuses(dialect: str) -> None:
    with Bench(dialect) as bench, VisaSession(bench.simulator.address, ".*") as session:
        for command, code in REFUSED[dialect]:
            session.write(command)
            errors = session.errors()
            assert [int(entry.split(",")[0]) for entry in errors] == [code], command


WORDS = ["", "1", "0", "-1", "1e-4", "1e999", "nan", "ON", "(@1)", "(@2)", "(@", '"a"', '"', "AUTO", "REAL", "SRE"]
WORDS += ["CURR", '"CURR"', "NORM", "IMM", "EXT", "PIN1", "TINP", "NEG", "FALL", "READ", "99999999999", "S500K", "SCPI"]


@pytest.mark.parametrize("dialect", DIALECTS)
@given(data=st.data())
@settings(max_examples=60)
def test_nothing_that_is_said_breaks_a_dialect(dialect: str, data: st.DataObject) -> None:
    """Any command of its table with any arguments is answered, carried out or refused."""
    with Simulator(dialect, random_load(1, 1)) as simulator:
        rows = simulator.dialect._table._rows  # type: ignore[attr-defined]
        headers = [re.sub(r"\[.*?\]", "", pattern) for pattern in rows]
        arguments = st.lists(st.sampled_from(WORDS), max_size=4).map(",".join)
        for header, text in data.draw(st.lists(st.tuples(st.sampled_from(headers), arguments), max_size=30)):
            reply = execute(f"{header} {text}", simulator.dialect, simulator._server._queue)
            assert reply is None or (isinstance(reply, bytes) and reply)
            simulator.dialect.tick()


def test_a_log_without_its_trigger_input_waits() -> None:
    """Wrong polarity, or a pin that is no trigger input: no samples, instead of wrong ones."""
    with Bench("keysight_n6705") as bench, bench.open() as instrument:
        settings = bench.ready(instrument)
        with VisaSession(bench.simulator.address, ".*") as other:
            other.write("DIG:PIN1:POL POS")
            assert other.query("*OPC?") == "1"
        instrument.start(triggered=True, duration_s=1.0)
        bench.work()
        assert instrument.read(0.3) is None
        assert settings.rate_hz > 0


def test_a_log_that_nobody_reads_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    with Bench("keysight_n6705") as bench, bench.open() as instrument:
        bench.ready(instrument)
        instrument.start(triggered=False, duration_s=1.0)
        monkeypatch.setattr("energy.instruments.keysight_n6705.FIFO_S", 0.0)
        with pytest.raises(InstrumentError, match="overwritten"):
            instrument.read(0.1)


def test_chunks_that_nobody_takes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("energy.instruments.rs_ngu.QUEUED", 1)
    with Bench("rs_ngu") as bench, bench.open() as instrument:
        bench.ready(instrument, 50e3)
        instrument.start(triggered=False, duration_s=1.0)
        while bench.said.count("> FLOG:DATA?") < 4:
            time.sleep(0.01)
        first, second = read_some(instrument, lambda chunks: len(chunks) == 2)
        assert first.lost == 0
        assert second.lost >= 2 * 12_500
        assert second.t0_s == pytest.approx((len(first.current_a) + second.lost) / 50e3)


def test_every_module_says_what_the_command_line_shows() -> None:
    for name in NAMES:
        module = module_of(name)
        assert 10 < len(module.SUMMARY) <= 120
        assert module.ADDRESS
        assert callable(module.open_instrument)
