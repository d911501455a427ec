# SPDX-License-Identifier: Apache-2.0
"""The commands of the guides do what the guides say: every console block of docs/*.md and README.md is typed here.

How to write a page
- Commands stand in a fenced block ```console, in docs/NAME.md (in `nav` of mkdocs.yml) or README.md. A line `$ COMMAND`
  is typed by bash; `> MORE` goes on with it; all other lines of the block are an example of what is printed, `...`
  among them stands for anything. No other kind of block holds commands: ```sh and `$ ` elsewhere are refused.
- The blocks of a page run from top to bottom, in one scratch folder with a HOME of its own, `host` on PATH and no
  network; working folder and exported variables last. What a block makes is there for the blocks after it. Give a
  session a folder by --out, and it is found by a pattern: `host bench kws01 --out first`, then `host report first/*`.
- A command has to answer 0. What else a block needs is in comments right before it, a line each, which no reader sees:

    <!-- test: skip: why nobody can run this here -->
    <!-- test: replace: /dev/ttyACM0 -> {board} -->   for what a desk without hardware lacks; again for each text.
                                                      {board}: the serial device of an emulated board (mps2_an386);
                                                      {stock}: of a fake device with stock firmware for kws01
    <!-- test: replace: @TCPIP0::192.0.2.7::5025::SOCKET -> @simulated -->   the virtual analyser; to drop a text: `-> `
    <!-- test: exit: 1 -->              what the last command of the block has to answer
    <!-- test: expect: TEXT -->         has to be in what the block prints; again for each text
    <!-- test: like -->                 every example line has to be there, whatever its numbers and spaces are
    <!-- test: run: COMMAND -->         typed before the block, for what a reader has and the test has not
    <!-- test: background: TEXT -->     the last command goes on until the page's end, from when it has printed TEXT
    <!-- test: file: PATH -->           before a block that is no console: the reader puts its text into that file, and
                                        so does the test; the fence says it too: ```ini title="PATH"
    <!-- test: checkout -->             anywhere: the page changes the checkout. It gets a copy, and begins in it

  Several may share one comment: `<!-- test:`, a line `WORD: VALUE` each, `-->`.
- Commands of a page share two cores with everything else: quick rules, few inputs (`--inputs 2`), one task; about 20 s
  for a page.
- Files of the checkout are named as code (`firmware/boards/board.h`), not linked: the site has no source in it. Links
  go to pages (`board.md#flash`); `make docs` fails on one that leads nowhere. Pictures: docs/images, committed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from guide_desk import Desk, run_block
from guide_pages import PageError, missing, pattern_of, read_page

from host.build import BUILD_DIR
from host.paths import PROJECT_DIR

PAGES = [PROJECT_DIR / "README.md", *sorted((PROJECT_DIR / "docs").glob("*.md"))]


def copied_checkout(folder: Path) -> Path:
    """What git knows of the checkout and what is new in it, as a person's clone has it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=PROJECT_DIR, check=True, capture_output=True
    ).stdout.split(b"\0")
    for name in map(os.fsdecode, filter(None, listed)):
        if (PROJECT_DIR / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT_DIR / name, folder / name)
    return folder


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_commands_of_a_page(path, tmp_path, host_command):
    page = read_page(path)
    if not any(block.asked.skip is None for block in page.blocks):
        return
    work = tmp_path / "desk"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTEST", "XDG_"))},
        "PATH": f"{host_command.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "TERM": "dumb",
    }
    # Only where somebody set it: PlatformIO takes the same folder by name for another project, and empties it, while
    # tests beside this one run the images in it.
    if "PLATFORMIO_BUILD_DIR" in environment:
        environment["PLATFORMIO_BUILD_DIR"] = str(BUILD_DIR)
    (tmp_path / "home").mkdir()
    work.mkdir()
    if page.checkout:
        copied_checkout(work)
        environment |= {"PYTHONPATH": str(work), "PLATFORMIO_BUILD_DIR": str(tmp_path / "build")}
    with Desk(tmp_path, environment, work) as desk:
        for block in page.blocks:
            run_block(desk, page, block)


def test_few_blocks_are_typed_by_nobody():
    blocks = [block for path in PAGES for block in read_page(path).blocks]
    skipped = [block for block in blocks if block.asked.skip]
    assert 3 * len(skipped) <= len(blocks)


def page_of(folder, text):
    path = folder / "page.md"
    path.write_text(text)
    return read_page(path)


@pytest.fixture
def desk(tmp_path):
    (tmp_path / "work").mkdir()
    with Desk(tmp_path, {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}, tmp_path) as one:
        yield one


def attempt(desk, page):
    for block in page.blocks:
        run_block(desk, page, block)


def test_a_page_is_typed_from_top_to_bottom(desk, tmp_path):
    page = page_of(
        tmp_path,
        """
Text.

<!-- test:
  replace: /dev/nowhere -> here
  expect: sun
-->

```console
$ mkdir -p one/one && cd one && echo sun > /dev/nowhere
$ cat \\
> here
rain, for example
```

1. In a list:

   <!-- test: like -->
   ```console
   $ export WORD=sum; echo "$PWD costs 12.5 uJ, 1,000   in all"
   ...one costs 99 uJ, 7 in all
   ```

<!-- test: exit: 3 -->
```console
$ test "$WORD" = sum && exit 3
```

<!-- test: file: one/note.txt -->
```ini title="one/note.txt"
$ not a command
[x]
```

```c
int not_a_command;
```
""",
    )
    assert [command.line for block in page.blocks for command in block.commands] == [10, 11, 20, 26]
    attempt(desk, page)
    assert (tmp_path / "one" / "here").read_text() == "sun\n"
    assert (tmp_path / "one" / "one" / "note.txt").read_text() == "$ not a command\n[x]\n"


@pytest.mark.parametrize(
    ("comment", "commands", "complaint"),
    [
        ("", "$ false", "answered 1, not 0"),
        ("<!-- test: exit: 1 -->", "$ true", "answered 0, not 1"),
        ("<!-- test: exit: 1 -->", "$ false\n$ false", "answered 1, not 0"),
        ("<!-- test: expect: sun -->", "$ echo rain\nsun", "no 'sun'"),
        ("<!-- test: like -->", "$ echo 12 runs\n12 rums", "nothing like"),
        ("<!-- test: like -->", "$ echo runs\nsums", "nothing like"),
        ("<!-- test: replace: a -> b -->", "$ true", "nothing to replace"),
        ("<!-- test: background: ready -->", "$ echo steady", "ended without a word"),
        ("<!-- test: run: false -->", "$ true", "(run for the test) answered 1"),
    ],
)
def test_a_page_that_does_not_tell_the_truth_fails(desk, tmp_path, comment, commands, complaint):
    page = page_of(tmp_path, f"{comment}\n```console\n{commands}\n```\n")
    with pytest.raises(PageError, match=complaint.replace("(", r"\(").replace(")", r"\)")):
        attempt(desk, page)


@pytest.mark.parametrize(
    "text",
    [
        "<!-- test: slip: a word that is none -->\n```console\n$ true\n```",
        "<!-- test: skip -->\n```console\n$ true\n```",
        "<!-- test: replace: no arrow -->\n```console\n$ true\n```",
        "<!-- test: exit: 1 -->\nwords between\n```console\n$ true\n```",
        "<!-- test: exit: 1 -->\n```c\nint x;\n```",
        "```console\nno command\n```",
        "```sh\nhost bench\n```",
        "```\n$ host bench\n```",
        "```console\n$ true",
    ],
)
def test_a_page_that_breaks_the_convention_fails(tmp_path, text):
    with pytest.raises(PageError, match=r"page\.md:\d"):
        page_of(tmp_path, text)


def test_the_emulated_board_of_a_page_is_there_and_goes_with_it(tmp_path, host_command):
    page = page_of(
        tmp_path,
        "<!-- test: replace: /dev/ttyACM0 -> {board} -->\n```console\n"
        "$ python -c \"import serial; port = serial.Serial('/dev/ttyACM0', timeout=30); port.write(b'name%');"
        " assert b'tinyjoule' in port.read_until(b'm-name-dut-[tinyjoule]')\"\n```\n",
    )
    environment = {**os.environ, "PATH": f"{host_command.parent}:{os.environ['PATH']}"}
    with Desk(tmp_path, environment, PROJECT_DIR) as desk:
        attempt(desk, page)
        assert (tmp_path / "ttyBOARD").exists()
    assert not (tmp_path / "ttyBOARD").exists()


@pytest.mark.parametrize(
    ("example", "real", "same"),
    [
        ("results: results/20261122-1", "results: results/20270101-9", True),
        ("140.70 +- 0.12 uJ", "  9.1 +-   3 uJ of it", True),
        ("build 0123456789abcdef", "build ffff456789abcdef", True),
        ("kws01 ... valid", "kws01 32.8 ms valid", True),
        ("kws01 ... valid", "kws01 32.8 ms INVALID", False),
        ("12 of 15", "none of 15", False),
        ("one two", "onetwo", False),
    ],
)
def test_an_example_line_stands_for_all_that_look_like_it(example, real, same):
    assert bool(pattern_of(example).search(" ".join(real.split()))) == same


def test_example_lines_that_nothing_looks_like_are_told(tmp_path):
    page = page_of(tmp_path, "```console\n$ x\na 1\n...\n\nb 2\n```\n")
    assert missing(page.blocks[0].commands[0], "a 5\nc 2\n") == ["b 2"]
