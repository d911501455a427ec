# SPDX-License-Identifier: Apache-2.0
"""A session over VISA against peers that misbehave: every one has an error with a name, in time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from energy.errors import GarbledSamples, InstrumentError, InstrumentLost, InstrumentTimeout
from energy.visa import VisaSession, from_scpi

IDN = b"ACME,M1,7,1.0\n"
Answer = bytes | Callable[[socket.socket], None]


@contextmanager
def peer(answers: dict[str, Answer]) -> Iterator[str]:
    """Answers lines; a callable one gets the connection, which is closed after it. Unknown lines are not answered."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as lines:
            try:
                for line in lines:
                    answer = answers.get(line.decode().strip(), b"")
                    if callable(answer):
                        answer(connection)
                        return
                    connection.sendall(answer)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"TCPIP0::127.0.0.1::{listener.getsockname()[1]}::SOCKET"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


@contextmanager
def session(answer: Answer, *, timeout_s: float = 5.0) -> Iterator[VisaSession]:
    with peer({"*IDN?": IDN, "X?": answer}) as address, VisaSession(address, "ACME,M1,", timeout_s=timeout_s) as opened:
        yield opened


def definite(data: bytes) -> bytes:
    length = str(len(data)).encode()
    return b"#%d%s%s\n" % (len(length), length, data)


def test_commands_questions_and_blocks_are_told_to_the_transcript() -> None:
    said: list[tuple[str, str]] = []
    noise = bytes(range(256)) * 8 + b"\n" * 100_000
    answers: dict[str, Answer] = {"*IDN?": IDN, "V?": b" 1.5e-3 \r\n", "B?": definite(noise), "E?": definite(b"")}
    with peer(answers) as address:
        with VisaSession(
            address, r"ACME,M\d,", transcript=lambda direction, text: said.append((direction, text))
        ) as visa:
            assert visa.idn == "ACME,M1,7,1.0"
            visa.write("RATE 5")
            assert visa.query_number("V?") == 1.5e-3
            assert visa.query_block("B?") == noise
            assert visa.query_block("E?") == b""
        visa.close()
        assert not visa.is_open
    assert said == [
        (">", "*IDN?"), ("<", "ACME,M1,7,1.0"), (">", "RATE 5"), (">", "V?"), ("<", "1.5e-3"),
        (">", "B?"), ("<", f"#<{len(noise)}>"), (">", "E?"), ("<", "#<0>"),
    ]  # fmt: skip


def test_somebody_else() -> None:
    with peer({"*IDN?": b"Nobody,Nothing,0,0\n"}) as address, pytest.raises(InstrumentError, match="does not drive"):
        VisaSession(address, "ACME,")


@pytest.mark.parametrize(
    "address",
    ["", "COM3", "ASRL/dev/nothing::INSTR", "TCPIP0::127.0.0.1::1::SOCKET", "TCPIP0::no..name::5025::SOCKET", "USB0"],
)
def test_what_cannot_be_opened(address: str) -> None:
    with pytest.raises(InstrumentError, match=r"no VISA address|cannot be opened|was lost during '\*IDN\?'.*Check"):
        VisaSession(address, "ACME")


def test_the_error_queue_is_taken_until_it_says_no_error() -> None:
    entries = iter([b'-222,"Data out of range"\n', b'-113,"Undefined header"\n', b'+0,"No error"\n'])

    def answer(line: socket.socket) -> None:
        reader = line.makefile("rb")
        with reader:
            for entry in entries:
                line.sendall(entry)
                reader.readline()

    with peer({"*IDN?": IDN, "SYST:ERR?": answer}) as address, VisaSession(address, "ACME") as visa:
        assert visa.errors() == ['-222,"Data out of range"', '-113,"Undefined header"']


def test_an_error_queue_without_an_end_has_one_for_us() -> None:
    with peer({"*IDN?": IDN, "SYST:ERR?": b'-1,"again"\n'}) as address, VisaSession(address, "ACME") as visa:
        with pytest.raises(InstrumentError, match=r'-1,"again"; .* after the set-up'):
            visa.check("the set-up")
        assert len(visa.errors()) == 30


def hang_up(_line: socket.socket) -> None:
    """The peer closes the connection behind this."""


def half_a_block(line: socket.socket) -> None:
    line.sendall(b"#510000" + b"x" * 4000)


@pytest.mark.parametrize("answer", [hang_up, half_a_block])
def test_a_peer_that_hangs_up_is_lost(answer: Answer) -> None:
    with session(answer, timeout_s=60) as visa:  # far longer than the test may take: it is told, not waited for
        with pytest.raises(InstrumentLost, match="was lost during 'X"):
            visa.query_block("X?")
        with pytest.raises(InstrumentLost, match="open it again"):
            visa.query("*IDN?")


def test_a_peer_that_hangs_up_before_a_line() -> None:
    with session(hang_up, timeout_s=60) as visa, pytest.raises(InstrumentLost, match="was lost"):
        visa.query("X?")


def test_no_answer_is_a_timeout_and_closes() -> None:
    with session(b"", timeout_s=0.2) as visa:
        with pytest.raises(InstrumentTimeout, match=r"did not answer 'X\?' in time"):
            visa.query("X?")
        assert not visa.is_open


def test_bytes_that_trickle_in_have_a_deadline() -> None:
    stop = threading.Event()

    def trickle(line: socket.socket) -> None:
        line.sendall(b"#6100000")
        while not stop.wait(0.02):
            line.sendall(b"x")

    with session(trickle, timeout_s=0.3) as visa:
        try:
            with pytest.raises(InstrumentTimeout):
                visa.query_block("X?")
        finally:
            stop.set()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"#0abc\n", "begins no definite block"),
        (b"-113,error\n", "begins no definite block"),
        (b"##12\n\n\n", "begins no definite block"),
        (b"#3-12\n", "announces a block of"),
        (b"#9999999999\n", "announces a block of"),
        (b"#12abX\n", "instead of a line end"),
    ],
)
def test_what_is_no_block(answer: bytes, message: str) -> None:
    with session(answer) as visa:
        with pytest.raises(GarbledSamples, match=message):
            visa.query_block("X?")
        assert not visa.is_open  # what follows in the line is unknown


@pytest.mark.parametrize("answer", [b"abc\n", b"nan\n", b"9e999\n", b"\n"])
def test_what_is_no_number(answer: bytes) -> None:
    with session(answer) as visa:
        with pytest.raises(GarbledSamples, match="which is no number"):
            visa.query_number("X?")
        assert visa.is_open  # the reply was whole, the line is where it should be


def test_a_reply_without_an_end_and_one_that_is_no_text() -> None:
    with session(b"a" * 5000) as visa, pytest.raises(GarbledSamples, match="no line end"):
        visa.query("X?")
    with session(b"\xff\xfe\n") as visa, pytest.raises(GarbledSamples, match="no text"):
        visa.query("X?")


def test_numbers_that_scpi_spells_in_its_own_way() -> None:
    values = np.array([1.5, 9.9e37, -9.9e37, 9.91e37, -2.0, 9.9e37 * 2, np.inf], dtype=">f4")
    np.testing.assert_array_equal(from_scpi(values), [1.5, np.inf, -np.inf, np.nan, -2.0, np.inf, np.inf])
