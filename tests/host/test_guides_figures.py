"""The figures in the guides are what was counted or modelled last, beside the baseline's."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from host.paths import PROJECT_DIR
from host.runner.link_bench import WORKLOADS, run_link_bench

COUNTS = json.loads((PROJECT_DIR / "tests" / "e2e" / "engine_counts.json").read_text())["counts"]
BASELINE = tomllib.loads((PROJECT_DIR / "host" / "report" / "engine_baseline.toml").read_text())
BOARDS = {
    "Cortex-M4F": "mps2_an386",
    "Cortex-M7": "mps2_an500",
    "Cortex-M33": "mps2_an505",
    "Cortex-M55": "mps3_an547",
    "Cortex-M3": "mps2_an385",
}


def rows() -> dict[str, list[str]]:
    lines = (PROJECT_DIR / "docs" / "engine.md").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| | `ad01`"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start : lines.index("", start)]]
    assert cells[0][1:] == ["`ad01`", "`ic01`", "`kws01`", "`vww01`", "`sww01`"]
    return {name: values for name, *values in cells[2:]}


def row_of(core: str, engine: str) -> list[str]:
    found = [row for name, row in rows().items() if re.fullmatch(rf"{core}\b[^:]*: {engine}", name)]
    assert len(found) == 1
    return found[0]


TASKS = ["ad01", "ic01", "kws01", "vww01", "sww01"]


@pytest.mark.parametrize("core", BOARDS)
def test_our_counts_are_those_recorded(core: str) -> None:
    (values,) = [
        row for name, row in rows().items() if name.replace(":", " ").split()[0] == core and name.endswith(": tflite_c")
    ]
    assert values == [f"{COUNTS[BOARDS[core]][task]['run']:,}" for task in TASKS]


@pytest.mark.parametrize("core", ["Cortex-M4F", "Cortex-M7", "Cortex-M55"])
def test_tflms_counts_are_the_baselines(core: str) -> None:
    (values,) = [
        row for name, row in rows().items() if name.replace(":", " ").split()[0] == core and name.endswith(": TFLM")
    ]
    assert values == [f"{BASELINE['core'][core]['cmsis_nn'][task]:,}" for task in TASKS]


def test_set_up_and_arena() -> None:
    table = rows()
    assert table["set-up, Cortex-M4F: tflite_c"] == [f"{COUNTS['mps2_an386'][task]['load']:,}" for task in TASKS]
    models = BASELINE["model"]
    arena = [f"{models[task]['arena_bytes']:,}" for task in TASKS]
    set_up = [f"{models[task]['setup_instructions']:,}" for task in TASKS[:4]]
    assert table["arena bytes, Cortex-M4F: TFLM"] == arena
    assert table["set-up, Cortex-M4F: TFLM"] == [*set_up, "not measured"]


def test_the_figures_of_the_link_are_those_of_host_link_bench() -> None:
    text = " ".join((PROJECT_DIR / "docs" / "link.md").read_text().split())
    vww01, _, ad01 = WORKLOADS
    for slow, fast in run_link_bench(workloads=[vww01]).pairs():
        assert f"{fast.seconds:.3f} s instead of {slow.seconds:.3f} s at {slow.baud}" in text
        assert f"{fast.wire_per_payload:.3f} bytes on the wire per byte" in text
    ((slow, fast),) = run_link_bench([115_200], workloads=[ad01]).pairs()
    assert f"{fast.seconds:.3f} s instead of {slow.seconds:.3f} s at 115200" in text
