# SPDX-License-Identifier: Apache-2.0
"""Trains the larger image classifier of newer rules: the topology and the data of models/ic01/train.py, 40 filters.

    python models/ic02/train.py --out FILE.tflite --data FOLDER

FOLDER holds cifar-10-python.tar.gz, or what was unpacked from it; without --data it is what `host data fetch ic01`
keeps.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from host import recipe as recipes
from host.cli import _training
from host.paths import PROJECT_DIR

ic01 = recipes.load(PROJECT_DIR / "models" / "ic01" / "train.py")
FILTERS = 40


def build(keras: Any) -> Any:
    """The official topology."""
    return ic01.build(keras, FILTERS)


RECIPE = dataclasses.replace(ic01.RECIPE, task="ic02", build=build)

if __name__ == "__main__":
    sys.exit(_training.main(RECIPE, __doc__))
