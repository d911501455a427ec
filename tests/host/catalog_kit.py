"""A made-up catalogue, its wheel, and loopback servers for the catalogue tests: real files, real pip, real HTTP."""

import contextlib
import hashlib
import io
import json
import socket
import threading
import zipfile
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image

from host.catalog import Catalog
from host.catalog.fetch import Hosts

TASK = "toy01"
MODEL = b"TFL3 a model"
INPUTS = {f"in_{index}_{index % 2}.bin": bytes([index] * 12) for index in range(20)}
LABELS = "".join(f"{name},2,{index % 2}\n" for index, name in enumerate(INPUTS)).encode()
PNGS: dict[str, bytes] = {}
for _name, _data in INPUTS.items():
    _file = io.BytesIO()
    Image.frombytes("RGB", (2, 2), _data).save(_file, "PNG")
    PNGS[_name.replace(".bin", ".png")] = _file.getvalue()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def toml(table: dict, prefix: str = "") -> str:
    """Nested tables only below the plain values, as TOML wants them."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += [f"[{prefix}{key}]", toml(value, f"{prefix}{key}.")]
    return "\n".join(lines)


def write_model(root: Path, *variants: dict, **changes: object) -> Path:
    top = {"task": TASK, "title": "Toy", "wire_input": "uint8", "input_shape": [12], "input_bytes": 12, "outputs": 2}
    default = {
        "name": "toy.tflite",
        "source": "official toys",
        "official": True,
        "licence": "MIT",
        "sha256": sha(MODEL),
    }
    text = toml(top | changes)
    for variant in variants or ({},):
        text += "\n[[variant]]\n" + toml(default | variant, "variant.")
    path = root / "models" / TASK / "model.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def write_dataset(root: Path, *, label_list: bytes = LABELS, registry: str | None = None, **variant: object) -> Path:
    top = {"task": TASK, "metric": "top1", "target": 0.5, "wire_bytes": 12, "class_names": ["even", "odd"]}
    default: dict[str, object] = {
        "name": "toys",
        "source": "official toys",
        "official": True,
        "licence": "MIT",
        "count": len(INPUTS),
        "sha256": sha(b"".join(INPUTS.values())),
        "registry": "registry.txt",
        "labels": {"file": "y_labels.csv"},
    }
    path = root / "datasets" / TASK / "dataset.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(toml(top) + "\n[[variant]]\n" + toml(default | variant, "variant."))
    (path.parent / "y_labels.csv").write_bytes(label_list)
    known = {name: sha(data) for name, data in (INPUTS | PNGS).items()}
    default_registry = "# made up\n" + "".join(f"{name} {digest}\n" for name, digest in known.items())
    (path.parent / "registry.txt").write_text(default_registry if registry is None else registry)
    return path


def put(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def catalog(tmp: Path, *, data: tuple[Path, ...] = (), timeout_s: float = 5.0, **more: object) -> Catalog:
    return Catalog(tmp / "project", data=data, cache=tmp / "cache", hosts=Hosts(), timeout_s=timeout_s, **more)


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def make_wheel(folder: Path, files: dict[str, bytes]) -> dict[str, object]:
    """A wheel that pip finds in `folder`; returns the catalogue's table for it, without `member`."""
    info = "tinyjoule_toy-1.0.dist-info"
    wheel = zipped(
        files
        | {
            f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tinyjoule-toy\nVersion: 1.0\n",
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": b"",
        }
    )
    put(folder, {"tinyjoule_toy-1.0-py3-none-any.whl": wheel})
    return {"name": "tinyjoule-toy", "version": "1.0", "wheel_sha256": sha(wheel)}


class Server:
    """HTTP on a loopback port: `files` by path, everything else is 404. `asked` counts GETs by path.

    A GET of a path in `stuck` is read and never answered.
    """

    def __init__(self, files: dict[str, bytes], stuck: tuple[str, ...] = ()) -> None:
        self.files = files
        self._leaving = threading.Event()
        self.asked: Counter[str] = Counter()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self, *, body: bool) -> None:
                data = server.files.get(self.path)
                self.send_response(404 if data is None else 200)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                if body:
                    self.wfile.write(data or b"")

            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                server.asked[self.path] += 1
                if self.path in stuck:
                    server._leaving.wait()
                    self.close_connection = True
                    return
                self._answer(body=True)

            def log_message(self, *_args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._leaving.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class SilentServer:
    """Accepts every connection, counts it, and never says a word."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)

    def __enter__(self) -> "SilentServer":
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self.connections:
            connection.close()


class Answer:
    """What a MoodyServer does with one GET: `data` by ranges or not, with or without its length, or only a part of it.

    cut: bytes of the body after which the connection is closed; said: the length that is announced instead of the right
    one; status: answered with an empty body.
    """

    def __init__(
        self,
        data: bytes,
        *,
        etag: str | None = None,
        modified: str | None = None,
        ranges: bool = True,
        cut: int | None = None,
        said: int | None = None,
        chunked: bool = False,
        status: int | None = None,
        span: str | None = None,
    ) -> None:
        self.data, self.etag, self.modified, self.ranges, self.cut = data, etag, modified, ranges, cut
        self.said, self.chunked, self.status, self.span = said, chunked, status, span

    def give(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        condition = handler.headers.get("If-Range")
        start = 0
        if wanted and self.ranges and condition in (None, self.etag, self.modified):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        body = self.data[start:]
        status = self.status or (200 if not start else 206 if body else 416)
        if status not in (200, 206):
            body = b""
        handler.send_response(status)
        if status in (206, 416):
            span = f"{start}-{len(self.data) - 1}" if body else "*"
            handler.send_header("Content-Range", self.span or f"bytes {span}/{len(self.data)}")
        for name, value in (("ETag", self.etag), ("Last-Modified", self.modified)):
            if value is not None:
                handler.send_header(name, value)
        if self.chunked:
            handler.send_header("Transfer-Encoding", "chunked")
        else:
            handler.send_header("Content-Length", str(self.said or len(body)))
        handler.end_headers()
        handler.close_connection = True
        sent = body[: self.cut]
        with contextlib.suppress(ConnectionError):  # who has heard enough hangs up
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(sent), sent) if self.chunked else sent)
            if self.chunked and self.cut is None:
                handler.wfile.write(b"0\r\n\r\n")


class MoodyServer:
    """HTTP on a loopback port whose GETs are answered by `answers` in turn, the last one again and again.

    `asked` holds the Range of every GET, None for a whole one.
    """

    def __init__(self, *answers: Answer) -> None:
        self.asked: list[str | None] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                answer = answers[min(len(server.asked), len(answers) - 1)]
                server.asked.append(self.headers.get("Range"))
                answer.give(self)

            def log_message(self, *_args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/big.bin"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> "MoodyServer":
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
