"""The jobs of a session, and what they leave in the journal when something fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from host.catalog import Item, ModelFile
from host.device import Output
from host.results import schema
from host.results.journal import DeviceRecord, Header, InputRow, Journal, PlanRecord, TaskRecord
from host.runner.target import Target
from host.runner.work import AccuracyJob

ITEMS = [Item(f"{number}", 0, b"x") for number in range(6)]


class EchoDevice:
    """Gives each input the same outputs, as it comes."""

    def stream(self, inputs: Iterable[bytes]) -> Iterator[Output]:
        return (Output(raw=bytes(12)) for _ in inputs)


@pytest.fixture
def model(data_dir: Path) -> ModelFile:
    path = data_dir / "models" / "kws_ref_model.tflite"
    return ModelFile("kws01", path.name, "here", path, "0" * 64, "int8", input_bytes=1, outputs=12)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    base = schema.Result(
        schema=schema.SCHEMA, provenance="emulated", created="2026-01-01T00:00:00+00:00",
        board=schema.BoardInfo(name="native", core="host", clock_hz=None),
        firmware=schema.FirmwareInfo(version=None, engine=None, compiler=None, flags=None, sha256=None),
        host=schema.HostInfo(version="0", python="3", platform="here"), runs=[],
    )  # fmt: skip
    plan = PlanRecord(
        tasks=["kws01"], mode="accuracy", rules="quick", inputs=None, boards=["native"], ports=[None], profile=False,
        engine="tflite_c", tflm_dir=None, model=None, target=None, link="auto",
    )  # fmt: skip
    device = DeviceRecord(name="tinyjoule", board="native", build_id="b", engine="e", clock_hz=None)
    task = TaskRecord(
        task="kws01",
        dataset=schema.DatasetInfo(name="kws01", source="here", sha256="0" * 64, n=len(ITEMS)),
        models=[schema.ModelInfo(name="m", source="here", sha256="1" * 64, arena_bytes=1)],
    )
    header = Header(journal="tinyjoule.journal/1", id="one", plan=plan, base=base, devices=[device], tasks=[task])
    with Journal.create(tmp_path, header) as opened:
        yield opened


def target() -> Target:
    return cast(Target, cast(Any, SimpleNamespace(device=EchoDevice())))


def test_an_input_in_the_journal_is_never_done_again(model: ModelFile, journal: Journal) -> None:
    def tell(done: int, _total: int) -> None:
        if done == 3:
            raise BrokenPipeError  # whoever read our stderr is gone

    job = AccuracyJob(model, ITEMS, journal, 1, tell)
    with pytest.raises(BrokenPipeError):
        job.work(0, target())
    while job.more(0):  # another board is faster than the news
        job.work(0, target())
    assert [row.index for row in journal.rows if isinstance(row, InputRow)] == list(range(len(ITEMS)))


def test_nothing_new_is_begun_after_a_stop(model: ModelFile, journal: Journal) -> None:
    job = AccuracyJob(model, ITEMS, journal, 1, lambda done, _: job.stop() if done == 2 else None)
    job.work(0, target())
    assert not job.more(0)
    assert len(journal.of(InputRow, "kws01")) == 2
