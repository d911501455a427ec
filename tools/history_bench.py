# SPDX-License-Identifier: Apache-2.0
"""How long `host history` takes: 10,000 results of `make bench`'s size, from its start to the table's last line.

The results are copies of the largest one in a folder (default: results/), their numbers, dates and images varied. They
are made in a temporary folder and removed. Nothing of ours is kept between runs; the machine has the files in memory.
CPU seconds are told too: they say more where the machine has other work.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
_PER_INFERENCE = ("median", "min", "max", "low", "high", "value", "gross", "us", "uj", "whole_us", "energy_uj")


def main() -> int:
    """Make the results, and print how long each kind of output takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, nargs="?", default=PROJECT / "results", help="where the largest is taken")
    parser.add_argument("--results", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    sources = sorted(args.source.rglob("result.json"), key=lambda path: path.stat().st_size)
    if not sources:
        sys.exit(f"no result.json below {args.source}: run `make bench` first, or name a folder of results")
    with tempfile.TemporaryDirectory(prefix="history-bench-") as folder:
        size = sum(_made(sources[-1], Path(folder), args.results))
        _say(f"{args.results:,} results of {size / args.results / 1e3:.1f} KB, {size / 1e6:.0f} MB in all")
        for options in ([], ["--csv"], ["--json"], ["--plot", str(Path(folder) / "plot.png")]):
            taken = [_seconds([folder, *options]) for _ in range(args.repeat)]
            clock_s, cpu_s = zip(*taken, strict=True)
            _say(
                f"  {options[0] if options else 'table':7} median {statistics.median(clock_s):.2f} s, "
                f"{min(clock_s):.2f} to {max(clock_s):.2f} s; {statistics.median(cpu_s):.2f} s of CPU"
            )
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _made(source: Path, folder: Path, count: int) -> Iterator[int]:
    """Write them; the size of each."""
    if shutil.disk_usage(folder).free < 2 * count * source.stat().st_size:
        sys.exit(f"not enough room for {count} results in {folder}: set TMPDIR")
    chance = random.Random(7)  # noqa: S311 - no secret
    base = json.loads(source.read_bytes())
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(count):
        scale = 1 + 0.02 * chance.random() - 5e-6 * number
        result = _scaled(base, scale)
        result["created"] = f"{begin + timedelta(minutes=37 * number):%Y-%m-%dT%H:%M:%S+00:00}"
        result["firmware"]["sha256"] = f"{number // 10:064x}"
        text = (json.dumps(result, indent=2) + "\n").encode()
        place = folder / f"{number // 500:03}" / f"{number:05}-{result['board']['name']}"
        place.mkdir(parents=True)
        (place / "result.json").write_bytes(text)
        yield len(text)


def _scaled(value: Any, scale: float, name: str = "") -> Any:
    """A copy whose figures are that much larger."""
    if isinstance(value, dict):
        return {key: _scaled(item, scale, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_scaled(item, scale) for item in value]
    return value * scale if isinstance(value, float) and name in _PER_INFERENCE else value


def _seconds(arguments: list[str]) -> tuple[float, float]:
    """By the clock, and of CPU."""
    begun, busy = time.perf_counter(), _child_cpu_s()
    subprocess.run(
        [sys.executable, "-m", "host", "history", *arguments], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - begun, _child_cpu_s() - busy


def _child_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
