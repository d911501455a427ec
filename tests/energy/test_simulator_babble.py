# SPDX-License-Identifier: Apache-2.0
"""Whatever is said to a virtual analyser in any dialect, it is still there afterwards."""

from __future__ import annotations

import random
import re
import socket
from pathlib import Path

import pytest
from simulator_kit import dial

from energy.simulator import dialects
from energy.simulator.pacing import GatedLoad
from energy.simulator.recording import random_load
from energy.simulator.server import NAMES, Simulator

WORDS = [
    *("1", "0", "-1", "1e999", "nan", "1e-9", "99999999999999999999", "ON", "OFF", "AUTO", "(@1)", "(@1:4)", "(@"),
    *('"x"', '"', "''", ",", "1,2,3", "", " ", "?", "DEF", "MAX", "MIN", "S500k", "IMM", "PIN1", "EXT", '"defbuffer1"'),
    *("\x00", "A" * 300, "%s%n", "1.8", "1800m", "100k", "inf", "dyn", "bin_hexa", "ascii_dec", "d7", "current", "get"),
]  # fmt: skip


def headers_of(name: str) -> list[str]:
    """Everything that may be a command in the dialect's source, and what all have in common."""
    folder = Path(dialects.__file__).parent
    text = (folder / f"{name}.py").read_text(encoding="utf-8")
    found = set(re.findall(r'"((?:[A-Za-z*\[][A-Za-z0-9*:\[\]]+\??))"', text))
    spelled = {re.sub(r"\[:?[^]]*\]:?", "", word) for word in found}
    return [*sorted(found | spelled), "*RST", "*CLS", "*IDN?", "*OPC?", "SYST:ERR?", "htc", "start", "stop"]


@pytest.mark.parametrize("name", NAMES)
def test_babble(name: str) -> None:
    draw = random.Random(name)
    headers = headers_of(name)
    assert len(headers) > 10
    with Simulator(name, GatedLoad(random_load(1, 1))) as simulator:
        for round_number in range(6):
            with dial(simulator.port) as line:
                lines = []
                for _ in range(60):
                    arguments = draw.choice([" ", ",", ""]).join(draw.choices(WORDS, k=draw.randrange(3)))
                    lines.append(f"{draw.choice(headers)}{draw.choice(['', '?', ' '])} {arguments}")
                line.sendall(draw.choice([b"\n", b";", b"\r\n"]).join(text.encode() for text in lines) + b"\n")
                line.sendall(draw.randbytes(200) + b"\n")
                if round_number != 3:  # once it is hung up on at once
                    drain(line)
        with dial(simulator.port) as line:
            line.sendall(b"ABOR\n*RST\n*CLS\nstop\n*IDN?\npowershield\n")
            heard = b""
            while simulator.dialect.idn.encode() not in heard:
                some = line.recv(1 << 16)
                assert some, heard[-200:]
                heard += some


def drain(line: socket.socket) -> None:
    """Listen until it is silent for a while, or has said much: some dialects stream."""
    line.settimeout(0.2)
    try:
        for _ in range(200):
            if not line.recv(1 << 16):
                return
    except OSError:
        return
