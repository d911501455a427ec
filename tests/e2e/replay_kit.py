# SPDX-License-Identifier: Apache-2.0
"""What a session recorded, integrated again by `host energy`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from session_kit import PROJECT

from host.results import record


def check_replay(folder: Path) -> None:
    """The traces of a result folder's only run give its energy, all of it, to the last digit."""
    (run,) = json.loads((folder / record.RESULT_FILE).read_text())["runs"]
    energy = run["energy_uj"]
    traces = sorted(folder.glob("trace-*.jls"), key=lambda path: (len(path.name), path.name))
    net = ["--net"] if energy["net"] is not None else []
    words = [sys.executable, "-m", "host", "energy", *map(str, traces), *net, "--json"]
    answer = subprocess.run(
        words, cwd=PROJECT, env=dict(os.environ), capture_output=True, text=True, check=False, timeout=120
    )
    assert answer.returncode == (0 if energy["value"] is not None else 1), answer.stderr
    replay = json.loads(answer.stdout)
    assert (replay["provenance"], replay["of"], replay["task"]) == ("replayed", "emulated", run["task"])
    assert replay["energy_uj"] == energy
