"""Looks into a .tflite file, and cuts it: models that end, or begin, in the middle of another one.

A cut changes as little as possible: the list of operators is shortened in place and another tensor becomes the output,
so that all the rest is the very file. What the engine has loaded is sound; a file that it refuses may break this, which
is told as SetupError.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import tflite

from host.errors import SetupError

_UOFFSET = struct.Struct("<I")
_OPERATORS_FIELD = 10  # of the table SubGraph: offsets in its vtable, see the schema
_METADATA_FIELD = 16  # of the table Model
_DTYPES: dict[int, np.dtype[Any]] = {
    tflite.TensorType.INT8: np.dtype(np.int8),
    tflite.TensorType.FLOAT32: np.dtype(np.float32),
    tflite.TensorType.INT32: np.dtype(np.int32),
}


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """One tensor. dtype None: of a type that is neither int8, int32 nor float32. scale 0: not quantised."""

    index: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    scale: float
    zero_point: int
    constant: bool

    @property
    def bytes(self) -> int:
        """Of its data."""
        return int(np.prod(self.shape, dtype=np.int64)) * (self.dtype.itemsize if self.dtype else 0)


@dataclass(frozen=True, slots=True)
class OperatorFacts:
    """One operator; `inputs` are numbers of tensors, -1 for an absent one."""

    index: int
    name: str
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True, slots=True)
class Graph:
    """A model file and what it says of its only subgraph."""

    data: bytes
    tensors: tuple[TensorFacts, ...]
    operators: tuple[OperatorFacts, ...]
    input: TensorFacts
    output: TensorFacts

    def producer(self, tensor: int) -> OperatorFacts | None:
        """The operator whose output it is."""
        return next((operator for operator in self.operators if operator.output == tensor), None)

    def reaches(self, last: int) -> bool:
        """Whether operator `last` depends on the model's input."""
        changed = {self.input.index}
        for operator in self.operators[: last + 1]:
            if changed & set(operator.inputs):
                changed.add(operator.output)
        return self.operators[last].output in changed

    def until(self, last: int) -> bytes:
        """The model that ends with operator `last` and has its output for output."""
        return _cut(self.data, first=0, last=last, outputs=self.operators[last].output)

    def alone(self, number: int) -> bytes | None:
        """Operator `number` as a model of its own; None when more than one of its inputs is no constant."""
        operator = self.operators[number]
        moving = [tensor for tensor in operator.inputs if tensor >= 0 and not self.tensors[tensor].constant]
        if len(moving) != 1:
            return None
        return _cut(self.data, first=number, last=number, outputs=operator.output, inputs=moving[0])


def read_graph(data: bytes) -> Graph:
    """Raises SetupError when it cannot be read."""
    try:
        return _read(data)
    except Exception as error:  # flatbuffers checks nothing: offsets that lead nowhere raise whatever they lead to
        raise SetupError(f"cannot read the model's graph: {type(error).__name__}: {error}. Is it a .tflite?") from error


@cache
def _operator_names() -> dict[int, str]:
    return {number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}


def _read(data: bytes) -> Graph:
    model = tflite.Model.GetRootAs(data, 0)
    if model.SubgraphsLength() != 1:
        raise ValueError(f"{model.SubgraphsLength()} subgraphs, must be 1")
    graph = model.Subgraphs(0)
    if graph.InputsLength() != 1 or graph.OutputsLength() != 1:
        raise ValueError(f"{graph.InputsLength()} inputs and {graph.OutputsLength()} outputs, must be 1 and 1")
    tensors = tuple(_tensor(model, graph.Tensors(index), index) for index in range(graph.TensorsLength()))
    operators = tuple(_operator(model, graph.Operators(index), index) for index in range(graph.OperatorsLength()))
    if not operators:
        raise ValueError("no operators")
    return Graph(data, tensors, operators, tensors[graph.Inputs(0)], tensors[graph.Outputs(0)])


def _tensor(model: Any, tensor: Any, index: int) -> TensorFacts:
    quantization = tensor.Quantization()
    scaled = quantization is not None and quantization.ScaleLength() > 0
    buffer = model.Buffers(tensor.Buffer())
    return TensorFacts(
        index=index,
        shape=tuple(tensor.Shape(axis) for axis in range(tensor.ShapeLength())),
        dtype=_DTYPES.get(tensor.Type()),
        scale=float(quantization.Scale(0)) if scaled else 0.0,
        zero_point=int(quantization.ZeroPoint(0)) if scaled and quantization.ZeroPointLength() else 0,
        constant=buffer is not None and buffer.DataLength() > 0,
    )


def _operator(model: Any, operator: Any, index: int) -> OperatorFacts:
    code = model.OperatorCodes(operator.OpcodeIndex())
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    return OperatorFacts(
        index=index,
        name=_operator_names().get(number, f"operator code {number}"),
        inputs=tuple(operator.Inputs(slot) for slot in range(operator.InputsLength())),
        output=operator.Outputs(0),
    )


def _cut(data: bytes, *, first: int, last: int, outputs: int, inputs: int | None = None) -> bytes:
    """Keep the operators first..last; `outputs` and `inputs` become the model's."""
    cut = bytearray(data)
    model = tflite.Model.GetRootAs(cut, 0)
    graph = model.Subgraphs(0)
    graph.OutputsAsNumpy()[0] = outputs  # a view of `cut`
    if inputs is not None:
        graph.InputsAsNumpy()[0] = inputs
    _shorten(cut, graph._tab, _OPERATORS_FIELD, first, last + 1)
    if model.MetadataLength():  # it may hold a memory plan of the whole model
        _shorten(cut, model._tab, _METADATA_FIELD, 0, 0)
    return bytes(cut)


def _shorten(cut: bytearray, table: Any, field: int, start: int, end: int) -> None:
    """Make a vector of tables the slice start:end of itself."""
    vector = table.Vector(table.Offset(field))
    for to, at in enumerate(range(start, end)):
        source, target = vector + 4 * at, vector + 4 * to
        (offset,) = _UOFFSET.unpack_from(cut, source)
        _UOFFSET.pack_into(cut, target, offset + source - target)  # offsets count from where they are
    _UOFFSET.pack_into(cut, vector - 4, end - start)


def before_saturation(graph: Graph) -> int | None:
    """The operator before a SOFTMAX or LOGISTIC at the end, whose outputs hide what random inputs bring; or None."""
    tensor = graph.output.index
    while (operator := graph.producer(tensor)) is not None:
        if operator.name in ("SOFTMAX", "LOGISTIC"):
            before = graph.producer(operator.inputs[0])
            return before.index if before else None
        if operator.name not in ("DEQUANTIZE", "QUANTIZE", "RESHAPE"):
            return None
        tensor = operator.inputs[0]
    return None


def usable_ends(graph: Graph) -> Sequence[int]:
    """Operators that a model may end with: they depend on its input and give int8 or float32."""
    allowed = (np.dtype(np.int8), np.dtype(np.float32))
    return [
        operator.index
        for operator in graph.operators
        if graph.tensors[operator.output].dtype in allowed and graph.reaches(operator.index)
    ]
