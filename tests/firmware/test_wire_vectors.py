"""The firmware core under sanitizers, held to every dialogue of tests/vectors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from vectors.replay import Dialogue, dialogues, replay
from wireharness import IMAGES, Harness, build


@pytest.fixture(scope="module")
def harnesses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Harness]]:
    folder = tmp_path_factory.mktemp("wire")
    running = {image: Harness(build(folder, image)) for image in IMAGES}
    yield running
    for harness in running.values():
        harness.close()


@pytest.mark.parametrize("dialogue", dialogues(), ids=str)
def test_dialogue(harnesses: dict[str, Harness], dialogue: Dialogue) -> None:
    harness = harnesses[dialogue.image]
    harness.sync()
    if not dialogue.boot:
        harness.boot()
    replay(dialogue, harness, reset=partial(harness.reset, dialogue.clock_us), overrun=harness.overrun)
