# SPDX-License-Identifier: Apache-2.0
"""Small changes to a model out of a package, written down byte by byte in model.toml beside the hash they lead to.

They are for what a .tflite file says about itself (where its graph starts and ends, what its numbers mean), so that a
model trained for another order of classes or another scale of inputs fits the task. They train nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from host.catalog.spec import EditSpec
from host.errors import SetupError


def edited(data: bytes, edits: Sequence[EditSpec]) -> bytes:
    """`data` with every edit made, in order. Raises SetupError for one that reaches beyond the end."""
    changed = bytearray(data)
    for edit in edits:
        size = edit.swap_bytes if edit.put is None else len(edit.put) // 2
        other = edit.at if edit.swap_with is None else edit.swap_with
        if max(edit.at, other) + size > len(changed):
            raise SetupError(f"an edit at byte {edit.at} reaches beyond the end of the file, which has {len(data)}")
        new = bytes(changed[edit.at : edit.at + size]) if edit.put is None else bytes.fromhex(edit.put)
        changed[edit.at : edit.at + size] = changed[other : other + size]
        changed[other : other + size] = new
    return bytes(changed)
