"""The engine bench's record, tables and plot, and what it reads: the baseline and the linker's map."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import msgspec
import pytest
from PIL import Image as Picture
from rich.console import Console

from host.errors import ResultInvalid, SetupError, UsageError
from host.report.baseline import load_baseline
from host.report.engine_bench import plot, print_bench, verdict
from host.results import engine_bench as records
from host.results.engine_bench import EngineBench, Entry, ImageInfo
from host.results.schema import BoardInfo, HostInfo, ModelInfo
from host.runner.engine_bench import emulated_boards, recorded_counts
from host.runner.engine_size import BASIC_OPERATORS, _basic_operators_c, engine_text_bytes

BASELINE = load_baseline()
CORES = {"mps2_an385": "Cortex-M3", "mps2_an386": "Cortex-M4F", "mps3_an547": "Cortex-M55"}


def entry(
    board: str = "mps2_an386", task: str = "kws01", engine: str = "tflite_c 0.1.0", count: int = 4_000_000
) -> Entry:
    estimated = CORES[board] == "Cortex-M4F"
    return Entry(
        board=BoardInfo(name=board, core=CORES[board], clock_hz=125_000_000),
        engine=engine,
        task=task,
        model=ModelInfo(name=f"{task}.tflite", source="official", sha256="0" * 64, arena_bytes=2000),
        input="random bytes, seed 1",
        macs=BASELINE.models[task].macs,
        instructions=count,
        load_instructions=50_000,
        bars=BASELINE.bars(CORES[board], task),
        cycles_estimate=6_000_000 if estimated else None,
        classes={"plain": count} if estimated else None,
    )


def bench(*entries: Entry) -> EngineBench:
    images = {
        (e.board.name, e.engine): ImageInfo(
            board=e.board.name,
            engine=e.engine,
            compiler="arm-none-eabi-gcc 12.2.1",
            flags="-O2",
            engine_text_bytes=30_000,
            basic_text_bytes=20_000 if e.engine.startswith("tflite_c") else None,
            basic_with_libraries_bytes=22_000 if e.engine.startswith("tflite_c") else None,
            must_text_bytes=32_768 if e.engine.startswith("tflite_c") else None,
        )
        for e in entries
    }
    return EngineBench(
        schema="tinyjoule.engine-bench/1",
        provenance="emulated",
        created="2026-01-01T00:00:00+00:00",
        host=HostInfo(version="0.1.0", python="3.11", platform="test"),
        emulator="QEMU emulator version 7.2",
        baseline=BASELINE.source,
        cycles="Arm Cortex-M4 TRM",
        images=list(images.values()),
        entries=list(entries),
    )


def printed(record: EngineBench) -> str:
    out = io.StringIO()
    print_bench(record, Console(file=out, width=200))
    return out.getvalue()


def test_the_baseline_is_that_of_the_issue() -> None:
    assert list(BASELINE.models) == ["ad01", "ic01", "kws01", "vww01", "sww01"]
    m4 = BASELINE.cores["Cortex-M4F"]
    assert list(m4.must.values()) == [450_000, 18_500_000, 5_200_000, 13_000_000, 1_600_000]
    per_mac = [round(m4.cmsis_nn[task] / model.macs, 2) for task, model in BASELINE.models.items()]
    assert per_mac == [2.21, 2.39, 2.90, 3.22, 2.70]  # as baseline.md has them
    for core in BASELINE.cores.values():
        assert all(core.aim.get(task, 0) < count for task, count in core.must.items())
        assert all(count < core.cmsis_nn.get(task, count + 1) for task, count in core.must.items())


@pytest.mark.parametrize(
    ("count", "said"), [(3_700_000, "met, aim too"), (5_200_000, "met, aim not"), (5_200_001, "MISSED")]
)
def test_a_verdict_is_on_the_bar_or_under_it(count: int, said: str) -> None:
    assert verdict(entry(count=count)) == said


def test_the_bars_are_for_our_engine_alone() -> None:
    assert verdict(entry(engine="tflm 90b983c", count=7_697_384)) == "-"
    assert verdict(entry(board="mps2_an385", count=14_000_000)) == "met"  # there is no aim on this core


def test_the_record_survives_and_shows_the_ratios() -> None:
    record = bench(entry(), entry("mps2_an385", count=10_000_000))
    text = records.encode(record)
    assert records.decode(text) == record
    first, second = json.loads(text)["entries"]
    assert first["instructions_per_mac"] == pytest.approx(4_000_000 / 2_656_768, abs=1e-3)
    assert first["instructions_to_tflm_cmsis_nn"] == pytest.approx(4_000_000 / 7_697_384, abs=1e-3)
    assert second["instructions_to_tflm_cmsis_nn"] is None


@pytest.mark.parametrize("damage", [b"", b"[]", b"{}", b'{"entries": [1]}', b'{"entries": {}}', b"\xff"])
def test_what_is_no_record_is_refused(damage: bytes) -> None:
    with pytest.raises(ResultInvalid, match=r"engine-bench/1"):
        records.decode(damage)
    changed = json.loads(records.encode(bench(entry())))
    changed["provenance"] = "measured"
    with pytest.raises(ResultInvalid, match="provenance"):
        records.decode(json.dumps(changed).encode())


def test_the_tables_say_what_they_are_and_where_from() -> None:
    text = printed(bench(entry(), entry(task="ic01", count=20_000_000), entry("mps2_an385", count=10_000_000)))
    assert "mps2_an386 (Cortex-M4F), EMULATED: executed instructions, exact; not cycles, not time" in text
    assert re.search(r"kws01 .* 4,000,000 .* 5.20 M .* 3.70 M .* met, aim not .* 7,697,384 .* 0.52 .* 1.51", text)
    assert re.search(r"ic01 .* MISSED .* ", text)
    assert "ESTIMATED" in text
    assert "90b983c" in text
    assert "4ab83cc" in text
    assert "kws01 87,712, ic01 82,688 bytes" in text
    assert "20,000 (must <= 32,768: met; 22,000 with libraries)" in text
    assert "engine " not in re.search(r"(?m)^model.*", text)[0]  # type: ignore[index]
    other = printed(bench(entry("mps3_an547", count=900_000)))
    assert "ESTIMATED" not in other


def test_two_engines_stand_side_by_side() -> None:
    ours, theirs = [
        [entry(task=task, engine=engine) for task in ("ad01", "kws01")] for engine in ("tflite_c 1", "tflm 2")
    ]
    text = printed(bench(*ours, *theirs))
    rows = re.findall(r"(?m)^(ad01|kws01) +(tflite_c|tflm) ", text)
    assert rows == [("ad01", "tflite_c"), ("ad01", "tflm"), ("kws01", "tflite_c"), ("kws01", "tflm")]
    assert re.search(r"kws01 +tflite_c .* 5.20 M ", text)
    assert not re.search(r"kws01 +tflm .* 5.20 M ", text)  # the bar is not upstream's


def test_the_plot_is_a_picture_with_a_panel_a_board() -> None:
    one = Picture.open(io.BytesIO(plot(bench(entry()))))
    two = Picture.open(io.BytesIO(plot(bench(entry(), entry("mps2_an385"), entry(engine="tflm 1", task="ad01")))))
    assert one.format == "PNG"
    assert one.width == two.width >= 1000
    assert two.height > one.height
    colors = {color for _, color in one.convert("RGB").getcolors(1 << 24) or []}
    assert {(0x1B, 0x6C, 0xA8), (0x9A, 0xA5, 0xB1)} <= colors  # ours, and the baseline's


def test_what_is_recorded_is_ours() -> None:
    record = bench(entry(), entry(task="ad01", count=1), entry(engine="tflm 1", count=2))
    assert json.loads(recorded_counts(record)) == {
        "compilers": {"mps2_an386": "arm-none-eabi-gcc 12.2.1"},
        "counts": {
            "mps2_an386": {"kws01": {"run": 4_000_000, "load": 50_000}, "ad01": {"run": 1, "load": 50_000}},
        },
    }


def test_boards_are_emulated_cores_with_figures() -> None:
    assert {board.name for board in emulated_boards()} >= {"mps2_an386"}
    assert [board.name for board in emulated_boards(["mps2_an386"])] == ["mps2_an386"]
    for name in ("native", "nucleo_l4r5zi", "teapot"):
        with pytest.raises(UsageError, match=rf"{name} .* mps2_an386"):
            emulated_boards([name])


MAP = """
Discarded input sections

 .text.unused   0x00000000       0x99 .pio/build/b/src/engine/tflite_c/engine.o

Linker script and memory map

 .text.run      0x00000100       0x10 .pio/build/b/src/engine/tflite_c/engine.o
 .text.a_name_that_is_too_long_for_the_column
                0x00000110       0x20 .pio/build/b/src/engine/tflite_c/kernels/add.o
 .rodata.names  0x00000130        0x8 .pio/build/b/src/engine/tflite_c/names.o
 *fill*         0x00000138        0x8
 .text.main     0x00000140       0x40 .pio/build/b/src/main.o
 .text          0x00000180       0x80 /opt/libtensorflow-microlite.a(micro_interpreter.o)
 .bss.x         0x20000000      0x400 .pio/build/b/src/engine/tflite_c/engine.o
 .debug_info    0x00000000      0x400 .pio/build/b/src/engine/tflite_c/engine.o
"""


def test_the_map_gives_code_and_constants_of_the_engine(tmp_path: Path) -> None:
    (tmp_path / "firmware.map").write_text(MAP)
    assert engine_text_bytes(tmp_path / "firmware.map") == 0x10 + 0x20 + 0x8 + 0x80
    (tmp_path / "firmware.map").write_text(MAP.partition("Linker")[0])
    with pytest.raises(SetupError, match="no code of an engine"):
        engine_text_bytes(tmp_path / "firmware.map")
    with pytest.raises(SetupError, match="host build"):
        engine_text_bytes(tmp_path / "nothing")


def test_the_table_of_operators_keeps_the_basic_ones() -> None:
    assert set(re.findall(r"\{BUILTIN_(\w+),", _basic_operators_c())) == set(BASIC_OPERATORS)


def test_an_entry_cannot_hold_what_is_no_count() -> None:
    with pytest.raises(msgspec.ValidationError, match="instructions"):
        msgspec.convert({**msgspec.to_builtins(entry()), "instructions": 0}, Entry)
