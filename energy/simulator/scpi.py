# SPDX-License-Identifier: Apache-2.0
"""What every SCPI instrument does alike: several commands in a line, the error queue, the common commands."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from energy.simulator.dialect import Dialect, is_header, split_command

QUEUE_ENTRIES = 20
NO_ERROR = '0,"No error"'


class ErrorQueue:
    """First in, first out; when it is full its last entry says so."""

    def __init__(self) -> None:
        """Empty."""
        self._entries: deque[str] = deque()

    def push(self, code: int, text: str) -> None:
        """Add one."""
        if len(self._entries) == QUEUE_ENTRIES:
            self._entries.pop()
            code, text = -350, "Queue overflow"
        self._entries.append(f'{code},"{text.replace(chr(34), chr(39))}"')

    def take(self) -> str:
        """The oldest one, as SYST:ERR? tells it."""
        return self._entries.popleft() if self._entries else NO_ERROR

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._entries)


def commands_of(line: str) -> Iterator[str]:
    """The commands of a line, each with its whole header: after `:A:B 1` the header of `;C 2` is `:A:C`."""
    path = ""
    for part in re.findall(r'(?:"[^"]*"|\'[^\']*\'|[^;"\']|["\'])+', line):
        command = part.strip()
        if not command:
            continue
        if not command.startswith((":", "*")):
            command = path + command
        yield command
        if not command.startswith("*"):
            header = command.split(maxsplit=1)[0]
            path = header[: header.rindex(":") + 1] if ":" in header else ""


def execute(command: str, dialect: Dialect, queue: ErrorQueue) -> bytes | None:
    """Run one command; returns its reply, if it has one."""
    header, _ = split_command(command)
    reply: str | None = None
    match header:
        case "*IDN?":
            reply = dialect.idn
        case "*OPC?":
            reply = "1"
        case "*ESR?" | "*STB?" | "*ESE?" | "*SRE?" | "*TST?":
            reply = "0"
        case "*CLS":
            queue.clear()
        case "*RST":
            dialect.reset()
        case "*OPC" | "*WAI" | "*ESE" | "*SRE":
            pass
        case _ if is_header(header, "SYSTem:ERRor[:NEXT]?"):
            reply = queue.take()
        case _ if is_header(header, "SYSTem:ERRor:COUNt?"):
            reply = str(len(queue))
        case _:
            try:
                return dialect.command(command)
            except ValueError:
                queue.push(-224, f"Illegal parameter value;{command[:60]}")
    return None if reply is None else reply.encode()
