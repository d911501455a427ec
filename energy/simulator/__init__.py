# SPDX-License-Identifier: Apache-2.0
"""The virtual analyser: a real SCPI instrument on a TCP socket whose load is an emulated board, or a recording."""
