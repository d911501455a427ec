"""engine_baseline.toml: TFLM's figures, where they come from, and the bars of the engine."""

from __future__ import annotations

from pathlib import Path

import msgspec

from host.results.engine_bench import Bars

FILE = Path(__file__).with_name("engine_baseline.toml")


class TextBytes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A TFLM program without the model, as `size` counts it."""

    reference: int
    cmsis_nn: int


class ModelBaseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One official model: its MACs, and TFLM with CMSIS-NN on a Cortex-M4F."""

    macs: int
    arena_bytes: int
    text_bytes: TextBytes
    setup_instructions: int | None = None


class CoreBaseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Instructions per inference on one core, by model."""

    must: dict[str, int]
    aim: dict[str, int] = {}
    reference: dict[str, int] = {}
    cmsis_nn: dict[str, int] = {}
    must_text_bytes: int | None = None


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. Models in the order in which they are shown; cores as board.ini names them."""

    source: dict[str, str]
    models: dict[str, ModelBaseline] = msgspec.field(name="model")
    cores: dict[str, CoreBaseline] = msgspec.field(name="core")

    def bars(self, core: str, task: str) -> Bars:
        """What is held against `task` on `core`. Raises KeyError for a core or model that the file does not name."""
        on, model = self.cores[core], self.models[task]
        return Bars(
            must=on.must.get(task),
            aim=on.aim.get(task),
            tflm_cmsis_nn=on.cmsis_nn.get(task),
            tflm_reference=on.reference.get(task),
            tflm_arena_bytes=model.arena_bytes,
            tflm_setup_instructions=model.setup_instructions,
            tflm_text_bytes=model.text_bytes.cmsis_nn,
        )


def load_baseline(path: Path = FILE) -> Baseline:
    """Read the file, which is part of the package."""
    return msgspec.toml.decode(path.read_bytes(), type=Baseline)
