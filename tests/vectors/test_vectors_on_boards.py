"""The same dialogues, held with the whole firmware on the emulated boards."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from vectors.replay import Dialogue, dialogues, read_facts, replay

from host.boards import find_boards
from host.build import Image
from host.emulator import Emulator, start
from host.emulator.native import Native
from host.link import Link, open_link

BANNER = re.compile(rb"m-timestamp-mode-performance\r\nm-lap-us-[0-9]+\r\nm-init-done\r\nm-ready\r\n")
ANY = [dialogue for dialogue in dialogues() if dialogue.where == "any"]


@pytest.fixture(scope="module", params=[board.name for board in find_boards().values() if board.emulator])
def board(request: pytest.FixtureRequest, firmware_image: Callable[[str], Image]) -> Iterator[tuple[Emulator, Link]]:
    image = firmware_image(request.param)
    with start(image, timed=False) as emulator:
        link = open_link(emulator.url, image.board.baud)
        said = b""
        while not said.endswith(b"m-ready\r\n"):
            more = link.read(30.0)
            assert more, f"no boot banner, only {said!r}"
            said += more
        assert BANNER.fullmatch(said)
        if read_facts(link)["models"] == "":
            pytest.skip("no model in the image: no source of models can be reached")
        yield emulator, link
        link.close()


@pytest.mark.parametrize("dialogue", ANY, ids=str)
def test_dialogue(board: tuple[Emulator, Link], dialogue: Dialogue) -> None:
    emulator, link = board
    if dialogue.boot and isinstance(emulator, Native):
        pytest.skip("a process has no reset button; its banner was read when it started")
    replay(dialogue, link, reset=emulator.reset)
