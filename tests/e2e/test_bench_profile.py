"""`host bench --profile`, end to end: exact on a Cortex-M4 in QEMU, at a port, and refused where it cannot be had."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_bench import bench, bench_ok, emulated

from host.build import Image
from host.catalog import default_catalog
from host.device import Device
from host.emulator import start
from host.link import open_link
from host.link.stock import StockDevice
from host.modelinfo import read_operators
from host.results import schema
from host.runner.profile import Counts, run_profile
from host.runner.rules import RULES

# Multiply-accumulates of one inference: the published baseline's.
MACS = {"ad01": 264_192, "kws01": 2_656_768, "ic01": 12_501_632, "vww01": 7_489_664, "sww01": 826_368}
CALL_INSTRUCTIONS = 8  # at most: from an operator to the observer, beyond what engine_run() does there


def check(run: schema.Run, data_dir: Path) -> schema.Profile:
    """What holds on every board: the model's operators, the published MACs, sums."""
    profile = run.profile
    assert profile is not None
    operators = read_operators((data_dir / "models" / run.model.name).read_bytes(), run.task)
    assert [(cost.index, cost.name, tuple(cost.shape), cost.macs, cost.bytes) for cost in profile.operators] == [
        (operator.index, operator.name, operator.shape, operator.macs, operator.bytes) for operator in operators
    ]
    assert sum(cost.macs for cost in profile.operators) == MACS[run.task]
    for cost in profile.operators:  # what costs something is there; an operator in place may be left out
        assert cost.us is not None or cost.name == "RESHAPE"
    return profile


def test_exact_on_the_emulated_board(data_dir: Path, tmp_path: Path) -> None:
    result, _ = bench_ok(tmp_path, "kws01", "ic01", "--profile")
    for run in result.runs:
        profile = check(run, data_dir)
        counts = [cost.instructions or 0 for cost in profile.operators]
        assert profile.whole_instructions is not None
        # More than asked for: exact but for the few instructions that call the observer.
        excess = sum(counts) - profile.whole_instructions
        assert 0 <= excess <= CALL_INSTRUCTIONS * len(counts)
        assert profile.deviation == pytest.approx(excess / profile.whole_instructions)
        assert all((cost.instructions is None) == (cost.us is None) for cost in profile.operators)
        # 8 ns per instruction, by the device's own clock: within 2 %, and that of each operator within the tick.
        assert sum(cost.us or 0.0 for cost in profile.operators) == pytest.approx(profile.whole_us, rel=0.02)
        assert profile.whole_us == pytest.approx(profile.whole_instructions * 0.008, rel=0.001)
        for cost in profile.operators:
            if cost.us is not None and cost.instructions is not None:
                assert cost.us == pytest.approx(cost.instructions * 0.008, abs=profile.resolution_us + 1)
        # The bench measured the same model: only the input may make a difference.
        assert run.instructions_per_inference == pytest.approx(profile.whole_instructions, rel=0.001)


def test_the_table_on_the_terminal(data_dir: Path, tmp_path: Path) -> None:
    answer, folders = bench(tmp_path, "kws01", "--profile", "--inputs", "1")
    assert answer.returncode == 0, answer.stderr
    assert "by operator, EMULATED on mps2_an386" in answer.stdout
    assert "2,656,768" in answer.stdout
    (run,) = json.loads((folders[-1] / "result.json").read_text())["runs"]
    for cost in run["profile"]["operators"]:
        row = next(line.split() for line in answer.stdout.splitlines() if line.split()[:1] == [str(cost["index"])])
        assert row[1:3] == [cost["name"], "x".join(map(str, cost["shape"]))]
        assert row[6] == (f"{cost['instructions']:,}" if cost["instructions"] else "-")


@contextmanager
def running(image: Image) -> Iterator[tuple[Device, Callable[[], list[int]]]]:
    with start(image, timed=True) as board, Device(open_link(board.url, image.board.baud)) as device:
        device.wait_boot()
        if image.models:
            device.select_model(image.models[0].id)
            info = device.info()
            assert info is not None
            device.load(bytes(info.input_bytes))
        yield device, board.take_instruction_counts


def test_a_profile_costs_nothing_when_off(firmware_image: Callable[[str], Image]) -> None:
    """engine_run() executes the same instructions before a profile, in it and after it."""
    image = firmware_image("mps2_an386")
    if not image.models:
        pytest.skip("no model could be had on this machine: the image is empty")
    with running(image) as (device, take_counts):
        device.infer_crc(2, 1)
        never = take_counts()
        device.prof(2, 1)
        during = take_counts()
        device.infer_crc(2, 1)
        after = take_counts()
    assert len(never) == len(during) == len(after) == 3
    assert len({*never, *during, *after}) == 1


def test_native_and_at_a_port(data_dir: Path, tmp_path: Path) -> None:
    with emulated("native") as url:
        answer, _ = bench(tmp_path, "kws01", "--profile", "--inputs", "1", "--port", url, "--json")
    result = schema.decode(answer.stdout.encode())  # whether its times add up depends on what else runs here
    assert result.provenance == "emulated"
    profile = check(result.runs[0], data_dir)
    assert profile.whole_instructions is None
    assert profile.whole_cycles is None
    assert profile.whole_us > 0
    assert all(cost.instructions is None for cost in profile.operators)


@pytest.mark.parametrize("name", ["mps2_an385", "mps2_an500", "mps2_an505", "mps3_an547"])
def test_exact_on_every_core(name: str, firmware_image: Callable[[str], Image]) -> None:
    image = firmware_image(name)
    if not image.models:
        pytest.skip("no model could be had on this machine: the image is empty")
    model = min(image.models, key=lambda model: model.bytes)
    operators = read_operators(default_catalog().model_for(model.id).path.read_bytes(), model.id)
    with start(image, timed=True) as board, Device(open_link(board.url, image.board.baud)) as device:
        device.wait_boot()
        device.select_model(model.id)
        info = device.info()
        assert info is not None
        counts = Counts(board.take_instruction_counts, board.take_observed_runs)
        work = ("zeros", bytes(info.input_bytes))
        outcome = run_profile(device, operators, work, RULES["quick"], counts, latency_us=50_000)
    assert outcome.reasons == ()
    whole = outcome.profile.whole_instructions
    assert whole is not None
    total = sum(cost.instructions or 0 for cost in outcome.profile.operators)
    assert 0 <= total - whole <= CALL_INSTRUCTIONS * len(operators)


class StockFirmware(socketserver.BaseRequestHandler):
    """MLPerf Tiny's own firmware at the other end of a socket."""

    def handle(self) -> None:
        device, said = StockDevice(), b""
        while data := self.request.recv(4096):
            said += data
            while b"%" in said:
                command, _, said = said.partition(b"%")
                for line in (*device(command.decode().strip()), "m-ready"):
                    self.request.sendall(f"{line}\r\n".encode())


def test_a_stock_firmware_has_no_profile(data_dir: Path, tmp_path: Path) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), StockFirmware) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        answer, _ = bench(tmp_path, "kws01", "--profile", "--port", f"socket://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
    assert answer.returncode == 1
    assert "a profile needs tinyjoule's own firmware" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_not_with_accuracy(tmp_path: Path) -> None:
    answer, folders = bench(tmp_path, "kws01", "--profile", "--mode", "accuracy")
    assert answer.returncode == 2
    assert "accuracy" in answer.stderr
    assert folders == []
