"""What a .tflite file asks for, operator by operator: names, shapes, multiply-accumulates, bytes. Nothing is run.

MACs: multiply-accumulates of the convolutions and of FULLY_CONNECTED, those on padding included; 0 for every other
operator. The same counting as in the published figures of the MLPerf Tiny models.
Bytes: the operator's weights and other constants, the activations it reads and those it writes, each tensor once.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import tflite

from host.errors import SetupError

MAX_OPERATORS = 4096  # as firmware/engine/tflite_c
MAX_TENSORS_OF_AN_OPERATOR = 1024
MAX_RANK = 8
MAX_TENSOR_BYTES = 2**31
_BYTES = {
    tflite.TensorType.FLOAT32: 4,
    tflite.TensorType.FLOAT16: 2,
    tflite.TensorType.INT32: 4,
    tflite.TensorType.UINT8: 1,
    tflite.TensorType.INT64: 8,
    tflite.TensorType.BOOL: 1,
    tflite.TensorType.INT16: 2,
    tflite.TensorType.INT8: 1,
}
_DTYPES = {kind: name.lower() for name, kind in vars(tflite.TensorType).items() if kind in _BYTES}
# What flatbuffers and struct raise on offsets that lead astray; a file is no reason for a traceback.
_DAMAGE = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError, AssertionError)


@dataclass(frozen=True, slots=True)
class OperatorInfo:
    """One operator of the model's list; `shape` is its first output's."""

    index: int
    name: str
    shape: tuple[int, ...]
    macs: int
    bytes: int


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output of the model. dtype: "int8", "float32", ...; scale 0 where it has none."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class _Tensor:
    shape: tuple[int, ...]
    bytes: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


def read_operators(data: bytes, name: str) -> tuple[OperatorInfo, ...]:
    """The operators of the .tflite file `data`, in its order. `name` is for the errors.

    Raises SetupError for a file that is damaged, or that holds another number of graphs than one.
    """
    with _told_of(name):
        model, graph = _open(data)
        count = _bounded(graph.OperatorsLength(), MAX_OPERATORS, "operators")
        return tuple(_operator(model, graph, index) for index in range(count))


def read_ends(data: bytes, name: str) -> tuple[TensorInfo, TensorInfo]:
    """The input and the output of the .tflite file `data`. `name` is for the errors.

    Raises SetupError as `read_operators` does, and for a model with another number of inputs or outputs than one.
    """
    with _told_of(name):
        _, graph = _open(data)
        ends = graph.InputsLength(), graph.OutputsLength()
        if ends != (1, 1):
            raise SetupError(f"{ends[0]} inputs and {ends[1]} outputs, one of each can be used")
        return _end(graph, graph.Inputs(0)), _end(graph, graph.Outputs(0))


@contextmanager
def _told_of(name: str) -> Iterator[None]:
    try:
        yield
    except SetupError as error:
        raise SetupError(f"{name}: {error}. Is it a whole .tflite file?") from None
    except _DAMAGE as error:
        raise SetupError(f"{name}: damaged ({type(error).__name__}: {error}). Is it a whole .tflite file?") from None


def _open(data: bytes) -> tuple[Any, Any]:
    """The model, and its one graph."""
    if data[4:8] != b"TFL3":
        raise SetupError("no TFL3 identifier")
    model = tflite.Model.GetRootAs(data)
    if model.SubgraphsLength() != 1:
        raise SetupError(f"{model.SubgraphsLength()} graphs, one can be read")
    return model, model.Subgraphs(0)


def _end(graph: Any, number: int) -> TensorInfo:
    (whole,) = _tensors(graph, 0, [number])
    tensor = graph.Tensors(number)
    quantisation = tensor.Quantization()
    scales = quantisation.ScaleLength() if quantisation is not None else 0
    zeros = quantisation.ZeroPointLength() if quantisation is not None else 0
    return TensorInfo(
        name=(tensor.Name() or b"").decode("utf-8", "replace"),
        dtype=_DTYPES[tensor.Type()],
        shape=whole.shape,
        scale=float(quantisation.Scale(0)) if scales else 0.0,
        zero_point=int(quantisation.ZeroPoint(0)) if zeros else 0,
    )


def _operator(model: Any, graph: Any, index: int) -> OperatorInfo:
    operator = graph.Operators(index)
    if operator.OpcodeIndex() >= model.OperatorCodesLength():
        raise SetupError(f"operator {index}: no operator code {operator.OpcodeIndex()}")
    code = model.OperatorCodes(operator.OpcodeIndex())
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # the older field ends at 127
    name = tflite.BUILTIN_OPCODE2NAME.get(builtin, f"operator code {builtin}")
    inputs = _tensors(graph, index, [operator.Inputs(at) for at in range(_length(operator.InputsLength(), index))])
    outputs = _tensors(graph, index, [operator.Outputs(at) for at in range(_length(operator.OutputsLength(), index))])
    if not outputs:
        raise SetupError(f"operator {index} {name}: no output")
    return OperatorInfo(
        index=index,
        name=name,
        shape=outputs[0].shape,
        macs=_macs(index, name, inputs, outputs[0]),
        bytes=sum(tensor.bytes for tensor in (*inputs, *outputs)),
    )


def _length(length: int, index: int) -> int:
    return _bounded(length, MAX_TENSORS_OF_AN_OPERATOR, f"tensors of operator {index}")


def _bounded(count: int, limit: int, what: str) -> int:
    if count > limit:
        raise SetupError(f"{count} {what}, at most {limit} are possible")
    return count


def _tensors(graph: Any, operator: int, numbers: list[int]) -> list[_Tensor]:
    """The tensors, each once; -1 is an optional one that is left out."""
    found = []
    for number in dict.fromkeys(numbers):
        if number == -1:
            continue
        if not 0 <= number < graph.TensorsLength():
            raise SetupError(f"operator {operator}: no tensor {number}")
        tensor = graph.Tensors(number)
        rank = _bounded(tensor.ShapeLength(), MAX_RANK, f"dimensions of tensor {number}")
        shape = tuple(int(tensor.Shape(axis)) for axis in range(rank))
        element_bytes = _BYTES.get(tensor.Type())
        if element_bytes is None:
            raise SetupError(f"tensor {number}: element type {tensor.Type()} is not known")
        if any(size < 0 for size in shape) or math.prod(shape) * element_bytes > MAX_TENSOR_BYTES:
            raise SetupError(f"tensor {number}: shape {'x'.join(map(str, shape))} is not possible")
        found.append(_Tensor(shape, math.prod(shape) * element_bytes))
    return found


def _macs(index: int, name: str, inputs: list[_Tensor], output: _Tensor) -> int:
    """Multiply-accumulates. The filter is the second input: OHWI, 1HWO for depthwise, OI for fully connected."""
    if name not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return 0
    rank = 2 if name == "FULLY_CONNECTED" else 4
    if len(inputs) < 2 or len(inputs[1].shape) != rank:
        raise SetupError(f"operator {index} {name}: no filter of {rank} dimensions")
    window = inputs[1].shape
    if name == "FULLY_CONNECTED":
        return output.elements * window[1]
    return output.elements * math.prod(window[1:] if name == "CONV_2D" else window[1:3])
