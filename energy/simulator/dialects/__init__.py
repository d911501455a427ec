# SPDX-License-Identifier: Apache-2.0
"""How the virtual analyser speaks: one module for each instrument it can be."""
