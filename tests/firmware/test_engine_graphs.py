"""Random graphs of all operators but FULLY_CONNECTED against tflite-micro: what the plan must get right is tensors that
live long, branch, meet again, are reshaped in place, or are read by nobody."""

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
        part = gen.average_pool_2d(self.window(source))
        self.append(part.operators[0], (number,), Tensor(part.tensors[1].shape, source.scales, source.zero_point))

    def add(self, number: int, source: Tensor) -> None:
        alike = [n for n in self.live if self.tensors[n].shape == source.shape]
        other = alike[self.below(len(alike))]
        scale = 1.3 * max(source.scales[0], self.tensors[other].scales[0])
        like = Operator("ADD", (), (), {"FusedActivationFunction": self.below(4)})
        self.append(like, (number, other), Tensor(source.shape, (scale,), self.below(100, -50)))

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
        steps = [self.add, self.reshape, self.softmax]
        if len(source.shape) == 4:
            steps += [self.convolve, self.convolve, self.pool]
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
