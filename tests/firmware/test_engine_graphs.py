"""Random graphs of all operators but FULLY_CONNECTED against tflite-micro: what the plan must get right is tensors that
live long, branch, meet again, are reshaped or overwritten in place, or are read by nobody."""

from __future__ import annotations

import numpy as np
import pytest
from engine_host import OK, EngineHost, oracle

from host import modelgen as gen
from host.modelgen import Model, Operator, Tensor, Window


class Graph:
    """Grows by one operator at a time on any tensor there is."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        shape = (1, self.below(6, 2), self.below(6, 2), self.below(5, 1))
        self.tensors = [Tensor(shape, (0.05,), self.below(40, -20))]
        self.live = [0]
        self.operators: list[Operator] = []

    def below(self, count: int, start: int = 0) -> int:
        return start + int(self.rng.integers(count))

    def tensor(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def append(self, like: Operator, inputs: tuple[int, ...], result: Tensor) -> None:
        number = self.tensor(result)
        self.operators.append(Operator(like.name, inputs, (number,), like.options))
        self.live.append(number)

    def window(self, source: Tensor) -> Window:
        return Window(
            size=(source.shape[1], source.shape[2]),
            channels=source.shape[3],
            out_channels=self.below(6, 1),
            taps=(self.below(3, 1), self.below(3, 1)),
            stride=(self.below(2, 1), self.below(2, 1)),
            activation=self.below(4),
            zero_points=(source.zero_point, self.below(256, -128)),
        )

    def convolve(self, number: int, source: Tensor) -> None:
        make = gen.conv_2d if self.below(2) else gen.depthwise_conv_2d
        part = make(self.window(source), self.below(1 << 30))
        self.append(part.operators[0], (number, *map(self.tensor, part.tensors[1:3])), part.tensors[3])

    def pool(self, number: int, source: Tensor) -> None:
        make = gen.average_pool_2d if self.below(2) else gen.max_pool_2d
        part = make(self.window(source))
        self.append(part.operators[0], (number,), Tensor(part.tensors[1].shape, source.scales, source.zero_point))

    def other(self, source: Tensor) -> int:
        """A tensor that goes together with the source: of its shape, stretched along all of it, or a constant."""
        alike = [n for n in self.live if self.tensors[n].shape in (source.shape, (1,) * len(source.shape))]
        if self.below(3):
            return alike[self.below(len(alike))]
        shape = source.shape[self.below(len(source.shape)) :]
        return self.tensor(Tensor(shape, (0.03,), self.below(40, -20), self.rng.integers(-128, 128, shape)))

    def binary(self, number: int, source: Tensor) -> None:
        other = self.other(source)
        scales = (source.scales[0], self.tensors[other].scales[0])
        name = ("ADD", "SUB", "MUL")[self.below(3)]
        scale = 40 * scales[0] * scales[1] if name == "MUL" else 1.3 * max(scales)
        like = Operator(name, (), (), {"FusedActivationFunction": self.below(4)})
        numbers = (number, other) if self.below(2) else (other, number)
        self.append(like, numbers, Tensor(source.shape, (scale,), self.below(100, -50)))

    def unary(self, number: int, source: Tensor) -> None:
        name = ("RELU", "RELU6", "LOGISTIC", "QUANTIZE")[self.below(4)]
        scale, zero_point = (1 / 256, -128) if name == "LOGISTIC" else (0.9 * source.scales[0], self.below(100, -50))
        like = Operator(name, (), (), {} if name == "QUANTIZE" else None)
        self.append(like, (number,), Tensor(source.shape, (scale,), zero_point))

    def concatenate(self, number: int, source: Tensor) -> None:
        """With itself, and with whatever else has its quantization and all its sizes but the last."""

        def fits(tensor: Tensor) -> bool:
            same = (tensor.scales, tensor.zero_point) == (source.scales, source.zero_point)
            return same and tensor.shape[:-1] == source.shape[:-1]

        others = [n for n in self.live if fits(self.tensors[n])]
        numbers = (number, *(others[self.below(len(others))] for _ in range(self.below(3))))
        last = sum(self.tensors[n].shape[-1] for n in numbers)
        result = Tensor((*source.shape[:-1], last), source.scales, source.zero_point)
        self.append(Operator("CONCATENATION", (), (), {"Axis": -1}), numbers, result)

    def part(self, number: int, source: Tensor) -> None:
        """One of the operators that make a tensor larger or smaller, with the constants it has."""
        quantization = (source.scales[0], source.zero_point)
        rank = len(source.shape)
        made = [
            lambda: gen.pad(source.shape, [(self.below(2), self.below(2)) for _ in range(rank)], quantization),
            lambda: gen.mean(source.shape, [self.below(rank)], quantization, quantization),
            lambda: gen.strided_slice(source.shape, [slice(None, None, self.below(2, 1))] * rank, quantization),
            lambda: gen.pack(source.shape, 1, 0, quantization),
        ]
        like = made[self.below(len(made) - (rank > 4))]()
        numbers = {old: number if old == like.inputs[0] else None for old in like.operators[0].inputs}
        inputs = tuple(self.tensor(like.tensors[old]) if new is None else new for old, new in numbers.items())
        self.append(like.operators[0], inputs, like.tensors[like.operators[0].outputs[0]])

    def reshape(self, number: int, source: Tensor) -> None:
        size = int(np.prod(source.shape))
        shape = [(1, size), (1, 1, 1, size), (size,)][self.below(3)]
        wanted = self.tensor(Tensor((len(shape),), (), 0, np.array(shape), np.int32))
        self.append(Operator("RESHAPE", (), (), {}), (number, wanted), Tensor(shape, source.scales, source.zero_point))

    def softmax(self, number: int, source: Tensor) -> None:
        self.append(Operator("SOFTMAX", (), (), {"Beta": 1.0}), (number,), Tensor(source.shape, (1 / 256,), -128))

    def grow(self) -> None:
        number = self.live[self.below(len(self.live))]
        source = self.tensors[number]
        steps = [self.binary, self.binary, self.unary, self.reshape, self.softmax, self.concatenate]
        if np.prod(source.shape) < 2000 and len(source.shape) <= 4:
            steps += [self.part, self.part]
        if len(source.shape) == 4 and source.shape[0] == 1:
            steps += [self.convolve, self.convolve, self.convolve, self.pool, self.pool]
        steps[self.below(len(steps))](number, source)

    def model(self) -> Model:
        return Model(tuple(self.tensors), tuple(self.operators), outputs=(self.live[-1],))


def compare(engine: EngineHost, seeds: range) -> None:
    """In an arena of exactly the size it says it needs, so that a tensor out of place is a byte outside."""
    for seed in seeds:
        graph = Graph(seed)
        for _ in range(graph.below(12, 2)):
            graph.grow()
        data = gen.build(graph.model())
        inputs = gen.inputs_for(graph.model(), 3, seed)
        answer = engine.load(data, [x.tobytes() for x in inputs], arena=engine.load(data).arena_used)
        assert answer.status == OK, (seed, answer.text)
        assert list(answer.outputs) == oracle(data, inputs), (seed, [o.name for o in graph.operators])


def test_random_graphs(engine: EngineHost) -> None:
    compare(engine, range(60))


@pytest.mark.long
def test_many_random_graphs(engine: EngineHost) -> None:
    compare(engine, range(1000, 1600))
