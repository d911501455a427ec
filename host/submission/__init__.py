# SPDX-License-Identifier: Apache-2.0
"""A package that MLPerf Tiny takes: what it holds (`layout`), how it is made (`write`)."""
