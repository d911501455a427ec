"""What a .tflite file says, as plain values, and the flatbuffer made of them.

The field names of options are those of the TensorFlow Lite schema, version 3 (package `tflite`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import flatbuffers
import numpy as np
import tflite

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

_TYPES: dict[np.dtype[Any], int] = {
    np.dtype(np.int8): tflite.TensorType.INT8,
    np.dtype(np.uint8): tflite.TensorType.UINT8,
    np.dtype(np.int16): tflite.TensorType.INT16,
    np.dtype(np.int32): tflite.TensorType.INT32,
    np.dtype(np.float32): tflite.TensorType.FLOAT32,
}

# Which options table an operator has; LOGISTIC, RELU and RELU6 have none.
_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "SOFTMAX": "SoftmaxOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "RESHAPE": "ReshapeOptions",
    "PAD": "PadOptions",
    "PADV2": "PadV2Options",
    "MEAN": "ReducerOptions",
    "CONCATENATION": "ConcatenationOptions",
    "QUANTIZE": "QuantizeOptions",
    "DEQUANTIZE": "DequantizeOptions",
    "SHAPE": "ShapeOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "PACK": "PackOptions",
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """`data` makes it a constant. `scales`: none, one, or one per slice of `dimension`; all have one zero point."""

    shape: tuple[int, ...]
    scales: tuple[float, ...] = ()
    zero_point: int = 0
    data: Array | None = None
    dtype: type = np.int8
    dimension: int = 0
    variable: bool = False


@dataclass(frozen=True, slots=True)
class Operator:
    """`inputs` and `outputs` are tensor numbers, -1 for an absent one; `options` are the schema's names."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] | None = None
    custom: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """What build() writes. `outputs` empty: those of the last operator.

    The fields after `outputs` are for files that an engine must refuse.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...] = (0,)
    outputs: tuple[int, ...] = ()
    version: int = 3
    subgraphs: int = 1
    codes: str = "both"  # "old": only the 8-bit builtin code, "new": only the 32-bit one


class _Writer:
    def __init__(self) -> None:
        self.b = flatbuffers.Builder(1024)

    def vector(self, data: Array) -> int:
        return int(self.b.CreateNumpyVector(data))

    def constant(self, tensor: Tensor) -> int:
        raw = np.ascontiguousarray(tensor.data, dtype=tensor.dtype).tobytes()
        return self.vector(np.frombuffer(raw, dtype=np.uint8))

    def offsets(self, items: Sequence[int]) -> int:
        self.b.StartVector(4, len(items), 4)
        for item in reversed(items):
            self.b.PrependUOffsetTRelative(item)
        return int(self.b.EndVector())

    def table(self, name: str, fields: Mapping[str, Any]) -> int:
        getattr(tflite, f"{name}Start")(self.b)
        for key, value in fields.items():
            getattr(tflite, f"{name}Add{key}")(self.b, value)
        return int(getattr(tflite, f"{name}End")(self.b))

    def tensor(self, tensor: Tensor, buffer: int) -> int:
        shape = self.vector(np.array(tensor.shape, dtype=np.int32))
        fields: dict[str, Any] = {"Shape": shape, "Type": _TYPES[np.dtype(tensor.dtype)], "Buffer": buffer}
        if tensor.scales:
            zero_points = np.full(len(tensor.scales), tensor.zero_point, dtype=np.int64)
            fields["Quantization"] = self.table(
                "QuantizationParameters",
                {
                    "Scale": self.vector(np.array(tensor.scales, dtype=np.float32)),
                    "ZeroPoint": self.vector(zero_points),
                    "QuantizedDimension": tensor.dimension,
                },
            )
        if tensor.variable:
            fields["IsVariable"] = True
        return self.table("Tensor", fields)

    def operator(self, operator: Operator, code: int) -> int:
        fields: dict[str, Any] = {"OpcodeIndex": code}
        if operator.options is not None:
            name = _OPTIONS[operator.name]
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, name)
            fields["BuiltinOptions"] = self.table(name, operator.options)
        fields["Inputs"] = self.vector(np.array(operator.inputs, dtype=np.int32))
        fields["Outputs"] = self.vector(np.array(operator.outputs, dtype=np.int32))
        return self.table("Operator", fields)

    def code(self, operator: Operator, codes: str) -> int:
        number = getattr(tflite.BuiltinOperator, operator.name)
        fields: dict[str, Any] = {"Version": 1}
        if operator.custom:
            fields["CustomCode"] = self.b.CreateString(operator.custom)
        if codes in {"both", "old"}:
            fields["DeprecatedBuiltinCode"] = min(number, 127)
        if codes in {"both", "new"}:
            fields["BuiltinCode"] = number
        return self.table("OperatorCode", fields)


def build(model: Model) -> bytes:
    """The flatbuffer; one operator code per operator, one buffer per constant.

    Constants come last in the file, the first one at its very end: a reader that goes too far leaves the file.
    """
    w = _Writer()
    # A flatbuffer is written from its end.
    data = [w.constant(tensor) for tensor in model.tensors if tensor.data is not None]
    buffers = [w.table("Buffer", {}), *(w.table("Buffer", {"Data": one}) for one in data)]
    numbers = iter(range(1, len(buffers)))
    tensors = [w.tensor(tensor, 0 if tensor.data is None else next(numbers)) for tensor in model.tensors]
    outputs = model.outputs or model.operators[-1].outputs
    graph = {
        "Tensors": w.offsets(tensors),
        "Inputs": w.vector(np.array(model.inputs, dtype=np.int32)),
        "Outputs": w.vector(np.array(outputs, dtype=np.int32)),
        "Operators": w.offsets([w.operator(operator, i) for i, operator in enumerate(model.operators)]),
    }
    fields = {
        "Version": model.version,
        "OperatorCodes": w.offsets([w.code(operator, model.codes) for operator in model.operators]),
        "Subgraphs": w.offsets([w.table("SubGraph", graph) for _ in range(model.subgraphs)]),
        "Buffers": w.offsets(buffers),
    }
    w.b.Finish(w.table("Model", fields), file_identifier=b"TFL3")
    return bytes(w.b.Output())
