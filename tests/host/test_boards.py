"""The boards: what board.ini says, what is refused, and the template as a checklist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from host.boards import BOARDS_DIR, find_boards, get_board, read_board
from host.cli import main
from host.errors import SetupError, UsageError
from host.results.schema import Wiring

COMPLETE = """
[env:some]
custom_description = a board = with 50 % more; signs
custom_core = Cortex-M4F
custom_clock_hz = 64000000
custom_emulator = none
custom_flash_bytes = 1048576
custom_ram_bytes = 262144
custom_arena_bytes = 131072
custom_baud = 115200
custom_openocd_config = interface/jlink.cfg target/nrf52.cfg
custom_wiring_uart = P0.06 TX, P0.08 RX
custom_wiring_timing_pin = P0.03; high at rest
custom_wiring_power = in place of jumper P22
"""


def read(tmp_path: Path, text: str) -> object:
    folder = tmp_path / "some"
    folder.mkdir()
    (folder / "board.ini").write_text(text)
    return read_board(folder)


def test_the_boards_of_the_project() -> None:
    boards = find_boards()
    assert list(boards) == sorted(boards)
    assert {"mps2_an386", "native", "nucleo_l4r5zi"} <= set(boards)
    mps2, native, nucleo = (boards[name] for name in ("mps2_an386", "native", "nucleo_l4r5zi"))
    assert (mps2.core, mps2.clock_hz, mps2.emulator, mps2.qemu_machine) == (
        "Cortex-M4F",
        125_000_000,  # -icount shift=3
        "qemu",
        "mps2-an386",
    )
    assert (native.clock_hz, native.emulator, native.qemu_machine) == (None, "native", None)
    assert (nucleo.clock_hz, nucleo.emulator) == (120_000_000, None)
    assert (nucleo.flash_bytes, nucleo.ram_bytes) == (2 * 1024**2, 640 * 1024)
    assert (nucleo.openocd_config, nucleo.pyocd_target) == (
        "interface/stlink.cfg target/stm32l4x.cfg",
        "stm32l4r5zitx",
    )
    assert all(board.baud == 115200 and board.folder == BOARDS_DIR / board.name for board in boards.values())


def test_an_unknown_board_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no board 'stm33'.*mps2_an386, .*native, nucleo_l4r5zi"):
        get_board("stm33")


def test_the_template_is_no_board() -> None:
    assert (BOARDS_DIR / "template").is_dir()
    with pytest.raises(UsageError):
        get_board("template")


def test_a_complete_board_ini(tmp_path: Path) -> None:
    board = read(tmp_path, COMPLETE)
    assert board.description == "a board = with 50 % more; signs"  # type: ignore[attr-defined]
    assert board.openocd_config == "interface/jlink.cfg target/nrf52.cfg"  # type: ignore[attr-defined]
    assert board.pyocd_target is None  # type: ignore[attr-defined]
    assert board.wiring == Wiring(  # type: ignore[attr-defined]
        uart="P0.06 TX, P0.08 RX", timing_pin="P0.03; high at rest", power="in place of jumper P22"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("custom_core = Cortex-M4F\n", "", "custom_core is missing"),
        ("custom_baud = 115200\n", "", "custom_baud is missing"),
        ("custom_wiring_power = in place of jumper P22\n", "", "custom_wiring_power is missing"),
        ("= 131072", "= 128k", "custom_arena_bytes = 128k: not a whole number"),
        ("= 131072", "= -1", "custom_arena_bytes = -1: not a whole number"),
        ("= none", "= renode", "custom_emulator = renode: must be qemu, native or none"),
        ("[env:some]", "[env:other]", r"exactly one section, \[env:some\]"),
        ("[env:some]", "[env]\n[env:some]", r"exactly one section, \[env:some\]"),
        ("[env:some]", "", "no section headers"),
        ("custom_core =", "custom_baud = 1\ncustom_core =", "custom_baud"),
    ],
)
def test_a_board_ini_that_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in COMPLETE
    with pytest.raises(SetupError, match=message) as caught:
        read(tmp_path, COMPLETE.replace(old, new))
    assert "board.ini" in str(caught.value)


def test_a_folder_without_board_ini(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"board\.ini"):
        read_board(tmp_path)


def test_the_command_lists_every_board(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["boards"]) == 0
    output = capsys.readouterr().out
    for board in find_boards().values():
        assert board.name in output
        assert board.core in output


def contract_functions() -> list[str]:
    """Every function of board.h."""
    text = re.sub(r"/\*.*?\*/", "", (BOARDS_DIR / "board.h").read_text(), flags=re.DOTALL)
    return re.findall(r"\b(board_\w+)\(", text)


def test_the_template_refuses_every_function_of_the_contract() -> None:
    functions = contract_functions()
    assert len(functions) >= 9
    compiler = shutil.which("gcc")
    assert compiler is not None
    result = subprocess.run(
        [compiler, "-std=c99", "-fsyntax-only", f"-I{BOARDS_DIR.parent}", str(BOARDS_DIR / "template" / "board.c")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode != 0
    refused = re.findall(r'error: #error "(\w+): ', result.stderr)
    assert sorted(refused) == sorted(functions)


def test_every_option_a_board_uses_is_explained_in_the_template() -> None:
    explained = (BOARDS_DIR / "template" / "board.ini.template").read_text()
    for path in BOARDS_DIR.glob("*/board.ini"):
        for option in re.findall(r"^(\w+) *=", path.read_text(), flags=re.MULTILINE):
            assert option in explained, f"{path}: {option}"


@pytest.mark.parametrize("name", sorted(find_boards()))
def test_a_board_is_documented(name: str) -> None:
    readme = BOARDS_DIR / name / "README.md"
    assert readme.read_text().startswith(f"# {name}\n")


@pytest.mark.parametrize("name", sorted(name for name in find_boards() if (BOARDS_DIR / name / "board.ld").exists()))
def test_the_linker_script_has_the_sizes_of_board_ini(name: str) -> None:
    script = (BOARDS_DIR / name / "board.ld").read_text()
    sizes = re.findall(r"^ *(FLASH|RAM) .*LENGTH = (\d+)([KM])$", script, flags=re.MULTILINE)
    unit = {"K": 1 << 10, "M": 1 << 20}
    found = {memory: int(count) * unit[letter] for memory, count, letter in sizes}
    board = get_board(name)
    assert found == {"FLASH": board.flash_bytes, "RAM": board.ram_bytes}
