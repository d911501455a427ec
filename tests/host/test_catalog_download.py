"""Large downloads against servers that break off, lie, change their mind or know no ranges; and a disk that is full."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from hashlib import sha1
from pathlib import Path
from random import Random

import pytest
from catalog_kit import Answer, MoodyServer, sha

from host.catalog import download
from host.catalog.download import Expected, fetch_file
from host.catalog.fetch import Hosts
from host.catalog.files import CHUNK_BYTES, Unavailable
from host.errors import HashMismatch, SetupError

DATA = Random(1).randbytes(3_000_001)
OTHER = Random(2).randbytes(3_000_001)
RIGHT = Expected(sha256=sha(DATA))


@pytest.fixture(autouse=True)
def _direct(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "RETRY_PAUSE_S", 0.0)


class Fetched:
    def __init__(self, folder: Path) -> None:
        self.target = folder / "0123-big.bin"
        self.steps: list[tuple[str, int, int]] = []
        self.notes: list[str] = []

    def __call__(self, server: MoodyServer, expected: Expected = RIGHT, timeout_s: float = 5.0) -> str:
        return fetch_file(
            server.url,
            self.target,
            expected,
            hosts=Hosts(),
            timeout_s=timeout_s,
            progress=lambda *step: self.steps.append(step),
            note=self.notes.append,
        )

    def left(self) -> list[str]:
        return sorted(os.listdir(self.target.parent))


@pytest.fixture
def fetched(tmp_path):
    return Fetched(tmp_path)


def test_a_file_comes_whole_with_progress_and_nothing_else_stays(fetched):
    with MoodyServer(Answer(DATA, etag='"one"')) as server:
        assert fetched(server) == sha(DATA)
    assert fetched.target.read_bytes() == DATA
    assert fetched.left() == ["0123-big.bin"]
    assert {what for what, _, _ in fetched.steps} == {"downloading big.bin, kB"}
    done = [step[1] for step in fetched.steps]
    assert done == sorted(done)
    assert fetched.steps[-1][1:] == (3001, 3001)
    assert fetched.notes == []


@pytest.mark.parametrize("name", [{"etag": '"one"'}, {"modified": "Wed, 21 Oct 2026 07:28:00 GMT"}, {}])
def test_a_connection_that_breaks_goes_on_where_it_broke(fetched, name):
    first, second = Answer(DATA, cut=1_000_000, **name), Answer(DATA, cut=1_500_000, **name)
    with MoodyServer(first, second, Answer(DATA, **name)) as server:
        assert fetched(server) == sha(DATA)
    assert server.asked == [None, "bytes=1000000-", "bytes=2500000-"]
    assert fetched.target.read_bytes() == DATA
    assert len(fetched.notes) == 2
    assert "1.0 MB of 3.0 MB kept" in fetched.notes[0]


def test_without_hash_and_version_the_rest_would_be_anybodys_so_it_starts_over(fetched):
    with MoodyServer(Answer(DATA, cut=1_000_000), Answer(DATA)) as server:
        assert fetched(server, Expected()) == sha(DATA)
    assert server.asked == [None, None]


def test_what_a_failed_command_has_got_is_there_for_the_next(fetched):
    with MoodyServer(Answer(DATA, etag='"one"', cut=2_000_000), Answer(b"", status=503)) as server:
        with pytest.raises(Unavailable, match=r"answers 503 .*2\.0 MB of 3\.0 MB kept; the same command goes on"):
            fetched(server)
        assert len(server.asked) == 1 + download.MAX_FRUITLESS_TRIES
        url = server.url
    assert fetched.left() == ["0123-big.bin.part", "0123-big.bin.part.json"]
    about = fetched.target.with_name("0123-big.bin.part.json")
    with MoodyServer(Answer(DATA, etag='"one"')) as server:
        about.write_text(about.read_text().replace(url, server.url))  # another port in this test, the same in life
        assert fetched(server) == sha(DATA)
    assert server.asked == ["bytes=2000000-"]
    assert fetched.left() == ["0123-big.bin"]


def test_a_part_of_another_address_is_not_built_upon(fetched):
    fetched.target.with_name("0123-big.bin.part").write_bytes(OTHER[:500])
    with MoodyServer(Answer(DATA)) as server:
        assert fetched(server) == sha(DATA)
    assert server.asked == [None]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": 1, "total": "x", "validator": null}'])
def test_a_damaged_note_of_a_part_starts_over(fetched, text):
    fetched.target.with_name("0123-big.bin.part").write_bytes(DATA[:500])
    fetched.target.with_name("0123-big.bin.part.json").write_text(text)
    with MoodyServer(Answer(DATA)) as server:
        assert fetched(server) == sha(DATA)
    assert server.asked == [None]


def test_a_server_without_ranges_starts_over(fetched):
    with MoodyServer(Answer(DATA, ranges=False, cut=1_000_000), Answer(DATA, ranges=False)) as server:
        assert fetched(server) == sha(DATA)
    assert server.asked == [None, "bytes=1000000-"]
    assert fetched.target.read_bytes() == DATA


def test_a_file_that_changes_between_two_tries_is_taken_whole(fetched):
    with MoodyServer(Answer(OTHER, etag='"old"', cut=1_000_000), Answer(DATA, etag='"new"')) as server:
        assert fetched(server) == sha(DATA)
    assert fetched.target.read_bytes() == DATA


@pytest.mark.parametrize("known", [RIGHT, Expected()])
def test_a_changed_file_that_ignores_the_condition_is_noticed_by_its_name(fetched, known):
    class Careless(Answer):
        def give(self, handler):
            del handler.headers["If-Range"]
            super().give(handler)

    with MoodyServer(Answer(OTHER, etag='"old"', cut=1_000_000), Careless(DATA, etag='"new"')) as server:
        assert fetched(server, known) == sha(DATA)
    assert server.asked == [None, "bytes=1000000-", None]


def test_halves_of_two_files_are_downloaded_again_as_one(fetched):
    with MoodyServer(Answer(OTHER, cut=1_000_000), Answer(DATA)) as server:
        assert fetched(server) == sha(DATA)
    assert server.asked == [None, "bytes=1000000-", None]
    assert "do not make the right file" in fetched.notes[-1]


@pytest.mark.parametrize("span", ["bytes 0-9/3000001", "bytes 1000000-3000000/7", "nonsense"])
def test_another_part_than_was_asked_for_starts_over(fetched, span):
    answers = Answer(DATA, cut=1_000_000), Answer(DATA, span=span), Answer(DATA)
    with MoodyServer(*answers) as server:
        assert fetched(server) == sha(DATA)
    assert server.asked == [None, "bytes=1000000-", None]
    assert fetched.target.read_bytes() == DATA


def test_a_whole_part_that_was_never_given_its_name_needs_no_byte_more(fetched):
    fetched.target.with_name("0123-big.bin.part").write_bytes(DATA)
    with MoodyServer(Answer(DATA, etag='"one"')) as server:
        about = {"url": server.url, "total": len(DATA), "validator": '"one"'}
        fetched.target.with_name("0123-big.bin.part.json").write_text(json.dumps(about))
        assert fetched(server, Expected()) == sha(DATA)
    assert server.asked == ["bytes=3000001-"]
    assert fetched.left() == ["0123-big.bin"]


def test_a_server_that_makes_it_begin_again_and_again_is_given_up(fetched):
    class Fickle(Answer):
        def give(self, handler):
            self.etag = f'"{len(server.asked)}"'
            super().give(handler)

    with MoodyServer(Fickle(DATA, cut=1_000_000)) as server, pytest.raises(Unavailable, match="broke off"):
        fetched(server)
    assert len(server.asked) <= 2 * download.MAX_FRUITLESS_TRIES


def test_a_wrong_file_is_refused_and_nothing_of_it_stays(fetched):
    with MoodyServer(Answer(OTHER)) as server, pytest.raises(HashMismatch) as error:
        fetched(server)
    for part in (server.url, sha(DATA), sha(OTHER), "big.bin"):
        assert part in str(error.value)
    assert fetched.left() == []


def test_a_published_sha1_is_enough(fetched):
    digest = sha1(DATA, usedforsecurity=False).hexdigest()
    with MoodyServer(Answer(DATA, cut=10), Answer(DATA)) as server:
        assert fetched(server, Expected(sha1=digest)) == sha(DATA)
    with MoodyServer(Answer(OTHER)) as server, pytest.raises(HashMismatch, match=f"expected sha1 {digest}"):
        fetched(server, Expected(sha1=digest))


def test_a_length_that_is_not_the_catalogues_is_refused_before_the_first_byte(fetched):
    with MoodyServer(Answer(DATA)) as server, pytest.raises(HashMismatch, match=r"3,000,001 bytes long, not 5:"):
        fetched(server, Expected(size_bytes=5))
    assert fetched.left() == []


def test_more_bytes_than_expected_are_refused_where_no_length_was_announced(fetched):
    with (
        MoodyServer(Answer(DATA, chunked=True)) as server,
        pytest.raises(HashMismatch, match="more than the 1,000,000"),
    ):
        fetched(server, Expected(size_bytes=1_000_000))
    assert fetched.left() == []


def test_no_length_at_all_is_fine(fetched):
    with MoodyServer(Answer(DATA, chunked=True)) as server:
        assert fetched(server) == sha(DATA)


def test_a_broken_answer_without_length_is_not_taken_for_the_end(fetched):
    with MoodyServer(Answer(DATA, chunked=True, cut=1_000_000), Answer(DATA)) as server:
        assert fetched(server, Expected()) == sha(DATA)


def test_a_server_that_announces_too_much_and_never_sends_it_is_given_up(fetched):
    with (
        MoodyServer(Answer(DATA, ranges=False, said=4_000_000)) as server,
        pytest.raises(Unavailable, match="broke off"),
    ):
        fetched(server)
    assert len(server.asked) <= 2 + download.MAX_FRUITLESS_TRIES


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_is_not_there_is_said_at_once(fetched, status):
    with MoodyServer(Answer(b"", status=status)) as server, pytest.raises(Unavailable, match=f"answers {status}"):
        fetched(server)
    assert len(server.asked) == 1


def test_a_disk_without_the_room_says_so_before_the_first_byte(fetched, monkeypatch):
    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _path: usage)
    with MoodyServer(Answer(DATA)) as server, pytest.raises(SetupError, match=r"3\.0 MB more.*1\.0 MB are free"):
        fetched(server)


def test_a_disk_that_fills_up_says_so_and_keeps_what_it_took(fetched):
    """The real thing: a limit on the size of a file in a process of its own, which fails the write in the middle."""
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from host.catalog.download import Expected, fetch_file\n"
        "from host.catalog.fetch import Hosts\n"
        "from host.errors import SetupError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        "try:\n"
        "    fetch_file(sys.argv[1], Path(sys.argv[2]), Expected(), hosts=Hosts(), timeout_s=5.0,\n"
        "               progress=lambda *_: None, note=lambda _: None)\n"
        "except SetupError as error:\n"
        "    print(error)\n"
    )
    with MoodyServer(Answer(DATA, etag='"one"')) as server:
        command = [sys.executable, "-c", script, server.url, str(fetched.target)]
        said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
        assert f"cannot be written: {os.strerror(errno.EFBIG)}" in said
        assert "What has come so far is kept" in said
        assert fetched.target.with_name("0123-big.bin.part").stat().st_size == 1_000_000
        assert fetched(server) == sha(DATA)
    assert server.asked == [None, "bytes=1000000-"]


def test_kill_9_in_the_middle_loses_nothing_that_had_come(fetched):
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from host.catalog.download import Expected, fetch_file\n"
        "from host.catalog.fetch import Hosts\n"
        "def die(what, done, total):\n"
        "    if done > 1000: os.kill(os.getpid(), signal.SIGKILL)\n"
        "fetch_file(sys.argv[1], Path(sys.argv[2]), Expected(), hosts=Hosts(), timeout_s=5.0,\n"
        "           progress=die, note=print)\n"
    )
    with MoodyServer(Answer(DATA, etag='"one"')) as server:
        command = [sys.executable, "-c", script, server.url, str(fetched.target)]
        assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
        had = fetched.target.with_name("0123-big.bin.part").stat().st_size
        assert had > 1_000_000
        assert fetched(server) == sha(DATA)
    assert server.asked == [None, f"bytes={had}-"]


def test_a_line_that_falls_silent_in_the_middle_is_asked_again(fetched):
    over = threading.Event()

    class Silent(Answer):
        def give(self, handler):
            super().give(handler)
            handler.wfile.flush()
            over.wait(60)

    try:
        with MoodyServer(Silent(DATA, etag='"one"', cut=1_000_000), Answer(DATA, etag='"one"')) as server:
            assert fetched(server, timeout_s=0.2) == sha(DATA)
            over.set()
    finally:
        over.set()
    _, again = server.asked
    assert again is not None
    assert 0 <= 1_000_000 - int(again[6:-1]) < CHUNK_BYTES


def test_two_at_once_do_not_write_the_same_file(fetched):
    with open(fetched.target.with_name("0123-big.bin.part"), "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with MoodyServer(Answer(DATA)) as server, pytest.raises(SetupError, match="another process is downloading"):
            fetched(server)


def test_memory_stays_small_however_large_the_file(fetched):
    class Endless(Answer):
        def give(self, handler):
            handler.send_response(200)
            handler.send_header("Content-Length", str(200 << 20))
            handler.end_headers()
            for _ in range(200):
                handler.wfile.write(bytes(1 << 20))
            handler.close_connection = True

    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from host.catalog.download import Expected, fetch_file\n"
        "from host.catalog.fetch import Hosts\n"
        "import requests, urllib3\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "fetch_file(sys.argv[1], Path(sys.argv[2]), Expected(), hosts=Hosts(), timeout_s=5.0,\n"
        "           progress=lambda *_: None, note=print)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    with MoodyServer(Endless(b"")) as server:
        command = [sys.executable, "-c", script, server.url, str(fetched.target)]
        grown_kib = int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout)
    assert fetched.target.stat().st_size == 200 << 20
    assert grown_kib < 50 << 10
