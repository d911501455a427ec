# SPDX-License-Identifier: Apache-2.0
"""What a trained .tflite is held to: the official model's operators, int8 in and out, its input quantisation."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tflite

from host.errors import HostError
from host.modelinfo import read_operators

SCALE_TOLERANCE = 1e-6
"""Relative. A scale is a float32, and comes out of a division: its last digit may differ. Far below a step."""


class WrongModel(HostError):
    """A trained model is not of the official kind: the message lists the differences."""


@dataclass(frozen=True, slots=True)
class Quantisation:
    """real = (int8 - zero_point) * scale."""

    scale: float
    zero_point: int

    @property
    def low(self) -> float:
        """The real value of -128."""
        return (-128 - self.zero_point) * self.scale

    @property
    def high(self) -> float:
        """The real value of 127."""
        return (127 - self.zero_point) * self.scale


@dataclass(frozen=True, slots=True)
class Tensor:
    """An int8 tensor at the edge of a model."""

    shape: tuple[int, ...]
    quantisation: Quantisation


def operator_names(data: bytes, name: str) -> list[str]:
    """Operators of the .tflite file `data` in its order. Raises SetupError for a damaged file."""
    return [operator.name for operator in read_operators(data, name)]


def check_operators(data: bytes, expected: Sequence[str], name: str) -> None:
    """Raise WrongModel, with the differences, when the operators of `data` are not those `expected`, in that order."""
    found = operator_names(data, name)
    if found == list(expected):
        return
    changes = [line for line in difflib.ndiff(list(expected), found) if line[0] in "+-"]
    missing = ", ".join(line[2:] for line in changes if line[0] == "-") or "none"
    extra = ", ".join(line[2:] for line in changes if line[0] == "+") or "none"
    raise WrongModel(
        f"{name}: its operators are not the official ones (`operators` in model.toml). Missing at its place: "
        f"{missing}; not in the official list: {extra}. It has: {', '.join(found)}. Another version of TensorFlow "
        "converts otherwise: use the one that pyproject.toml pins, or correct the topology in train.py."
    )


def edges(data: bytes, name: str) -> tuple[Tensor, Tensor]:
    """Input and output of the .tflite file `data`. WrongModel when one of them is not int8 or not the only one."""
    operator_names(data, name)  # refuses a damaged file
    graph = tflite.Model.GetRootAs(data).Subgraphs(0)
    if graph.InputsLength() != 1 or graph.OutputsLength() != 1:
        raise WrongModel(
            f"{name}: {graph.InputsLength()} inputs and {graph.OutputsLength()} outputs, one of each is used"
        )
    return _tensor(graph.Tensors(graph.Inputs(0)), name), _tensor(graph.Tensors(graph.Outputs(0)), name)


def _tensor(tensor: Any, name: str) -> Tensor:
    quantisation = tensor.Quantization()
    if tensor.Type() != tflite.TensorType.INT8 or quantisation is None or quantisation.ScaleLength() != 1:
        raise WrongModel(f"{name}: input or output is not int8 with one scale: the conversion has to be to full int8")
    shape = tuple(int(tensor.Shape(axis)) for axis in range(tensor.ShapeLength()))
    return Tensor(shape, Quantisation(float(quantisation.Scale(0)), int(quantisation.ZeroPoint(0))))


def check_input(data: bytes, expected: Quantisation, name: str) -> None:
    """Raise WrongModel when the input is not quantised as the bytes of the data set are."""
    found = edges(data, name)[0].quantisation
    same = math.isclose(found.scale, expected.scale, rel_tol=SCALE_TOLERANCE)
    if not same or found.zero_point != expected.zero_point:
        raise WrongModel(
            f"{name}: its input has scale {found.scale:.9g} and zero point {found.zero_point}, but the inputs of the "
            f"data set are made for {expected.scale:.9g} and {expected.zero_point}: the calibration set has to span "
            f"exactly {expected.low:.6g} to {expected.high:.6g}."
        )
