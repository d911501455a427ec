"""The rules of the house: who may import whom, and who may read argv, print and exit."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.paths import PROJECT_DIR

FILES = sorted(
    path.relative_to(PROJECT_DIR) for name in ("host", "energy") for path in (PROJECT_DIR / name).rglob("*.py")
)

# What a package or module of the host may import of the host besides itself, host.errors and host.__version__. Whatever
# is not listed may import everything but the command line.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "paths": set(),
    "lifeline": set(),
    "recipe": set(),
    "archives": set(),
    "modelgen": set(),
    "modelinfo": set(),
    "wire": set(),
    "frames": {"wire"},
    "link": {"frames", "wire"},
    "results": set(),
    "catalog": {"modelinfo", "paths", "recipe"},
    "boards": {"paths", "results"},
    "report": {"results"},
    "reader": {"frames", "link"},
    "exchange": {"reader", "wire"},
    "channel": {"frames", "reader", "wire"},
    "answers": {"wire"},
    "fast": {"answers", "channel", "exchange", "reader", "wire"},
    "device": {"answers", "channel", "exchange", "fast", "link", "reader", "wire"},
    "emulator": {"link", "paths", "build", "lifeline"},
    "training": {"archives", "catalog", "modelinfo", "paths", "verify"},
}


def module_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST) -> Iterator[str]:
    """Full names of the modules, and of the things taken out of them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def talk(tree: ast.AST) -> Iterator[str]:
    """Uses of what only the command line may touch."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in {"print", "exit", "quit", "SystemExit"}:
            yield f"line {node.lineno}: {node.id}"
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {
            *("sys.argv", "sys.exit", "sys.stdin", "sys.stdout", "os._exit"),
        }:
            yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_rules_of_a_module(path: Path) -> None:
    tree = ast.parse((PROJECT_DIR / path).read_text(encoding="utf-8"))
    package, name, *_ = (*module_of(path).split("."), "")
    taken = {words[1] for full in imports(tree) if (words := full.split("."))[0] == "host"} - {"errors", "__version__"}
    if package == "energy":
        assert not any(full.split(".")[0] == "host" for full in imports(tree)), "energy never imports host"
    elif name not in ("cli", "__main__"):
        assert "cli" not in taken, "the command line is on top"
        assert taken - {name} <= MAY_IMPORT.get(name, taken)
    if name != "cli" and path.name != "__main__.py":
        assert not list(talk(tree)), "only the command line reads argv, prints and exits"


def test_importing_everything_touches_no_network_and_no_port() -> None:
    modules = [module_of(path) for path in FILES if path.name != "__main__.py"]
    script = (
        "import importlib, socket, subprocess, sys\n"
        "def forbidden(*_): raise AssertionError('at import')\n"
        "socket.socket.connect = subprocess.Popen.__init__ = forbidden\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "assert not {'requests', 'pooch', 'serial', 'PIL', 'platformio'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, cwd=PROJECT_DIR, timeout=60)


def test_the_package_holds_every_file_of_its_folders() -> None:
    patterns = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    held = {file for package, globs in patterns.items() for glob in globs for file in folder_of(package).glob(glob)}
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "host", "energy"],
        cwd=PROJECT_DIR, check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    assert {PROJECT_DIR / name for name in listed if not name.endswith(".py")} == held


def folder_of(package: str) -> Path:
    return PROJECT_DIR.joinpath(*package.split("."))


def test_outside_a_checkout_it_says_what_to_do(tmp_path: Path) -> None:
    shutil.copytree(PROJECT_DIR / "host", tmp_path / "host", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "host", "boards"]
    answer = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 1
    assert "no checkout of tinyjoule" in answer.stderr
    assert "pip install -e" in answer.stderr
