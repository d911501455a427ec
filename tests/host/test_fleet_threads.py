"""What happens to boards that fail and to the session around them. The boards are the stock device in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from host.catalog import ModelFile
from host.device import Transcript
from host.errors import DeviceError, DeviceReset, GarbledReply, HostError, LinkError
from host.link import FakeLink
from host.link.stock import StockDevice
from host.report.progress import Reporter
from host.runner import fleet as module
from host.runner.fleet import Fleet, Member, check_alike
from host.runner.target import Connection, Target

MODEL = ModelFile("kws01", "m", "here", Path("m"), "0" * 64, "int8", input_bytes=1, outputs=3)


class Scripted:
    """A job of `count` pieces. script: called with board and how many pieces were begun, before each; may raise."""

    model = MODEL

    def __init__(self, count: int, script: Callable[[int, int], None]) -> None:
        self.left = count
        self.script = script
        self.begun = 0
        self.done: dict[int, int] = {}
        self.stopped = False
        self.lock = threading.Lock()

    def more(self, unit: int) -> bool:
        return not self.stopped and self.left > 0

    def work(self, unit: int, target: Target) -> None:
        assert target.device.profile().model == "kws01"
        with self.lock:
            self.begun += 1
            begun = self.begun
        self.script(unit, begun)
        with self.lock:
            self.left -= 1
            self.done[unit] = self.done.get(unit, 0) + 1

    def finished_by(self, unit: int) -> int:
        return self.done.get(unit, 0)

    def stop(self) -> None:
        self.stopped = True


class Ports:
    """What is behind each port: how often it was opened, and whether it opens at all."""

    def __init__(self) -> None:
        self.opened: dict[str, int] = {}
        self.shut: set[str] = set()
        self.names: dict[str, str] = {}

    def open(self, url: str, _baud: int) -> FakeLink:
        if url in self.shut:
            raise LinkError(f"{url}: no such port")
        self.opened[url] = self.opened.get(url, 0) + 1
        device = StockDevice()
        name = self.names.get(url, "fake")
        return FakeLink(lambda command: [f"m-name-dut-[{name}]"] if command == "name" else device(command))


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Ports:
    found = Ports()
    monkeypatch.setattr("host.runner.target.open_link", found.open)
    monkeypatch.setattr(module, "REOPEN_S", 0.05)
    monkeypatch.setattr(module, "REOPEN_PAUSE_S", 0.01)
    return found


@pytest.fixture
def make(ports: Ports, tmp_path: Path) -> Iterator[Callable[[int], Fleet]]:
    with Transcript(tmp_path / "log.jsonl") as transcript, Reporter() as reporter:

        def fleet(count: int) -> Fleet:
            connections = [Connection(None, f"fake:{number}", transcript, timed=False) for number in range(count)]
            members = [Member(number, connection, connection.open()) for number, connection in enumerate(connections)]
            return Fleet(members, reporter, transcript, on_drop=lambda _: None)

        yield fleet


Make = Callable[[int], Fleet]


def test_boards_share_a_job(make: Make) -> None:
    job = Scripted(40, lambda *_: time.sleep(0.001))
    make(3).run(job)
    assert sum(job.done.values()) >= 40
    assert set(job.done) == {0, 1, 2}


@pytest.mark.parametrize("error", [ValueError("a bug"), HostError("the disk is full"), MemoryError()])
def test_what_is_no_boards_fault_ends_the_session(error: Exception, make: Make) -> None:
    def script(unit: int, begun: int) -> None:
        if unit == 1 and begun > 5:
            raise error
        time.sleep(0.001)

    boards = make(2)
    job = Scripted(10**9, script)
    with pytest.raises(type(error)) as caught:
        boards.run(job)
    assert caught.value is error
    assert job.stopped
    assert [member.dropped for member in boards.members] == [None, None]
    assert threading.active_count() == 1


@pytest.mark.parametrize("error", [LinkError, DeviceReset, GarbledReply])
def test_a_board_that_fails_now_and_then_is_opened_again(error: type[HostError], make: Make, ports: Ports) -> None:
    def script(_unit: int, begun: int) -> None:
        if begun in (3, 4, 10):
            raise error("the cable was touched")

    boards = make(1)
    job = Scripted(10, script)
    boards.run(job)
    assert (job.left, boards.members[0].dropped, ports.opened) == (0, None, {"fake:0": 4})


def test_a_board_that_keeps_failing_is_dropped_and_the_other_does_the_work(make: Make, ports: Ports) -> None:
    def script(unit: int, _begun: int) -> None:
        if unit == 0:
            raise LinkError("dead")
        time.sleep(0.002)

    boards = make(2)
    told: list[int] = []
    boards.on_drop = lambda member: told.append(member.number)
    job = Scripted(50, script)
    boards.run(job)
    assert (job.left, job.done) == (0, {1: 50})
    assert boards.members[0].dropped == "dead"
    assert boards.alive == [boards.members[1]]
    assert told == [0]
    assert ports.opened["fake:0"] == 1 + module.TRIES
    boards.run(again := Scripted(5, script))  # the next task begins without it
    assert again.done == {1: 5}


def test_an_error_that_no_second_try_helps_is_tried_once(make: Make, ports: Ports) -> None:
    def script(_unit: int, _begun: int) -> None:
        raise DeviceError("the model's output is not a number")

    with pytest.raises(DeviceError, match="not a number"):
        make(1).run(Scripted(5, script))
    assert ports.opened == {"fake:0": 1}


def test_a_board_that_starts_again_after_every_input_is_dropped_in_the_end(make: Make) -> None:
    def script(_unit: int, begun: int) -> None:
        if begun % 2:
            raise DeviceReset("a loose plug")

    with pytest.raises(DeviceReset):
        make(1).run(job := Scripted(1000, script))
    assert job.done == {0: module.TRIES_IN_ALL}


def test_a_port_that_is_gone_is_waited_for_and_then_given_up(make: Make, ports: Ports) -> None:
    def script(_unit: int, _begun: int) -> None:
        ports.shut.add("fake:0")
        raise LinkError("unplugged")

    with pytest.raises(LinkError, match="no such port"):
        make(1).run(Scripted(5, script))


def test_a_port_that_comes_back_goes_on(make: Make, ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REOPEN_S", 60.0)

    def script(_unit: int, begun: int) -> None:
        if begun == 2:
            ports.shut.add("fake:0")
            threading.Timer(0.1, ports.shut.clear).start()
            raise LinkError("unplugged")

    make(1).run(job := Scripted(5, script))
    assert job.done == {0: 5}


def test_another_board_at_the_same_port_is_refused(make: Make, ports: Ports) -> None:
    def script(_unit: int, _begun: int) -> None:
        ports.names["fake:0"] = "another vendor's"
        raise DeviceReset("swapped")

    with pytest.raises(DeviceError, match="another firmware than before"):
        make(1).run(Scripted(5, script))


def test_when_the_last_board_dies_its_error_is_told(make: Make) -> None:
    def script(unit: int, _begun: int) -> None:
        time.sleep(0.05 * unit)
        raise LinkError(f"board {unit} is dead")

    boards = make(2)
    with pytest.raises(LinkError, match="board 1 is dead"):
        boards.run(Scripted(5, script))
    assert boards.alive == []


def test_ctrl_c_waits_for_no_board_that_hangs(make: Make, ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.05)
    monkeypatch.setattr(module, "POLL_S", 0.01)
    boards = make(1)
    cut = threading.Event()
    monkeypatch.setattr(Connection, "cut", lambda _self: cut.set())

    def script(_unit: int, _begun: int) -> None:
        cut.wait()
        raise LinkError("closed under us")

    real_join = threading.Thread.join
    calls = iter(range(100))

    def join(thread: threading.Thread, timeout: float | None = None) -> None:
        if next(calls) == 2:
            raise KeyboardInterrupt
        real_join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", join)
    with pytest.raises(KeyboardInterrupt):
        boards.run(Scripted(5, script))
    assert cut.is_set()
    assert boards.members[0].dropped is None


def test_emulated_and_real_boards_are_never_in_one_session(make: Make) -> None:
    real = make(1).members[0].target
    assert real is not None
    emulated = Target(real.device, None, None, None, "emulated", list, list)
    assert check_alike([real, real]) == "measured"
    with pytest.raises(DeviceError, match="never mixed"):
        check_alike([real, emulated])
