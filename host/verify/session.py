"""`host verify`: models, a board, the oracle, and a record of what was equal."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from host import catalog
from host.build import Variant
from host.errors import DeviceRefused, NotAvailable, SetupError, UsageError
from host.report.progress import Reporter
from host.results import verification as record
from host.runner.seats import Seat, Seats, refusal
from host.runner.target import describe, wanted_board
from host.verify.graph import Graph, TensorFacts, before_saturation, read_graph, usable_ends
from host.verify.inputs import RANDOM_COUNT, Input, random_inputs, read_inputs
from host.verify.oracle import Oracle, OracleFailed

PLANNING = "memory planning suspected"


@dataclass(frozen=True, slots=True)
class VerifyPlan:
    """What a person asked for. models empty: the catalogue's. inputs None: random ones. variant: which engine."""

    models: tuple[Path, ...] = ()
    board: str | None = None
    port: str | None = None
    inputs: Path | None = None
    count: int | None = None
    seed: int = 0
    flash: bool = False
    variant: Variant = field(default_factory=Variant)


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to verify. graph None: the file cannot be read, and the engine shall say why. pixels: of its files."""

    name: str
    source: str
    data: bytes
    graph: Graph | None
    pixels: bool = False

    @property
    def before(self) -> str:
        """Name of the model that ends before the SOFTMAX at the end."""
        return f"{self.name} before saturation"

    def parts(self) -> dict[str, bytes]:
        """What is compared: the model up to where random inputs still tell, when that is not its end; then itself."""
        end = before_saturation(self.graph) if self.graph else None
        head = {} if end is None or self.graph is None else {self.before: self.graph.until(end)}
        return {**head, self.name: self.data}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Outputs that are not the oracle's."""

    input: Input
    expected: bytes
    got: bytes


def verify(plan: VerifyPlan, reporter: Reporter) -> record.Verification:
    """Compare every model of the plan.

    Raises UsageError for a request that makes no sense and SetupError, LinkError or DeviceError for what stops it all;
    a model that the engine refuses is part of the record.
    """
    board = wanted_board(plan.board, plan.port)
    with Oracle() as oracle:
        subjects = _subjects(plan, reporter)
        seats = Seats(board, plan.port, reporter, reflash=plan.flash, variant=plan.variant)
        return _Session(plan, seats, oracle, reporter).run(subjects)


def _subjects(plan: VerifyPlan, reporter: Reporter) -> list[Subject]:
    if not plan.models:
        return _catalogue(reporter)
    subjects: dict[str, Subject] = {}
    for path in plan.models:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}. `host verify` takes .tflite files.") from error
        if not data:
            raise UsageError(f"{path} is empty.")
        subjects[str(path)] = Subject(str(path), "a file", data, _graph(data))
    return list(subjects.values())


def _catalogue(reporter: Reporter) -> list[Subject]:
    known = catalog.default_catalog(progress=reporter.update, note=reporter.note)
    subjects = []
    for task in known.tasks():
        try:
            model = known.model_for(task)
        except NotAvailable as error:
            reporter.note(f"{task} left out: {error}")
            continue
        finally:
            reporter.clear()
        data = model.path.read_bytes()
        subjects.append(Subject(task, model.source, data, _graph(data), pixels=model.wire_input == "uint8"))
    if not subjects:
        raise SetupError("no model of the catalogue can be had here: the lines above say why. Name a .tflite file.")
    return subjects


def _graph(data: bytes) -> Graph | None:
    try:
        return read_graph(data)
    except SetupError:
        return None  # the engine will refuse it and name the fault


class _Session:
    def __init__(self, plan: VerifyPlan, seats: Seats, oracle: Oracle, reporter: Reporter) -> None:
        self._plan = plan
        self._seats = seats
        self._oracle = oracle
        self._reporter = reporter
        self._done = 0

    def run(self, subjects: Sequence[Subject]) -> record.Verification:
        checks: dict[str, record.ModelCheck] = {}
        mismatches: dict[str, Mismatch] = {}
        whole: record.Verification | None = None
        for subject in subjects:
            self._inputs(subject)  # a folder that does not fit is told before anything is built
        fitting = [subject for subject in subjects if len(subject.data) <= self._seats.room_bytes]
        groups = list(self._seats.split([part for subject in fitting for part in subject.parts().items()]))
        for group in groups or [{}]:
            with self._seats.having(group) as seat:
                whole = whole or self._describe(seat)
                for subject in fitting:
                    self._check(seat, subject, group, checks, mismatches)
        assert whole is not None  # noqa: S101  (there is one group at least)
        for subject in subjects:
            if subject.name in mismatches:
                checks[subject.name] = self._explain(subject, checks[subject.name], mismatches[subject.name])
        return msgspec.structs.replace(whole, models=[checks.get(s.name) or self._too_large(s) for s in subjects])

    def _describe(self, seat: Seat) -> record.Verification:
        facts = describe(seat.target)
        return record.Verification(
            schema=record.SCHEMA,
            provenance=facts.provenance,
            created=facts.created,
            board=facts.board,
            firmware=facts.firmware,
            host=facts.host,
            oracle=self._oracle.version,
            inputs=str(self._plan.inputs or "random"),
            seed=self._plan.seed,
            models=[],
        )

    def _inputs(self, subject: Subject) -> list[Input]:
        if subject.graph is None:
            return []
        if self._plan.inputs is None:
            return random_inputs(subject.graph, self._plan.count or RANDOM_COUNT, self._plan.seed)
        return read_inputs(self._plan.inputs, subject.graph.input, self._plan.count, pixels=subject.pixels)

    def _check(
        self,
        seat: Seat,
        subject: Subject,
        group: Mapping[str, bytes],
        checks: dict[str, record.ModelCheck],
        mismatches: dict[str, Mismatch],
    ) -> None:
        """Compare those parts of one model that are in this image."""
        before = checks.get(subject.name, _blank(subject, len(self._inputs(subject))))
        for name in [name for name in subject.parts() if name in group]:
            if before.outcome != "equal":
                break
            if name not in seat.places:
                before = self._absent(subject, name, before)
                continue
            before, mismatch = self._compare(seat, subject, name, group[name], before)
            if mismatch is not None:
                mismatches[subject.name] = mismatch
            checks[subject.name] = before
        checks[subject.name] = before

    def _absent(self, subject: Subject, name: str, check: record.ModelCheck) -> record.ModelCheck:
        if name != subject.name:
            self._reporter.note(f"{subject.name}: the tensor before the last operators is not on the board to compare")
            return check
        return msgspec.structs.replace(check, outcome="failed", reason=f"not on the board. {self._how()}")

    def _how(self) -> str:
        plan = self._plan
        words = ["host verify", *map(str, plan.models), "--board", plan.board or "NAME", "--port", plan.port or "URL"]
        return f"`{' '.join(words)} --flash` brings it there; an emulated board needs no --port"

    def _compare(
        self, seat: Seat, subject: Subject, name: str, data: bytes, check: record.ModelCheck
    ) -> tuple[record.ModelCheck, Mismatch | None]:
        replace = msgspec.structs.replace
        self._reporter.update(f"comparing {name}", 0, len(self._inputs(subject)))
        try:
            arena_bytes = seat.select(name)
        except DeviceRefused as error:
            return replace(check, outcome="refused", reason=refusal(error)), None
        if subject.graph is None:
            _graph_or_raise(subject)
        inputs = self._inputs(subject)
        try:
            mismatch = self._first_mismatch(seat, name, data, inputs)
        except OracleFailed as error:
            return replace(check, outcome="failed", reason=str(error)), None
        finally:
            self._reporter.done(f"comparing {name}")
        compared = [*check.compared, "output" if name == subject.name else "before saturation"]
        check = replace(check, compared=compared)
        if name == subject.name:
            check = replace(check, arena_bytes=arena_bytes)
        if mismatch is None:
            return check, None
        return replace(check, outcome="differs", input=mismatch.input.name), mismatch

    def _first_mismatch(self, seat: Seat, name: str, data: bytes, inputs: Sequence[Input]) -> Mismatch | None:
        """Of the model selected."""
        expected = self._oracle.outputs(data, [one.data for one in inputs])
        for done, (one, wanted) in enumerate(zip(inputs, expected, strict=True)):
            self._reporter.update(f"comparing {name}", done, len(inputs))
            inference = seat.infer(name, one.data)
            if (inference.output_bytes, inference.output_crc) != (len(wanted), zlib.crc32(wanted)):
                return Mismatch(one, wanted, seat.output(inference))
        return None

    def _too_large(self, subject: Subject) -> record.ModelCheck:
        reason = f"{len(subject.data):,} bytes do not fit: the board has {self._seats.room_bytes:,} for models"
        return msgspec.structs.replace(_blank(subject, 0), outcome="failed", reason=reason)

    # ---- which operator ----

    def _explain(self, subject: Subject, check: record.ModelCheck, mismatch: Mismatch) -> record.ModelCheck:
        """Find the first operator whose output differs, by models that end with each."""
        graph = subject.graph
        if graph is None or not self._seats.free:
            reason = f"the output differs; {self._how()} and finds the operator"
            return msgspec.structs.replace(check, reason=reason)
        ends = usable_ends(graph)
        skipped: list[int] = []
        names = {str(end): end for end in ends}
        for group in self._seats.split([(str(end), graph.until(end)) for end in ends]):
            with self._seats.having(group) as seat:
                for name, data in group.items():
                    try:
                        seat.select(name)
                        found = self._first_mismatch(seat, name, data, [mismatch.input])
                    except (DeviceRefused, OracleFailed):
                        skipped.append(names[name])
                        continue
                    if found is not None:
                        return self._differs(graph, check, names[name], found, skipped)
        reason = f"the model differs, but none that ends with one of its operators does: {PLANNING}"
        return msgspec.structs.replace(check, reason=reason + _skipped(skipped))

    def _differs(
        self, graph: Graph, check: record.ModelCheck, end: int, found: Mismatch, skipped: Sequence[int]
    ) -> record.ModelCheck:
        operator = graph.operators[end]
        tensor = graph.tensors[operator.output]
        alone = self._alone(graph, end, found.input)
        difference = _difference(end, operator.name, tensor, found, alone)
        reason = f"operator {end} {operator.name} is the first whose output differs"
        if alone == "equal":
            reason += f", yet alone it gives the right output: {PLANNING}"
        return msgspec.structs.replace(check, reason=reason + _skipped(skipped), difference=difference)

    def _alone(self, graph: Graph, number: int, given: Input) -> record.Alone | None:
        """Whether the operator differs as a model of its own, on the oracle's input for it."""
        data = graph.alone(number)
        moving = [t for t in graph.operators[number].inputs if t >= 0 and not graph.tensors[t].constant]
        producer = graph.producer(moving[0]) if data is not None else None
        if data is None or producer is None:
            return None  # several inputs, or it is the first one: that was alone already
        try:
            (tensor,) = self._oracle.outputs(graph.until(producer.index), [given.data])
            with self._seats.having({"alone": data}) as seat:
                seat.select("alone")
                found = self._first_mismatch(seat, "alone", data, [Input(given.name, tensor)])
        except (DeviceRefused, OracleFailed):
            return None
        return "equal" if found is None else "differs"


def _graph_or_raise(subject: Subject) -> None:
    try:
        read_graph(subject.data)
    except SetupError as error:
        raise SetupError(f"{subject.name}: the engine takes it, but the host {error}") from error


def _blank(subject: Subject, inputs: int) -> record.ModelCheck:
    return record.ModelCheck(
        name=subject.name,
        source=subject.source,
        sha256=hashlib.sha256(subject.data).hexdigest(),
        bytes=len(subject.data),
        operators=len(subject.graph.operators) if subject.graph else 0,
        arena_bytes=None,
        inputs=inputs,
        compared=[],
        outcome="equal",
        reason="",
    )


def _skipped(skipped: Sequence[int]) -> str:
    return f" (not tried: operators {', '.join(map(str, skipped))})" if skipped else ""


def _difference(
    number: int, name: str, tensor: TensorFacts, found: Mismatch, alone: record.Alone | None
) -> record.Difference:
    dtype = tensor.dtype if tensor.dtype is not None else np.dtype(np.int8)
    bits = np.dtype(f"u{dtype.itemsize}")  # floats by their bits: two that are nan may be the same
    length = min(len(found.expected), len(found.got)) // dtype.itemsize * dtype.itemsize
    expected, got = (np.frombuffer(data[:length], dtype=bits) for data in (found.expected, found.got))
    differing = np.flatnonzero(expected != got)
    at = int(differing[0]) if differing.size else 0
    shape = tensor.shape if np.prod(tensor.shape, dtype=np.int64) > at else (at + 1,)
    return record.Difference(
        operator=number,
        name=name,
        shape=list(tensor.shape),
        element=[int(index) for index in np.unravel_index(at, shape)],
        expected=_shown(expected[at : at + 1], dtype),
        got=_shown(got[at : at + 1], dtype),
        differing=max(int(differing.size), 1),
        elements=max(len(found.expected) // dtype.itemsize, 1),
        alone=alone,
    )


def _shown(bits: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> str:
    if not bits.size:
        return "nothing"
    value = bits.view(dtype)[0]
    return f"{value!s} (0x{int(bits[0]):08x})" if dtype.kind == "f" else str(int(value))
