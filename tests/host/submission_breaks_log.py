# SPDX-License-Identifier: Apache-2.0
"""Ways to break a log.txt: its form, its record, what the device says in it; and the run rules, in figures that agree
with each other wherever they are."""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec.structs import replace
from submission_mutants import Lines, Mutants, Package, keeper, number_of, sub
from submission_refits import edit_number, metered, miss, put_inputs, put_metered, put_windows, scored, timed

MUTANTS: Mutants = {}
mutant = keeper(MUTANTS)


def raw(change: Callable[[bytes], bytes]) -> Callable[[Package], None]:
    """Other bytes in the log, that results.json has the hash of."""

    def put(package: Package) -> None:
        path = package.results("energy") / "log.txt"
        data = path.read_bytes()
        assert change(data) != data
        package.put(path, change(data))
        package.rehash("energy")

    return put


def in_session(text: str) -> Callable[[Lines], None]:
    """A line among the session's own, in the third place."""
    return lambda lines: lines.insert(2, text)


# -- Form ----------------------------------------------------------------------------------------------------------

FORMS: dict[str, tuple[set[str], Callable[[bytes], bytes]]] = {
    "no_line_end": ({"log-form", "log-record", "results"}, lambda data: data[:-1]),
    "an_end_of_windows": ({"log-head"}, lambda data: data.replace(b"\n", b"\r\n", 2)),
    "a_tab": ({"log-form"}, lambda data: data.replace(b"host: ", b"host:\t", 1)),
    "bytes_beyond_ascii": ({"log-form"}, lambda data: data.replace(b"host: ", b"host: \xc3\xa9", 1)),
    "a_zero_byte": ({"log-form"}, lambda data: data.replace(b"host: ", b"host: \0", 1)),
    "an_unknown_source": ({"log-form"}, lambda data: data.replace(b"host: ", b"root: ", 1)),
    "half_an_escape": ({"log-form"}, lambda data: data.replace(b"host: ", b"host: \\x4", 1)),
    "a_needless_escape": ({"log-form"}, lambda data: data.replace(b"host: ", b"host: \\x41", 1)),
    "no_day": ({"log-form"}, lambda data: re.sub(rb"\n\d{4}\.", b"\n1340.", data, count=1)),
    "a_time_before": ({"log-form"}, lambda data: re.sub(rb"\n\d{4}\.", b"\n0101.", data, count=1)),
    "an_endless_line": ({"log-form"}, lambda data: data.replace(b"host: ", b"host: " + b"x" * (1 << 20), 1)),
    "nothing_but_zeros": ({"log-head"}, lambda data: b"\0" * (1 << 20)),
    "nothing": ({"log-head"}, lambda data: b""),
    "two_heads": ({"log-form"}, lambda data: data.split(b"\n")[0] + b"\n" + data),
    "no_head": ({"log-head"}, lambda data: data.partition(b"\n")[2]),
    "a_half_head": ({"log-head"}, lambda data: data.replace(b'"rules"', b'"rule"', 1)),
    "an_endless_head": ({"log-head"}, lambda data: data.replace(b'"rules":', b'"rules":' + b"[" * 60_000, 1)),
    "an_emulated_head": ({"log-head"}, lambda data: data.replace(b'"measured"', b'"emulated"', 1)),
    "a_number_of_one_board": ({"log-form"}, lambda data: data.replace(b" dut: m-info", b" dut.2: m-info", 1)),
    "numbers_of_boards": ({"log-device"}, lambda data: re.sub(rb" (dut|host|note): ", rb" \1.1: ", data)),
    "a_record_of_a_board": (
        {"log-form", "log-record", "results"},
        lambda data: data.replace(b"ulp-mlperf: ", b"ulp-mlperf.1: ", 1),
    ),
}
for name, (rules, change) in FORMS.items():
    MUTANTS[f"a_log_with_{name}"] = (rules, raw(change))


@mutant("log-form")
def a_line_within_the_record(package: Package) -> None:
    package.relog(
        "energy", lambda lines: lines.insert(number_of(lines, "Energy data", 2), lines[-1][:12] + "dut: m-ready")
    )


@mutant("hash")
def a_log_that_was_touched(package: Package) -> None:
    path = package.results("energy") / "log.txt"
    package.put(path, path.read_bytes().replace(b"m-init-done", b"m-init-d0ne", 1).replace(b"m-ready", b"m-read1", 1))


@mutant("log-head")
def a_head_of_another_session(package: Package) -> None:
    package.relog("energy", sub(package.record("energy").session, "0" * 32))


@mutant("log-head")
def a_head_of_other_windows(package: Package) -> None:
    package.relog("energy", sub('"windows":5', '"windows":6'))


@mutant("log-head")
def a_head_of_another_board(package: Package) -> None:
    package.relog("energy", sub('"board":"', '"board":"other_'))


# -- The record ----------------------------------------------------------------------------------------------------

for mode, opening in (("energy", "Energy data for"), ("performance", "Performance results for")):
    for name, edit in {
        "a_line_less": lambda lines, opening=opening: lines.pop(number_of(lines, opening, 1) + 2),
        "a_line_twice": lambda lines, opening=opening: lines.insert(
            number_of(lines, opening, 1), lines[number_of(lines, opening)]
        ),
        "two_lines_changed_over": lambda lines, opening=opening: lines.insert(
            number_of(lines, opening, 1) + 3, lines.pop(number_of(lines, opening, 1) + 2)
        ),
        "another_number": sub("window 3:", "window 4:"),
        "a_negative_number": sub("# Inferences :  ", "# Inferences : -"),
        "a_window_of_nothing": sub("# Inferences :          2", "# Inferences :          0"),
        "no_number": lambda lines, opening=opening: edit_number(lines, "# Inferences :", "nan"),
        "no_ruler": lambda lines: lines.pop(number_of(lines, "-----")),
        "more_behind_it": lambda lines: lines.append(lines[-1]),
        "no_name": sub('Input        : "', "Input        : '"),
        "a_broken_name": sub('Input        : "', 'Input        : "\\\\q'),
    }.items():
        MUTANTS[f"a_record_of_{mode}_with_{name}"] = (
            {"log-record"},
            lambda package, mode=mode, edit=edit: package.relog(mode, edit),
        )
for name, edit in {
    "an_input_less": lambda lines: lines.pop(number_of(lines, "Input 500 of")),
    "the_last_input_less": lambda lines: lines.pop(number_of(lines, "Input 1000 of")),
    "another_total": sub("of 1000: ", "of 1001: ", 0),
    "a_field_more": sub('"label":', '"x":1,"label":'),
    "a_huge_label": sub('"label":', '"label":' + "9" * 5000),
    "a_negative_label": sub('"label":', '"label":-'),
    "an_output_that_is_no_number": sub('"outputs":[', '"outputs":[NaN,'),
    "an_endless_output": sub('"outputs":[', '"outputs":' + "[" * 30_000),
}.items():
    MUTANTS[f"a_record_of_accuracy_with_{name}"] = (
        {"log-record"},
        lambda package, edit=edit: package.relog("accuracy", edit),
    )


@mutant("results")
def a_line_more_in_the_results(package: Package) -> None:
    path = package.results("energy") / "results.txt"
    package.put(path, path.read_text() + "all is well\n")
    package.rehash("energy")


@mutant("results", "published")
def a_figure_more_in_the_results(package: Package) -> None:
    path = package.results("energy") / "results.txt"
    package.put(path, path.read_text() + "x Median energy cost is 1.0 uJ/inf.\n")
    package.rehash("energy")


@mutant("results", "published")
def a_figure_less_in_the_results(package: Package) -> None:
    path = package.results("accuracy") / "results.txt"
    package.put(path, "".join(line for line in path.read_text().splitlines(True) if "Top" not in line))
    package.rehash("accuracy")


# -- What the device said ------------------------------------------------------------------------------------------


@mutant("log-device")
def laps_of_other_windows(package: Package) -> None:
    put_windows(package, [replace(one, duration_us=one.duration_us + 1) for one in timed(package)], device=False)


@mutant("log-device")
def other_inferences_than_the_device_did(package: Package) -> None:
    put_windows(package, [replace(one, inferences=one.inferences + 1) for one in timed(package)], device=False)


@mutant("log-device")
def windows_in_another_order(package: Package) -> None:
    windows = [replace(one, duration_us=one.duration_us + 1000 * at) for at, one in enumerate(timed(package))]
    put_windows(package, windows)
    put_windows(package, windows[::-1], device=False)


@mutant("log-device")
def laps_that_nobody_took(package: Package) -> None:
    package.relog("performance", lambda lines: [line for line in lines if "m-lap-us" not in line])


@mutant("log-device")
def another_build(package: Package) -> None:
    package.relog("energy", sub("m-info-build-id-[", "m-info-build-id-[0"))


@mutant("log-device")
def another_board(package: Package) -> None:
    package.relog("energy", sub("m-info-board-[", "m-info-board-[mps2_"))


@mutant("log-device")
def another_model(package: Package) -> None:
    package.relog("energy", sub("m-info-model-sha256-[aeea", "m-info-model-sha256-[0000", 0))


@mutant("log-device")
def a_device_that_says_nothing_of_itself(package: Package) -> None:
    package.relog("energy", lambda lines: [line for line in lines if "m-info-" not in line])


# -- Run rules, where everything else agrees -----------------------------------------------------------------------


@mutant("windows")
def four_windows(package: Package) -> None:
    put_windows(package, timed(package)[:4])


@mutant("windows", "log-results")
def no_window(package: Package) -> None:
    put_windows(package, [])


@mutant("windows")
def four_windows_of_energy(package: Package) -> None:
    put_metered(package, metered(package)[:4])


@mutant("window-time")
def a_window_of_nearly_ten_seconds(package: Package) -> None:
    first, *others = timed(package)
    put_windows(package, [replace(first, duration_us=9_999_999), *others])


@mutant("window-time", "clocks")
def a_window_of_energy_of_nine_seconds(package: Package) -> None:
    *others, last = metered(package)
    put_metered(package, [*others, replace(last, duration_s=9.0)])


@mutant("window-inferences")
def a_window_of_nine_inferences(package: Package) -> None:
    first, *others = timed(package)
    put_windows(package, [replace(first, inferences=9), *others])


@mutant("window-inputs")
def an_input_in_two_windows(package: Package) -> None:
    first, second, *others = timed(package)
    put_windows(package, [first, replace(second, input=first.input), *others])


@mutant("window-inputs")
def an_input_in_two_windows_of_energy(package: Package) -> None:
    first, second, *others = metered(package)
    put_metered(package, [first, replace(second, input=first.input), *others])


@mutant("clocks")
def a_monitor_whose_clock_is_slow(package: Package) -> None:
    put_metered(package, [replace(one, duration_s=(one.duration_s or 0) * 0.98) for one in metered(package)])


@mutant("clocks")
def a_board_whose_clock_is_slow(package: Package) -> None:
    """By the log's own times every window takes twice as long as the board says."""

    def slow(lines: Lines) -> None:
        late_s = 0
        for at, line in enumerate(lines):
            late_s += 20 if "dut: m-infer-done" in line else 0
            day, clock = line[:4], [int(line[5:7]), int(line[7:9]), int(line[9:11])]
            time_s = (clock[0] * 60 + clock[1]) * 60 + clock[2] + late_s
            lines[at] = f"{day}.{time_s // 3600 % 24:02}{time_s // 60 % 60:02}{time_s % 60:02}{line[11:]}"

    package.relog("performance", lambda lines: lines.__setitem__(slice(None), ["0101.0000" + one[9:] for one in lines]))
    package.relog(
        "performance", lambda lines: lines.__setitem__(slice(None), [one[:9] + "00" + one[11:] for one in lines])
    )
    package.relog("performance", slow)


@mutant("median")
def a_median_that_is_the_best(package: Package) -> None:
    package.relog("performance", sub("Median throughput is    21.7", "Median throughput is    21.9"))


@mutant("median")
def a_throughput_that_nobody_has_measured(package: Package) -> None:
    package.relog("performance", sub("  Throughput   :      21.7", "  Throughput   :      21.9"))


@mutant("median")
def a_median_energy_that_is_too_small(package: Package) -> None:
    package.relog("energy", sub("Median energy cost is 2526", "Median energy cost is 2500"))


@mutant("median")
def an_energy_per_inference_that_is_too_small(package: Package) -> None:
    package.relog("energy", sub("Energy/Inf.  :     2526.", "Energy/Inf.  :     2500."))


@mutant("median", "log-results")
def a_window_that_took_no_energy(package: Package) -> None:
    package.relog("energy", lambda lines: edit_number(lines, "  Energy       :", "0.000000", 1))
    package.relog("energy", lambda lines: edit_number(lines, "  Energy/Inf.  :", "0.000000", 1))


@mutant("digits")
def more_digits_than_the_uncertainty_is_worth(package: Package) -> None:
    package.relog("energy", lambda lines: edit_number(lines, "Median energy cost is", "2526.4631"))


@mutant("digits")
def fewer_digits_than_are_due(package: Package) -> None:
    package.relog("performance", lambda lines: edit_number(lines, "Median throughput is", "21.73"))


@mutant("digits")
def a_runtime_without_its_microseconds(package: Package) -> None:
    put_windows(package, [replace(one, duration_us=11_000_000) for one in timed(package)])
    package.relog("performance", sub("11.000000 sec.", "11.000 sec."))


@mutant("official-set")
def an_input_less(package: Package) -> None:
    put_inputs(package, scored(package)[:999])


@mutant("official-set")
def an_input_twice(package: Package) -> None:
    inputs = scored(package)
    put_inputs(package, [*inputs[:999], inputs[0]])


@mutant("official-set")
def inputs_in_another_order(package: Package) -> None:
    put_inputs(package, scored(package)[::-1])


@mutant("official-set")
def a_label_that_fits(package: Package) -> None:
    first, *others = scored(package)
    assert first.label != first.predicted
    put_inputs(package, [replace(first, label=first.predicted), *others])


@mutant("outputs")
def a_prediction_that_fits(package: Package) -> None:
    first, *others = scored(package)
    put_inputs(package, [replace(first, predicted=first.label), *others])


@mutant("outputs", "log-results")
def an_output_less(package: Package) -> None:
    first, *others = scored(package)
    put_inputs(package, [replace(first, outputs=first.outputs[:-1]), *others])


@mutant("outputs")
def a_score_beside_classes(package: Package) -> None:
    first, *others = scored(package)
    put_inputs(package, [replace(first, score=1.0), *others])


@mutant("target")
def too_many_wrong(package: Package) -> None:
    put_inputs(package, [miss(one) for one in scored(package)])


@mutant("median")
def a_share_that_was_rounded_up(package: Package) -> None:
    package.relog("accuracy", lambda lines: edit_number(lines, "Top 1% =", "90.2"))


@mutant("median")
def an_area_that_was_rounded_up(package: Package) -> None:
    def up(lines: Lines) -> None:
        area = float(lines[number_of(lines, "AUC = ")].rpartition(" ")[2])
        edit_number(lines, "AUC =", f"{area + 0.001:.3f}")

    package.relog("accuracy", up)


@mutant("median")
def no_share(package: Package) -> None:
    package.relog("accuracy", lambda lines: lines.pop(number_of(lines, "AUC = ")))


for name, (mode, fields) in {
    "another_accuracy": ("accuracy", {"run__accuracy__value": 0.95}),
    "another_area": ("accuracy", {"run__accuracy__auc": 0.999}),
    "no_accuracy": ("accuracy", {"run__accuracy": None}),
    "another_target": ("accuracy", {"run__accuracy__target": 0.5}),
    "a_target_that_is_missed": ("accuracy", {"run__accuracy__met": False}),
    "another_metric": ("accuracy", {"run__accuracy__metric": "auc"}),
    "other_inputs": ("accuracy", {"run__accuracy__n": 1}),
    "a_latency_of_its_own": ("performance", {"run__latency_us__median": 1.0}),
    "no_latency": ("performance", {"run__latency_us": None}),
    "ticks_for_microseconds": ("performance", {"run__latency_us__unit": "ticks"}),
    "a_throughput_of_its_own": ("performance", {"run__throughput_inf_per_s": 1e6}),
    "another_window": ("performance", {"run__windows__2__duration_us": 1}),
    "another_input": ("performance", {"run__windows__2__input": "x"}),
    "a_window_less": ("performance", {"run__windows": lambda old: old[:4]}),
}.items():
    MUTANTS[f"a_record_of_{mode}_that_has_{name}"] = (
        {"log-results"},
        lambda package, mode=mode, fields=fields: package.change(mode, **fields),
    )
