# SPDX-License-Identifier: Apache-2.0
"""Traces on disk: what an instrument sent, sample by sample, in a JLS file, so that it can be integrated again."""

from energy._trace_format import (
    Begin,
    Capture,
    CaptureKind,
    End,
    OperatorSpan,
    TraceInfo,
    free_trace_path,
    is_unclosed,
)
from energy._trace_read import TraceReader, recover, recover_folder
from energy._trace_write import TraceWriter

__all__ = [
    "Begin",
    "Capture",
    "CaptureKind",
    "End",
    "OperatorSpan",
    "TraceInfo",
    "TraceReader",
    "TraceWriter",
    "free_trace_path",
    "is_unclosed",
    "recover",
    "recover_folder",
]
