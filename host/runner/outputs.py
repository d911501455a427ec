"""What a model put out, as numbers: from the tensor's own bytes (fast link) or from `m-results` (stock protocol).

The arithmetic is the firmware's (firmware/core/bench.c), in float32 and in its order, so both ways give the same
number but for one thing: `m-results` has three decimals, the bytes have all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from host.catalog import ModelFile
from host.device import Output
from host.errors import DeviceError, GarbledReply, SetupError
from host.modelinfo import TensorInfo, read_ends

__all__ = ["OutputFormat", "read_format", "values"]


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """How to read the output tensor. scale, zero_point: of an int8 one; a float32 one has 1 and 0.

    result: "outputs", all elements, or "mse", one number: the mean squared error between the input on the wire
    (float32) and the output.
    """

    dtype: Literal["int8", "float32"]
    elements: int
    scale: float
    zero_point: int
    result: Literal["outputs", "mse"] = "outputs"

    @property
    def numbers(self) -> int:
        """How many numbers one inference gives."""
        return 1 if self.result == "mse" else self.elements

    @property
    def bytes(self) -> int:
        """Size of the tensor."""
        return self.elements * (4 if self.dtype == "float32" else 1)


def read_format(model: ModelFile) -> OutputFormat:
    """The format of a model of the catalogue, from its .tflite file.

    Raises SetupError for a damaged file, and for tensors that the firmware cannot report.
    """
    _, output = read_ends(model.path.read_bytes(), model.name)
    return format_of(output, model)


def format_of(output: TensorInfo, model: ModelFile) -> OutputFormat:
    """`read_format`, of an output tensor that is known already."""
    if output.dtype not in ("int8", "float32"):
        raise SetupError(f"{model.name}: its output is {output.dtype}; int8 and float32 can be scored. Convert it.")
    if model.result == "mse":
        if model.wire_input != "float32" or model.input_bytes != 4 * output.elements:
            raise SetupError(
                f"{model.name}: an output of {output.elements} numbers cannot be held against an input of "
                f"{model.input_bytes} bytes of {model.wire_input}: correct `result` in the task's model.toml."
            )
    elif output.elements != model.outputs:
        raise SetupError(
            f"{model.name}: {output.elements} outputs, but the task's model.toml says {model.outputs}: correct one."
        )
    quantised = output.dtype == "int8"
    return OutputFormat(
        dtype="int8" if quantised else "float32",
        elements=output.elements,
        scale=output.scale if quantised else 1.0,
        zero_point=output.zero_point if quantised else 0,
        result=model.result,
    )


def values(output_format: OutputFormat, data: bytes, output: Output) -> tuple[float, ...]:
    """The numbers of one inference: `data` is its input on the wire, `output` what the device answered.

    Raises GarbledReply for an answer of another length than the model's, DeviceError for what is not a number.
    """
    if output.raw is None:
        numbers = output.values or ()
        if len(numbers) != output_format.numbers:
            raise _wrong_length(f"{len(numbers)} numbers", f"{output_format.numbers}")
        return numbers
    if len(output.raw) != output_format.bytes:
        raise _wrong_length(f"{len(output.raw)} bytes of output", f"{output_format.bytes}")
    real = _real(output_format, output.raw)
    if output_format.result == "mse":
        real = np.atleast_1d(_mean_squared_error(np.frombuffer(data, dtype="<f4"), real))
    if not np.isfinite(real).all():
        raise DeviceError(f"the model's output is not a number: {real.tolist()[:16]}. Is the model file sound?")
    return tuple(float(value) for value in real)


def _wrong_length(got: str, wanted: str) -> GarbledReply:
    return GarbledReply(
        f"the device answered {got} where the model has {wanted}: another model is on the board, or the line lost "
        "bytes. Check `host models` and the wiring."
    )


def _real(output_format: OutputFormat, raw: bytes) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """float32 elements: scale * (q - zero point), the difference exact, one rounding for the product."""
    if output_format.dtype == "float32":
        return np.frombuffer(raw, dtype="<f4").astype(np.float32)
    steps = np.frombuffer(raw, dtype=np.int8).astype(np.int64) - output_format.zero_point
    return steps.astype(np.float32) * np.float32(output_format.scale)


def _mean_squared_error(
    given: np.ndarray[tuple[int], np.dtype[np.float32]], got: np.ndarray[tuple[int], np.dtype[np.float32]]
) -> np.float32:
    """In float32, element after element, as the official recipe and the firmware add."""
    with np.errstate(over="ignore", invalid="ignore"):  # `values` refuses what is not finite
        difference = got - given.astype(np.float32)
        total = np.add.accumulate(difference * difference, dtype=np.float32)[-1]
        return np.float32(total / np.float32(len(got)))
