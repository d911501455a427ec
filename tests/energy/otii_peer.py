# SPDX-License-Identifier: Apache-2.0
"""A small Otii server: JSON in lines ended by CR LF on TCP, with one device whose recording is made of given arrays.

It speaks to the vendor's own client package. What it knows of the protocol is what that package sends and expects.
"""

from __future__ import annotations

import json
import socketserver
import threading
from typing import Any, Self

import numpy as np


class Peer(socketserver.ThreadingTCPServer):
    """The server; `current`, `voltage` and `changes` are what every recording holds."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, kind: str = "Arc") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kind = kind
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.current = np.empty(0)
        self.voltage = np.empty(0)
        self.changes: list[tuple[float, bool]] = []
        self.rates = {"mc": 4000.0, "mv": 1000.0}
        self.says_rate: float | None = None
        self.skip_s = 0.0
        self.devices = ["Arc0001"]
        self.state: dict[str, Any] = {"main": False, "voltage": 0.0, "range": "low", "recording": False}
        self.commands: list[str] = []
        self.mute = False
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def answer(self, command: str, data: dict[str, Any]) -> dict[str, Any] | None:
        """What a request is answered with; None is an error."""
        simple = {
            "otii_is_logged_in": {"logged_in": True},
            "otii_get_licenses": {
                "licenses": [{"id": 1, "type": "Automation", "available": True, "reserved_to": "", "hostname": ""}]
            },
            "otii_get_devices": {"devices": [{"device_id": x, "name": x, "type": self.kind} for x in self.devices]},
            "otii_get_active_project": {"project_id": 1},
            "arc_get_version": {"hw_version": "1", "fw_version": "2.0.4"},
            "arc_get_main_voltage": {"value": self.state["voltage"]},
            "arc_get_range": {"range": self.state["range"]},
            "project_get_last_recording": {"recording_id": 3, "name": "r"},
        }
        if command in simple:
            return simple[command]
        if command == "recording_get_channel_data_count":
            return {"count": len(self._channel(data["channel"]))}
        if command == "recording_get_channel_data":
            return self._data(data["channel"], data["index"], data["count"])
        if command == "arc_get_channel_samplerate":
            return {"value": self.says_rate or self.rates[data["channel"]]}
        return self._act(command, data)

    def _act(self, command: str, data: dict[str, Any]) -> dict[str, Any] | None:
        if command == "arc_set_main_voltage":
            self.state["voltage"] = data["value"]
        elif command == "arc_set_range":
            self.state["range"] = data["range"]
        elif command == "arc_set_main":
            self.state["main"] = data["enable"]
        elif command == "arc_set_channel_samplerate":
            self.rates[data["channel"]] = float(data["value"])
        elif command in ("project_start_recording", "project_stop_recording"):
            self.state["recording"] = command == "project_start_recording"
        elif command not in (
            *("arc_add_to_project", "arc_enable_channel", "recording_delete"),
            *("otii_reserve_license", "otii_return_license"),
        ):
            return None
        return {}

    def _channel(self, channel: str) -> Any:
        return {"mc": self.current, "mv": self.voltage, "i1": self.changes}[channel]

    def _data(self, channel: str, index: int, count: int) -> dict[str, Any]:
        part = self._channel(channel)[index : index + count]
        if channel == "i1":
            return {"data_type": "digital", "values": [{"timestamp": at, "value": level} for at, level in part]}
        rate = self.rates[channel]
        skip_s = self.skip_s if index else 0.0
        return {"timestamp": index / rate + skip_s, "interval": 1 / rate, "values": [float(x) for x in part]}


class _Handler(socketserver.StreamRequestHandler):
    server: Peer

    def handle(self) -> None:
        self._send({"type": "information", "info": "connected", "data": {"protocol_version": "0.1"}})
        for line in self.rfile:
            request = json.loads(line)
            self.server.commands.append(request["cmd"])
            if self.server.mute:
                continue
            answer = self.server.answer(request["cmd"], request.get("data", {}))
            head = {"cmd": request["cmd"], "trans_id": request["trans_id"]}
            if answer is None:
                self._send({**head, "type": "error", "errorcode": "Invalid command"})
            else:
                self._send({**head, "type": "response", "data": answer})

    def _send(self, message: dict[str, Any]) -> None:
        self.wfile.write(json.dumps(message).encode() + b"\r\n")
