# SPDX-License-Identifier: Apache-2.0
"""The report: result folders as one HTML page that needs nothing but itself."""
