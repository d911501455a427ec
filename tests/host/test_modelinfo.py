"""Operators, MACs and bytes of a .tflite file: the published figures, sums done by hand, and damaged files."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host import modelgen as gen
from host.errors import SetupError
from host.modelinfo import OperatorInfo, read_ends, read_operators

# From the published baseline: MACs of one inference, operators.
OFFICIAL = {
    "ad01_int8": (264_192, 10),
    "kws_ref_model": (2_656_768, 13),
    "pretrainedResnet_quant": (12_501_632, 16),
    "vww_96_int8": (7_489_664, 31),
    "str_ww_ref_model": (826_368, 11),
}
RESIDUAL = gen.build(gen.residual())


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_official_models(name: str, data_dir: Path) -> None:
    operators = read_operators((data_dir / "models" / f"{name}.tflite").read_bytes(), name)
    assert (sum(operator.macs for operator in operators), len(operators)) == OFFICIAL[name]
    assert [operator.index for operator in operators] == list(range(len(operators)))


def test_one_operator_by_hand(data_dir: Path) -> None:
    operators = read_operators((data_dir / "models" / "kws_ref_model.tflite").read_bytes(), "kws01")
    # 64 filters of 10 x 4 on 49 x 10, stride 2: weights and int32 biases, the input, the output.
    moved = 64 * 40 + 64 * 4 + 490 + 25 * 5 * 64
    assert operators[0] == OperatorInfo(0, "CONV_2D", (1, 25, 5, 64), 25 * 5 * 64 * 40, moved)
    assert operators[1] == OperatorInfo(
        1, "DEPTHWISE_CONV_2D", (1, 25, 5, 64), 25 * 5 * 64 * 9, 64 * 9 + 64 * 4 + 2 * 25 * 5 * 64
    )
    assert operators[-2].name == "FULLY_CONNECTED"
    assert operators[-2].macs == 12 * 64
    assert operators[-1] == OperatorInfo(12, "SOFTMAX", (1, 12), 0, 24)


@pytest.mark.parametrize("size", range(0, len(RESIDUAL), 13))
def test_a_file_cut_short_is_an_error_or_lacks_nothing(size: int) -> None:
    with contextlib.suppress(SetupError):
        assert read_operators(RESIDUAL[:size], "cut") == read_operators(RESIDUAL, "whole")


@given(st.lists(st.tuples(st.integers(0, len(RESIDUAL) - 1), st.integers(0, 255)), min_size=1, max_size=8))
@settings(max_examples=300)
def test_a_damaged_file_is_an_error_or_another_model(damage: list[tuple[int, int]]) -> None:
    data = bytearray(RESIDUAL)
    for place, value in damage:
        data[place] = value
    with contextlib.suppress(SetupError):
        for operator in read_operators(bytes(data), "damaged"):
            assert operator.macs >= 0
            assert operator.bytes >= 0
    with contextlib.suppress(SetupError):
        for tensor in read_ends(bytes(data), "damaged"):
            assert tensor.elements >= 0


@pytest.mark.parametrize(("name", "ends"), [
    ("ad01_int8", (("int8", (1, 640), 0.391015232, 89), ("int8", (1, 640), 0.364498466, 96))),
    ("kws_ref_model", (("int8", (1, 49, 10, 1), 0.584702909, 83), ("int8", (1, 12), 1 / 256, -128))),
    ("vww_96_float", (("float32", (1, 96, 96, 3), 0, 0), ("float32", (1, 2), 0, 0))),
])  # fmt: skip
def test_the_ends_of_official_models(name: str, ends: tuple[tuple[object, ...], ...], data_dir: Path) -> None:
    found = read_ends((data_dir / "models" / f"{name}.tflite").read_bytes(), name)
    assert [(one.dtype, one.shape, pytest.approx(one.scale), one.zero_point) for one in found] == list(ends)


def test_the_ends_of_a_file_cut_short_are_an_error() -> None:
    assert [end.dtype for end in read_ends(RESIDUAL, "whole")] == ["int8", "int8"]
    with pytest.raises(SetupError, match=r"cut: "):
        read_ends(RESIDUAL[:100], "cut")


def test_what_is_no_model_says_so() -> None:
    for data in (b"", b"TFL3", b"\x00" * 64):
        with pytest.raises(SetupError, match=r"nothing\.tflite: no TFL3 identifier"):
            read_operators(data, "nothing.tflite")
    huge = gen.build(gen.altered(gen.residual(), lambda tensor: gen.Tensor((70000, 70000)), 0))
    with pytest.raises(SetupError, match=r"huge: tensor .* is not possible"):
        read_operators(huge, "huge")
