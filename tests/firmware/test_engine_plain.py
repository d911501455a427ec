"""The plain kernels are the specification: they give what TFLM gives, and the fast ones give what they give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import random_models
from engine_host import OK, EngineHost, build, oracle
from random_models import Draw

from host import modelgen as gen

CHOICES = ("columns_fit", "depthwise_conv_2d_square_choose", "depthwise_conv_2d_channels_choose")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHost]:
    """The engine without its fast kernels."""
    wrapped = [f"-Wl,--wrap={name}" for name in CHOICES]
    program = build(tmp_path_factory.mktemp("plain"), *wrapped, str(Path(__file__).with_name("engine_plain.c")))
    host = EngineHost(program)
    yield host
    host.close()


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("operator", ["convolution", "depthwise", "units"])
def test_fast_kernels_give_what_the_plain_ones_give(
    plain: EngineHost, engine: EngineHost, operator: str, seed: int
) -> None:
    model = getattr(random_models, operator)(Draw(7000 + seed))
    data, inputs = gen.build(model), gen.inputs_for(model, 4)
    raw = [x.tobytes() for x in inputs]
    slow, fast = plain.load(data, raw), engine.load(data, raw)
    assert slow.status == OK, slow.text
    assert list(slow.outputs) == oracle(data, inputs)
    assert fast.outputs == slow.outputs


def test_the_plain_kernels_are_really_used(plain: EngineHost, engine: EngineHost) -> None:
    """A fast kernel has scratch memory, a plain one has none."""
    data = gen.build(gen.conv_2d(gen.Window(size=(4, 4), channels=64, out_channels=16)))
    assert plain.load(data).arena_used < engine.load(data).arena_used
