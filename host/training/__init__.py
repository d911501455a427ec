# SPDX-License-Identifier: Apache-2.0
"""Training of the models in models/<id>/train.py: what all of them share. TensorFlow is loaded only when one runs.

A model's folder says what is its own: topology, data, schedule (`Recipe`). Here: batches, training, int8 conversion
with a calibration set, the checks that hold a result to the official model, and the record that is left beside it.
"""
