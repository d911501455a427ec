# SPDX-License-Identifier: Apache-2.0
"""What MLPerf Tiny says of its benchmarks, for the check of a package: written down once more, so that a package is not
judged by the table it was written with. A test holds both to the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

MIN_WINDOWS: Final = 5
MIN_WINDOW_US: Final = 10_000_000
MIN_INFERENCES: Final = 10
CLOCK_LIMIT: Final = 0.01
"""The board's clock against the power monitor's, as a fraction."""


@dataclass(frozen=True, slots=True)
class Official:
    """A benchmark. target: a fraction of 1. classes: outputs of an inference. windows: of an input, each one inference.

    labels_sha256: of `name,label` and a line feed for every input of the official list, in its order. model_sha256:
    of the official quantised file.
    """

    task: str
    metric: Literal["top1", "auc"]
    target: float
    inputs: int
    classes: int
    labels_sha256: str
    model_sha256: str
    windows: int = 1


OFFICIAL: Final = {
    "ad": Official(
        "ad01",
        "auc",
        target=0.85,
        inputs=248,
        classes=1,
        windows=196,
        labels_sha256="c28edc4a43bf29df6108062742dfcb7ecd8e9ee7e60db45b9ded0c5bed732bb4",
        model_sha256="87cf24194ef93d1d9b11a591d805526b98008e351655d29883c825c9c106ba24",
    ),
    "ic": Official(
        "ic01",
        "top1",
        target=0.85,
        inputs=200,
        classes=10,
        labels_sha256="209a004e1c5a99e5a0da0f3442d85a6adef27ebc5c300027984cecda90fe7e3e",
        model_sha256="3c002613d1b2475eb51dd78dfb85a546c8ae658dee71cf6ade43b022fe205415",
    ),
    "kws": Official(
        "kws01",
        "top1",
        target=0.90,
        inputs=1000,
        classes=12,
        labels_sha256="c29dee25f94d56439828dca5c7d6950cd09d71f091d76760cecebd93e87e7a99",
        model_sha256="aeea436800704fce17b17292e4412630ad856e9d777c044c64ef748a880bd0ae",
    ),
    "vww": Official(
        "vww01",
        "top1",
        target=0.80,
        inputs=1000,
        classes=2,
        labels_sha256="04b8860587ec8bf2660761fa497f2f454d6f8ef8a28568e1fa99f1d4f630d1e4",
        model_sha256="597a384c8c2c8a1276f04702f25013b7838f2f814f1ca7c174d295b73e3d6b7b",
    ),
}
