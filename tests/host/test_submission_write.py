# SPDX-License-Identifier: Apache-2.0
"""What a package holds, of sessions of a board in memory (submission_kit.py): read again by hand, not by the writer."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import statistics
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from submission_kit import (
    BOARD,
    MODES,
    SYSTEM,
    build_id,
    make_board,
    measure,
    measure_all,
    measure_in_two,
    result_of,
    work_of,
)

from host.errors import HostError, ResultInvalid, UsageError
from host.results import schema
from host.submission import code, layout, system
from host.submission.check import check
from host.submission.gather import gather
from host.submission.write import Request, Written, check_out, system_name, write_package

TASKS = ("kws01", "ad01")
WINDOWS = 3  # of a recording: the official ones have 196, which tests of the check go through
NAME = "NUCLEO-L4R5ZI"
STAMP = re.compile(r"\d{4}\.\d{6}")


@pytest.fixture(scope="module")
def folders(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A session for each mode."""
    return measure_all(tmp_path_factory.mktemp("sessions"), TASKS, windows=WINDOWS)


def package(folders: Sequence[Path], out: Path, division: layout.Division = "closed", **options: Path) -> Written:
    gathered = gather(folders, division)
    fields, _ = system.complete(SYSTEM, system.known_fields(gathered, "me", division), None)
    return write_package(gathered, fields, Request("me", division, NAME, **options), out)


@pytest.fixture(scope="module")
def made(folders: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("package") / "out"
    written = package(folders, out)
    files = [path for path in out.rglob("*") if path.is_file()]
    assert (written.folder, written.files) == (out, len(files))
    assert written.bytes == sum(path.stat().st_size for path in files)
    return out


def results(made: Path, benchmark: str, mode: str) -> Path:
    return made / "closed" / "me" / "results" / NAME / benchmark / mode


def lines_of(path: Path) -> list[tuple[str, str, str]]:
    """Stamp, source and text of every line of a log.txt, by the words of layout.py."""
    text = path.read_bytes().decode("ascii")
    assert text.endswith("\n")
    found = []
    for line in text[:-1].split("\n"):
        stamp, source, said = re.fullmatch(r"(\d{4}\.\d{6}) ([a-z-]+(?:\.\d+)?): (.*)", line).groups()  # type: ignore[union-attr]
        found.append((stamp, source, said.encode().decode("unicode_escape")))
    return found


def run_of(folders: Sequence[Path], task: str, mode: str) -> schema.Run:
    (run,) = (one for folder in folders for one in result_of(folder).runs if (one.task, one.mode) == (task, mode))
    return run


def number(lines: Sequence[str], words: str) -> list[float]:
    """The numbers behind these words."""
    return [float(re.split(r"[:=] +|is +", line)[1].split()[0]) for line in lines if line.strip().startswith(words)]


def test_the_folders_are_those_of_the_layout(made: Path) -> None:
    found = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file() and "code" not in path.parts}
    cells = [f"closed/me/results/{NAME}/{bench}/{mode}" for bench in ("kws", "ad") for mode in MODES]
    wanted = {f"{cell}/{file}" for cell in cells for file in ("log.txt", "results.txt", "results.json")}
    assert found == wanted | {f"closed/me/systems/{NAME}.json"}
    assert all(any(path.iterdir()) for path in made.rglob("*") if path.is_dir())
    assert not [path for path in made.rglob("*") if path.is_symlink() or path.name.startswith((".", "__pycache__"))]
    modes = {oct(path.stat().st_mode & 0o777) for path in made.rglob("*")}
    assert modes <= {"0o755", "0o644"}


# Of protocol.md: what MLCommons' checker looks for, the last match counts.
PATTERNS = {
    "performance": r".* Median throughput is\s+([\d\.]+) inf\./sec\..*",
    "energy": r"Median energy cost is ([\d\.]+) uJ/inf",
    "kws": r".* Top[- ]1%?\s?[:=] ([\d\.]+).*",
    "ad": r".* AUC\s?[:=] ([\d\.]+).*",
}


@pytest.mark.parametrize("benchmark", ["kws", "ad"])
@pytest.mark.parametrize("mode", MODES)
def test_the_official_checker_finds_the_figure_of_the_session(
    benchmark: str, mode: str, made: Path, folders: list[Path]
) -> None:
    run = run_of(folders, f"{benchmark}01", mode)
    for file in ("results.txt", "log.txt"):
        text = (results(made, benchmark, mode) / file).read_text()
        value = float(re.findall(PATTERNS[benchmark if mode == "accuracy" else mode], text)[-1])
        if mode == "performance":
            assert value == pytest.approx(run.throughput_inf_per_s, rel=1e-5)
        elif mode == "energy":
            assert run.energy_uj is not None
            assert run.energy_uj.gross is not None
            # Digits as U has them: the last one is worth a twentieth of it at least.
            assert abs(value - run.energy_uj.gross) <= (run.energy_uj.u or 0) / 20
        else:
            assert run.accuracy is not None
            exact = (run.accuracy.value or 0) * (100 if benchmark == "kws" else 1)
            assert exact - (0.1 if benchmark == "kws" else 0.001) < value <= exact + 1e-9


@pytest.mark.parametrize("benchmark", ["kws", "ad"])
@pytest.mark.parametrize("mode", MODES)
def test_a_log_is_the_session_and_then_the_record(benchmark: str, mode: str, made: Path) -> None:
    folder = results(made, benchmark, mode)
    lines = lines_of(folder / "log.txt")
    stamps = [stamp for stamp, _, _ in lines]
    assert stamps == sorted(stamps)
    sources = [source for _, source, _ in lines]
    assert sources[0] == "tinyjoule"
    assert set(sources[1:]) == {"host", "dut", "note", "ulp-mlperf"}
    first = sources.index("ulp-mlperf")
    assert set(sources[first:]) == {"ulp-mlperf"}
    head = json.loads(lines[0][2])
    assert (head["benchmark"], head["mode"], head["provenance"], head["rules"]) == (
        benchmark, mode, "measured", "mlperf",
    )  # fmt: skip
    said = [line for _, source, line in lines if source == "note"]
    assert said.count(f"here begins {benchmark}01, {mode}") == 1
    assert not [line for line in said if line.startswith("here begins") and f"{benchmark}01" not in line]
    # What the official checker and people read is what the log says, but for the names.
    record = [line for line in (folder / "log.txt").read_text().splitlines(True) if " ulp-mlperf: " in line]
    short = [line for line in record if not re.match(r"\S+ ulp-mlperf: (  )?Input ", line)]
    assert (folder / "results.txt").read_text() == "".join(short)


def laps(lines: Sequence[tuple[str, str, str]]) -> list[tuple[int, int]]:
    """How many inferences and microseconds each `infer` took, as the device said it."""
    found, runs, begin = [], 0, None
    for _, source, text in lines:
        if source == "dut" and text.startswith("m-infer-start-"):
            runs, begin = int(text.rpartition("-")[2]), None
        elif source == "dut" and text.startswith("m-lap-us-") and runs:
            at = int(text.rpartition("-")[2])
            if begin is None:
                begin = at
            else:
                found.append((runs, at - begin))
                runs = 0
    return found


@pytest.mark.parametrize("benchmark", ["kws", "ad"])
def test_windows_are_there_twice_as_the_device_said_them_and_in_the_record(benchmark: str, made: Path) -> None:
    lines = lines_of(results(made, benchmark, "performance") / "log.txt")
    record = [text for _, source, text in lines if source == "ulp-mlperf"]
    runs, seconds = number(record, "# Inferences"), number(record, "Runtime  ")
    assert len(runs) == len(seconds) == 5
    windows = [(int(count), round(us * 1e6)) for count, us in zip(runs, seconds, strict=True)]
    said = laps(lines)
    places = [said.index(window) for window in windows]  # they are all there
    assert len(said) > len(windows), "calibration is there too"
    assert places[0] > 0
    assert number(record, "Median throughput") == [
        pytest.approx(statistics.median(count / us for count, us in zip(runs, seconds, strict=True)), rel=1e-5)
    ]
    inputs = [json.loads(line.partition(": ")[2]) for line in record if line.startswith("  Input")]
    assert inputs == [item.name for item in work_of(f"{benchmark}01").dataset.items[:5]]


@pytest.mark.parametrize("benchmark", ["kws", "ad"])
def test_energy_can_be_computed_from_its_log(benchmark: str, made: Path, folders: list[Path]) -> None:
    lines = lines_of(results(made, benchmark, "energy") / "log.txt")
    record = [text for _, source, text in lines if source == "ulp-mlperf"]
    columns = [
        number(record, words) for words in ("# Inferences", "Energy  ", "Duration", "Device time", "Energy/Inf.")
    ]
    assert [len(column) for column in columns] == [5] * 5
    energy = run_of(folders, f"{benchmark}01", "energy").energy_uj
    assert energy is not None
    for window, (runs, uj, seconds, device_s, cost) in zip(energy.windows, zip(*columns, strict=True), strict=True):
        assert (window.inferences, round(device_s * 1e6)) == (runs, window.device_us)
        assert uj == pytest.approx(window.energy_uj, abs=1e-6)
        assert seconds == pytest.approx(window.duration_s, abs=1e-6)
        assert cost == pytest.approx(uj / runs, abs=1e-6)
        assert (int(runs), round(device_s * 1e6)) in laps(lines)
    (expanded,) = (line for line in record if line.startswith("Expanded uncertainty"))
    assert re.fullmatch(r"Expanded uncertainty is \d+(\.\d+)? uJ/inf\., k = 2\.", expanded)
    assert number(record, "Expanded uncertainty") == [pytest.approx(energy.u, rel=0.06)]


def test_every_input_of_an_accuracy_run_is_in_its_log(made: Path) -> None:
    for benchmark in ("kws", "ad"):
        record = [
            text
            for _, source, text in lines_of(results(made, benchmark, "accuracy") / "log.txt")
            if source == "ulp-mlperf"
        ]
        items = work_of(f"{benchmark}01").dataset.items
        rows = [re.fullmatch(r"Input (\d+) of (\d+): (.*)", line) for line in record]
        found = [(int(row[1]), int(row[2]), json.loads(row[3])) for row in rows if row]
        assert [(at, of) for at, of, _ in found] == [(at, len(items)) for at in range(1, len(items) + 1)]
        assert [(row["name"], row["label"]) for _, _, row in found] == [(item.name, item.label) for item in items]
        if benchmark == "kws":
            right = sum(
                row["label"] == row["outputs"].index(max(row["outputs"])) == row["predicted"] for _, _, row in found
            )
            assert record[-2] == f"Top 1% = {right / 10:.1f}" == "Top 1% = 90.1"
        else:
            assert {len(row["outputs"]) for _, _, row in found} == {WINDOWS}
            assert all(row["score"] == pytest.approx(statistics.mean(row["outputs"]), rel=1e-12) for _, _, row in found)
            # The area under the curve by counting pairs.
            good, bad = ([row["score"] for _, _, row in found if row["label"] == label] for label in (0, 1))
            area = statistics.mean((one > other) + (one == other) / 2 for one in bad for other in good)
            assert record[-1] == f"AUC = {int(area * 1000) / 1000:.3f}"
            assert not [line for line in record if "Top 1%" in line]


def test_the_record_names_where_everything_is_from(made: Path, folders: list[Path]) -> None:
    for mode, folder in zip(MODES, folders, strict=True):
        place = results(made, "kws", mode)
        found = layout.decode((place / "results.json").read_bytes())
        assert (found.provenance, found.run.mode, found.run.valid, found.run.profile) == ("measured", mode, True, None)
        for file, digest in (
            (place / "log.txt", found.log_sha256),
            (place / "results.txt", found.results_sha256),
            (folder / "result.json", found.result_sha256),
            (folder / "journal.jsonl", found.journal_sha256),
            (folder / "log.jsonl", found.transcript_sha256),
            (made / (found.model_file or ""), found.run.model.sha256),
        ):
            assert hashlib.sha256(file.read_bytes()).hexdigest() == digest


def test_the_code_is_what_the_firmware_is_made_of_and_no_other_board(made: Path) -> None:
    top = made / "closed" / "me" / "code"
    assert {path.name for path in top.iterdir()} == {"kws", "ad"}
    top = top / "kws" / NAME
    assert {path.name for path in (top / "firmware" / "boards").iterdir()} == {BOARD, "board.h"}
    assert (top / "firmware" / "main.c").is_file()
    assert (top / "host" / "build.py").is_file()
    assert build_id() in (top / "README.md").read_text()
    assert not (top / "results").exists()


def test_the_system_says_what_the_session_knows(made: Path) -> None:
    found = json.loads((made / "closed" / "me" / "systems" / f"{NAME}.json").read_text())
    assert list(found) == list(layout.SYSTEM_FIELDS)
    wanted = {
        "Submitter": "me", "Division": "Closed", "Status": "Available", "Board Name": NAME,
        "Processor(s) Name": "Cortex-M4F", "Processor(s) Frequencies": "120 MHz", "Operating System ": "bare metal",
        "Inference Framework": "tinyjoule tflite_c 0.1.0", "SoC storage capacity": "2048 KB",
    }  # fmt: skip
    assert {name: found[name] for name in wanted} == wanted


def test_a_package_is_whole_or_not_there(folders: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folders[0], broken)
    log = broken / "log.jsonl"
    log.write_text(log.read_text() + "{\n")
    with pytest.raises(ResultInvalid, match=r"log\.jsonl, line \d+: damaged"):
        package([broken, *folders[1:]], tmp_path / "out")

    def object_to(folder: Path) -> None:
        assert (folder / "closed").is_dir()
        raise ResultInvalid("no")

    gathered = gather(folders, "closed")
    with pytest.raises(ResultInvalid, match="no"):
        write_package(gathered, {}, Request("me", "closed", NAME), tmp_path / "out", object_to)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken"]


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    check_out(full)
    check_out(tmp_path / "new" / "deep")
    (full / "mine").touch()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    for out in (full, full / "mine", link):
        with pytest.raises(UsageError, match="is there already"):
            check_out(out)


def test_an_empty_folder_becomes_the_package(folders: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    package(folders, out)
    assert (out / "closed").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "-o", ".git", "a b", "a\n", "ü", "x" * 65, "\x1b[31m"])
def test_a_name_is_that_of_a_folder(name: str) -> None:
    with pytest.raises(UsageError, match="names folders"):
        system_name({"Board Name": "b"}, name)
    slug = system_name({"Board Name": f"{name} Board/1"}, None)
    assert layout.NAME.fullmatch(slug)


@pytest.fixture(scope="module")
def stock(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Sessions of a board with somebody else's firmware."""
    out, board = tmp_path_factory.mktemp("stock"), make_board(("kws01",), hides=True)
    return [measure(board, out / mode, mode, ("kws01",)) for mode in ("performance", "accuracy")]


def test_stock_firmware_comes_with_its_sources(stock: list[Path], tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    for name in ("main.c", "README.md", ".git/config", "__pycache__/x.pyc", "src/a.c", "empty/.keep"):
        path = sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    fields = {**SYSTEM, "Processor(s) Name": "M4", "Processor(s) Frequencies": "1 MHz", "Inference Framework": "tflm"}
    fields |= {layout.OPERATING_SYSTEM: "none", "General Compiler(s)": "gcc"}
    gathered = gather(stock, "closed")
    full, _ = system.complete(fields, system.known_fields(gathered, "me", "closed"), None)
    write_package(gathered, full, Request("me", "closed", NAME, sources), tmp_path / "out")
    top = tmp_path / "out" / "closed" / "me" / "code" / "kws" / NAME
    kept = {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}
    assert kept - {layout.SUMS_FILE} == {"main.c", "README.md", "src/a.c"}
    record = layout.decode((results(tmp_path / "out", "kws", "accuracy") / "results.json").read_bytes())
    assert (record.model_file, record.run.model.sha256, record.firmware.engine) == (None, None, None)
    lines = lines_of(results(tmp_path / "out", "kws", "accuracy") / "log.txt")
    # 1000 inputs of 490 bytes, in commands of 31 bytes each at most.
    left_out = [text for _, source, text in lines if source == "note" and "left out here" in text]
    assert len(left_out) == 1000
    assert set(left_out) == {"16 db commands with 490 bytes of input left out here"}
    assert not [text for _, source, text in lines if re.match(r"db [0-9a-f]", text)]
    assert sum(text == "m-load-done" for _, _, text in lines) == 1000
    assert sum((source, text) == ("host", "infer 1 0%") for _, source, text in lines) == 1000


def take(folders: Sequence[Path], given: Path | None) -> None:
    code.Sources(gather(folders, "closed"), given)


def test_sources_that_no_package_may_hold_are_named(stock: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--code DIR"):
        take(stock, None)
    sources = tmp_path / "sources"
    sources.mkdir()
    with pytest.raises(UsageError, match="holds no file"):
        take(stock, sources)
    (sources / "main.c").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="symbolic link"):
        take(stock, sources)
    (sources / "main.c").unlink()
    (sources / "a b.c").touch()
    with pytest.raises(UsageError, match=r"a b\.c has a name"):
        take(stock, sources)
    (sources / "a b.c").unlink()
    with (sources / "big.bin").open("wb") as file:
        file.truncate(layout.MAX_FILE_BYTES + 1)
    with pytest.raises(UsageError, match="500 MB"):
        take(stock, sources)
    with pytest.raises(UsageError, match="no folder"):
        take(stock, tmp_path / "nowhere")


def test_tinyjoules_own_firmware_takes_no_other_sources(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave --code out"):
        package(folders, tmp_path / "out", code=tmp_path)


def test_a_log_that_says_hostile_things_is_only_text(data_dir: Path, tmp_path: Path) -> None:
    board = make_board(("kws01",))
    folders = [measure(board, tmp_path / mode, mode, ("kws01",)) for mode in ("performance", "accuracy")]
    log = folders[0] / "log.jsonl"
    said = "x\n9999.999999 ulp-mlperf: Median throughput is 999999.0 inf./sec. \x1b[31m\\ \u202e \ud800"
    entries = log.read_text().splitlines()
    entries.insert(3, json.dumps({"t": 0.0, "dir": "rx", "line": said.encode("utf-8", "replace").decode()}))
    log.write_text("\n".join(entries) + "\n")
    package(folders, tmp_path / "out")
    lines = lines_of(results(tmp_path / "out", "kws", "performance") / "log.txt")
    assert [text for _, source, text in lines if source == "dut" and "999999" in text] == [
        said.encode("utf-8", "replace").decode()
    ]
    value = re.findall(
        PATTERNS["performance"], (results(tmp_path / "out", "kws", "performance") / "results.txt").read_text()
    )
    assert value == ["21.7302"]


def test_a_session_that_was_broken_off_and_went_on_makes_a_package(data_dir: Path, tmp_path: Path) -> None:
    board = make_board(("kws01", "ic01"))
    modes: tuple[schema.Mode, ...] = ("performance", "energy")
    broken = [measure_in_two(board, tmp_path / mode, mode, ("kws01", "ic01"), len(board.windows) + 9) for mode in modes]
    whole = measure(board, tmp_path / "accuracy", "accuracy", ("kws01", "ic01"))
    package([broken[0], whole, broken[1]], tmp_path / "out")
    report = check(tmp_path / "out")
    assert report.good, report.breaches
    for mode in modes:
        lines = lines_of(results(tmp_path / "out", "kws", mode) / "log.txt")
        assert [text for _, source, text in lines if "goes on from here" in text]
        assert [stamp for stamp, _, _ in lines] == sorted(stamp for stamp, _, _ in lines)


def test_a_session_that_went_on_has_the_times_of_both_hosts(
    data_dir: Path, folders: list[Path], tmp_path: Path
) -> None:
    """Its seconds begin anew; the second host's first task began when the journal says."""
    folder = tmp_path / "resumed"
    shutil.copytree(folders[0], folder)
    entries = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    begins = [at for at, entry in enumerate(entries) if entry["line"].startswith("here begins")]
    first, second = entries[: begins[1]], entries[begins[1] :]
    opening = [{"t": 0.0, "dir": "note", "line": "another host goes on from here; seconds count from its start"}]
    shift = second[0]["t"] - 2.5
    second = [{**entry, "t": entry["t"] - shift} for entry in second]
    (folder / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in first + opening + second))
    header, rows = read_journal(folder)
    at = [row["kind"] for row in rows].index("window") + 5
    created = header["base"]["created"]
    later = f"{created[:11]}23:59:58+00:00"
    rows.insert(at, {"kind": "resumed", "at": later})
    write_journal(folder, header, rows)
    package([folder, *folders[1:]], tmp_path / "out")
    one, two = (lines_of(results(tmp_path / "out", name, "performance") / "log.txt") for name in ("kws", "ad"))
    assert {stamp[:-4] for stamp, _, _ in one} == {f"{created[5:7]}{created[8:10]}.{created[11:13]}"}
    assert [stamp for stamp, _, text in two if text == "here begins ad01, performance"] == [
        f"{created[5:7]}{created[8:10]}.235958"
    ]
    assert two == sorted(two, key=lambda line: line[0])


def read_journal(folder: Path) -> tuple[dict[str, object], list[dict[str, object]]]:
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    for line in lines:
        del line["check"]
    return lines[0], lines[1:]


def write_journal(folder: Path, header: dict[str, object], rows: Sequence[dict[str, object]]) -> None:
    """With checks that are right again."""
    text, check = b"", 0
    for row in (header, *rows):
        body = msgspec.json.encode(row)
        check = zlib.crc32(body, check)
        text += body[:-1] + b',"check":"%08x"}\n' % check
    (folder / "journal.jsonl").write_bytes(text)


def test_a_folder_that_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="name a result folder"):
        gather([tmp_path], "closed")
