# SPDX-License-Identifier: Apache-2.0
"""How long a report takes to make and to open, and how large it is: of a folder of `make bench`, and of four tasks
whose traces have five million samples each, as an MLPerf run leaves them.

python tools/report_bench.py [RESULT_FOLDER]      default: the largest in results/

Making is timed in a process of its own, from its start to its end; opening in Debian's Chromium, with nothing cached.
CPU seconds are told too: they say more where the machine has other work.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from chromium import executable, time_opening

from energy.instrument import SampleChunk
from energy.trace import TraceInfo, TraceReader, TraceWriter
from energy.window import MarkerMeter
from host.paths import PROJECT_DIR
from host.results import record

RATE_HZ = 100e3
WINDOW_S, PAUSE_S = 10.0, 0.1
TASKS = ("ad01", "ic01", "kws01", "vww01")
MAX_BYTES = 1_000_000
MAX_S = 3.0
MAX_OPEN_MS = 1000.0


def make_long(source: Path, folder: Path) -> None:
    """The four tasks of a folder, their traces of five windows of 10 s each."""
    result = record.read_result(source)
    runs = {run.task: run for run in result.runs if run.task in TASKS and run.energy_uj is not None}
    if not runs:
        sys.exit(f"{source} holds no energy of {', '.join(TASKS)}: name a folder of `make bench`")
    folder.mkdir()
    chosen = [msgspec.structs.replace(runs.get(task, next(iter(runs.values()))), task=task) for task in TASKS]
    record.write_result(folder, msgspec.structs.replace(result, runs=chosen))
    with TraceReader(min(source.glob("trace-*.jls"))) as like:
        info = like.info
    if info is None or info.windows != "marker" or not info.voltage_measured:
        sys.exit(f"the traces of {source} have no timing pin and voltage: name a folder of `make bench`")
    for number, task in enumerate(TASKS):
        write_long(folder / f"trace-{task}.jls", msgspec.structs.replace(info, task=task, rate_hz=RATE_HZ), number)


def write_long(path: Path, info: TraceInfo, seed: int) -> None:
    """Five windows of a busy board, noise and all, between two pulses of the timing pin each."""
    rng = np.random.default_rng(seed)
    count, pause = round(WINDOW_S * RATE_HZ), round(PAUSE_S * RATE_HZ)
    level = np.concatenate([np.full(pause, 1.2e-3), np.full(count, 22e-3), np.full(pause, 1.2e-3)])
    ripple = 1 + 0.02 * np.sin(np.arange(len(level)) * 2 * np.pi * 31 / RATE_HZ)
    pin = np.ones(len(level), np.bool_)
    for edge in (pause, pause + count):
        pin[edge : edge + 3] = False
    with TraceWriter(path, info) as trace:
        for window in range(5):
            current = (level * ripple * (1 + 0.01 * rng.standard_normal(len(level)))).astype(np.float32)
            chunk = SampleChunk(current, np.full(len(level), 1.8, np.float32), pin, 0.0, RATE_HZ)
            meter = MarkerMeter(info.voltage_v)
            meter.feed(chunk)
            trace.begin_capture("window", window=window, input_name=f"input {window}", inferences=100)
            trace.write(chunk)
            trace.end_capture(replace(meter.finish(), device_s=None))


def children_s() -> float:
    """CPU seconds of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(what: str, folder: Path, out: Path) -> bool:
    """Make a page and open it; whether it keeps to the bars."""
    started, cpu_s = time.monotonic(), children_s()
    subprocess.run([sys.executable, "-m", "host", "report", str(folder), "-o", str(out)], check=True,
                   cwd=PROJECT_DIR, stdout=subprocess.DEVNULL)  # fmt: skip
    took_s, cpu_s, size = time.monotonic() - started, children_s() - cpu_s, out.stat().st_size
    samples = 0
    for path in folder.glob("trace-*.jls"):
        with TraceReader(path) as trace:
            samples += trace.samples
    sys.stdout.write(
        f"{what}: {samples / 1e6:.1f} million samples; made in {took_s:.2f} s (bar {MAX_S:g} s; CPU "
        f"{cpu_s:.2f} s), {size:,} bytes (bar {MAX_BYTES:,})\n"
    )
    kept = took_s < MAX_S and size < MAX_BYTES
    if executable() is None:
        sys.stdout.write(f"{what}: not opened, Chromium is not installed\n")
        return kept
    timing = time_opening(out)
    last_ms = max(timing.load_ms, timing.plot_ms or 0.0)
    sys.stdout.write(
        f"{what}: first paint after {timing.first_paint_ms:.0f} ms, loaded after {timing.load_ms:.0f} ms, first trace "
        f"ready after {timing.plot_ms or 0:.0f} ms (bar {MAX_OPEN_MS:.0f} ms)\n"
    )
    return kept and last_ms < MAX_OPEN_MS


def main() -> int:
    """Measure both; 1 when one misses a bar."""
    folders = sorted((PROJECT_DIR / "results").glob("*/result.json"), key=lambda path: path.stat().st_size)
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else folders[-1].parent if folders else None
    if source is None:
        sys.exit("no folder in results/: run `make bench` first, or name a result folder")
    with tempfile.TemporaryDirectory(prefix="report-bench-") as name:
        place = Path(name)
        shutil.copytree(source, place / "short", ignore=shutil.ignore_patterns("log.jsonl", "firmware.map"))
        make_long(source, place / "long")
        kept = [
            measure(f"{len(record.read_result(place / which).runs)} tasks, {which} windows", place / which,
                    place / f"{which}.html")
            for which in ("short", "long")
        ]  # fmt: skip
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
