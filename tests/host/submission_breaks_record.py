# SPDX-License-Identifier: Apache-2.0
"""Ways to break a results.json: in a byte, or in what it says."""

from __future__ import annotations

from submission_mutants import Change, Mutants, Package

from host.results.schema import Accuracy

MUTANTS: Mutants = {}
ACCURACY = Accuracy(metric="top1", value=0.9, n=1, target=None, met=None)


def rewritten(old: bytes, new: bytes) -> Change:
    def put(package: Package) -> None:
        path = package.results("energy") / "results.json"
        assert old in path.read_bytes()
        package.put(path, path.read_bytes().replace(old, new, 1))

    return put


for name, (rules, old, new) in {
    "no_json": ({"record"}, b"{", b"("),
    "a_field_more": ({"record"}, b'"mode":', b'"note": "x",\n  "mode":'),
    "another_layout": ({"record"}, b"\n", b"\n\n"),
    "a_changed_word": ({"record"}, b'"python": "3', b'"python": "4'),
    "a_nan": ({"record"}, b'"k": 2.0', b'"k": NaN'),
    "an_infinity": ({"record"}, b'"k": 2.0', b'"k": 1e999'),
    "a_long_number": ({"record"}, b'"k": 2.0', b'"k": ' + b"9" * 100_000),
    "no_text": ({"record"}, b'"python": "3', b'"python": "\xff'),
    "no_end": ({"record"}, b'"k": 2.0', b'"k": ' + b"[" * 200_000),
    "an_emulated_run": ({"provenance"}, b'"measured"', b'"emulated"'),
    "a_replayed_run": ({"provenance"}, b'"measured"', b'"replayed"'),
    "another_schema": ({"record"}, b"tinyjoule.submission/1", b"tinyjoule.submission/9"),
}.items():
    MUTANTS[f"a_record_with_{name}"] = (rules, rewritten(old, new))

for name, (rules, fields) in {
    "of_another_organization": ({"place"}, {"organization": "other"}),
    "of_another_system": ({"place"}, {"system": "other"}),
    "of_another_benchmark": ({"place"}, {"benchmark": "vww"}),
    "of_another_division": ({"place"}, {"division": "open"}),
    "of_another_mode": ({"place"}, {"mode": "accuracy", "run__mode": "accuracy"}),
    "of_another_task": ({"place"}, {"run__task": "vww01"}),
    "of_a_quick_look": ({"rules"}, {"run__rules": "quick"}),
    "of_an_invalid_run": ({"rules"}, {"run__valid": False, "run__reasons": ["the model is not the official one"]}),
    "of_an_invalid_run_without_reason": ({"rules"}, {"run__valid": False}),
    "of_no_time": ({"record"}, {"created": "yesterday"}),
    "of_no_board": ({"record", "log-device", "same-firmware"}, {"units": []}),
    "of_a_board_that_is_not_there": ({"record"}, {"run__unit": 3}),
    "of_another_firmware": ({"same-firmware", "log-device"}, {"firmware__compiler": "another 1.0"}),
    "of_another_version": ({"same-firmware", "log-device"}, {"firmware__version": "9"}),
    "of_another_board": ({"same-firmware", "log-device", "log-head"}, {"board__name": "other"}),
    "of_another_clock": ({"same-firmware", "log-device"}, {"board__clock_hz": 999}),
    "of_another_build": ({"same-firmware", "log-device"}, {"units__0__build_id": "0" * 16}),
    "of_another_image": ({"same-firmware"}, {"firmware__sha256": "0" * 64}),
    "of_another_session": ({"log-head"}, {"session": "other"}),
    "of_other_inputs": ({"same-firmware", "log-head"}, {"run__dataset__sha256": "0" * 64}),
    "of_other_labels": ({"same-firmware"}, {"run__dataset__labels_sha256": "0" * 64}),
    "of_another_log": ({"hash"}, {"log_sha256": "0" * 64}),
    "of_other_results": ({"hash"}, {"results_sha256": "0" * 64}),
    "of_other_code": ({"hash"}, {"code_sha256": "0" * 64}),
    "with_another_energy": ({"log-results"}, {"run__energy_uj__value": 1.0}),
    "with_another_gross": ({"log-results"}, {"run__energy_uj__gross": 1.0}),
    "with_another_power": ({"log-results"}, {"run__energy_uj__mean_mw": 1.0}),
    "with_another_power_in_a_window": ({"log-results"}, {"run__energy_uj__windows__2__mean_mw": 1.0}),
    "net_of_idle": ({"log-results"}, {"run__energy_uj__net": 1.0}),
    "with_another_u": ({"log-results"}, {"run__energy_uj__u": 0.1}),
    "with_another_k": ({"log-results"}, {"run__energy_uj__k": 1.0}),
    "without_energy": ({"log-results"}, {"run__energy_uj": None}),
    "with_lost_samples": ({"log-results"}, {"run__energy_uj__windows__2__lost_samples": 7}),
    "with_an_overload": ({"log-results"}, {"run__energy_uj__windows__2__overloads": 7}),
    "with_an_invalid_window": ({"log-results"}, {"run__energy_uj__windows__2__valid": False}),
    "with_another_window": ({"log-results"}, {"run__energy_uj__windows__2__energy_uj": lambda old: old * 0.9}),
    "with_another_duration": ({"log-results"}, {"run__energy_uj__windows__2__duration_s": 11.0}),
    "with_other_inferences": ({"log-results"}, {"run__energy_uj__windows__2__inferences": 1000}),
    "with_a_window_less": ({"log-results"}, {"run__energy_uj__windows": lambda old: old[:4]}),
    "with_another_latency": ({"log-results"}, {"run__latency_us__median": 1.0}),
    "with_another_spread": ({"log-results"}, {"run__latency_us__cv": 0.5}),
    "with_another_interval": ({"log-results"}, {"run__latency_us__interval__high": 1e9}),
    "with_another_throughput": ({"log-results"}, {"run__throughput_inf_per_s": 1e9}),
    "with_accuracy_in_it": ({"log-results"}, {"run__accuracy": ACCURACY}),
}.items():
    MUTANTS[f"a_record_{name}"] = (rules, lambda package, fields=fields: package.change("energy", **fields))
