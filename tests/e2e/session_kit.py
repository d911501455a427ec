"""What tests of sessions share: the command in a process of its own, and how far its journal is."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from processes import wait_for

from host.results import journal, record, schema

PROJECT = Path(__file__).resolve().parent.parent.parent


def command(*words: object) -> list[str]:
    # A page takes seconds, and test_bench_report.py looks at those of sessions.
    return [sys.executable, "-m", "host", "bench", "--no-report", *map(str, words)]


def bench(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), cwd=PROJECT, env=dict(os.environ), capture_output=True, text=True, check=False, timeout=600
    )


@contextlib.contextmanager
def running(*words: object) -> Iterator[subprocess.Popen[str]]:
    """The command, which has to have ended when the block does."""
    with subprocess.Popen(
        command(*words), cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def only_folder(out: Path) -> Path:
    (folder,) = out.iterdir()
    return folder


def rows(out: Path) -> int:
    """How many whole lines behind the first the one journal in `out` has."""
    files = [*out.glob("*/journal.jsonl"), *out.glob("journal.jsonl")]
    return max(files[0].read_bytes().count(b"\n") - 1, 0) if files else 0


def wait_for_rows(process: subprocess.Popen[str], out: Path, count: int) -> None:
    wait_for(lambda: rows(out) >= count or process.poll() is not None)
    assert process.poll() is None, "it ended too early"


def timeless(result: schema.Result) -> schema.Result:
    """A result without its times: when it was made, and how long windows took by a clock of microseconds."""
    runs = [
        msgspec.structs.replace(
            run,
            windows=[msgspec.structs.replace(window, duration_us=1, host_us=None) for window in run.windows],
            latency_us=None,
            throughput_inf_per_s=None,
            clock=None,
        )
        for run in result.runs
    ]
    return msgspec.structs.replace(result, created="2026-01-01T00:00:00+00:00", runs=runs)


def records(folder: Path) -> tuple[schema.Result, dict[str, str]]:
    """The result, times aside, and the tables of outputs."""
    tables = {path.name: path.read_text() for path in folder.glob("outputs-*.csv")}
    return timeless(record.read_result(folder)), tables


def resume_command(errors: str) -> Path:
    """The folder in the command that a broken session prints."""
    found = re.findall(r"host bench --resume (\S+)", errors)
    assert found, errors
    return Path(found[-1])


def rewrite(folder: Path, change: Callable[[journal.Header], journal.Header]) -> None:
    """Change the head of a journal, and make every check right again."""
    path = folder / journal.FILE
    header, rows_, _, _ = journal.decode(path.read_bytes(), "it")
    text, check = b"", 0
    for row in (change(header), *rows_):
        line, check = journal.seal(row, check)
        text += line
    path.write_bytes(text)
