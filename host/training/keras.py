# SPDX-License-Identifier: Apache-2.0
"""TensorFlow, an optional extra of gigabytes: loaded late, on the CPU, made repeatable."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any

from host.errors import SetupError


def load_tensorflow(seed: int) -> Any:
    """The module `tensorflow`; everything random in it starts from `seed`. Raises SetupError, saying how to install it.

    On the CPU: the same seed and data give the same model on one machine and version. Other processors round otherwise.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise SetupError(
            "training needs the Python package tensorflow (over 2 GB), which is not installed: `make setup-train` "
            "brings it, or `.venv/bin/pip install -c tools/constraints.txt -e '.[train]'`"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its sums depend on the number of threads
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    tensorflow: Any = importlib.import_module("tensorflow")
    tensorflow.get_logger().setLevel("ERROR")
    importlib.import_module("absl.logging").set_verbosity("error")
    tensorflow.keras.utils.set_random_seed(seed)
    tensorflow.config.experimental.enable_op_determinism()
    return tensorflow
