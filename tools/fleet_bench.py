#!/usr/bin/env python3
"""How much faster two emulated boards finish kws01's 1000 inputs than one: wall time from the first input to the last.

Prints a line for each, and the ratio; the bar is 0.6 on a machine of two cores. Other work on the machine spoils it.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from host.report.progress import Reporter
from host.runner.session import Plan, run_session

BAR = 0.6


class Stopwatch(Reporter):
    """Notes when the first and the last input were reported."""

    def __init__(self) -> None:
        """Nothing was reported yet."""
        super().__init__()
        self.times_s: list[float] = []
        self.cpu_s: list[float] = []

    def update(self, what: str, done: int, total: int) -> None:
        """As in Reporter."""
        super().update(what, done, total)
        if "inputs" in what:
            self.times_s.append(time.monotonic())
            usage = resource.getrusage(resource.RUSAGE_SELF)
            self.cpu_s.append(usage.ru_utime + usage.ru_stime)


def measure(emulators: int, folder: Path, link: str) -> tuple[float, float]:
    """Wall time and the host's own processor time of the input phase, in seconds."""
    plan = Plan(
        tasks=("kws01",),
        mode="accuracy",
        emulators=emulators,
        out=folder,
        link="stock" if link == "stock" else "auto",
    )
    with Stopwatch() as watch:
        outcome = run_session(plan, watch)
    (run,) = outcome.result.runs
    wall_s, cpu_s = watch.times_s[-1] - watch.times_s[0], watch.cpu_s[-1] - watch.cpu_s[0]
    count = run.dataset.n
    value = run.accuracy.value if run.accuracy else None
    sys.stdout.write(
        f"{link}: {emulators} emulated board{'s' * (emulators > 1)}: {count} inputs in {wall_s:.2f} s "
        f"({wall_s / count * 1e3:.2f} ms each; the host's own processor time {cpu_s / count * 1e3:.2f} ms each), "
        f"top-1 {value}\n"
    )
    return wall_s, cpu_s


def main() -> None:
    """Measure both links, or the one that is named."""
    with tempfile.TemporaryDirectory() as folder:
        for link in sys.argv[1:] or ("auto", "stock"):
            one, _ = measure(1, Path(folder), link)
            two, _ = measure(2, Path(folder), link)
            sys.stdout.write(f"{link}: two boards take {two / one:.2f} of one's time, the bar is {BAR}\n")


if __name__ == "__main__":
    main()
