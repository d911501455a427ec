"""Holds a board's outputs against tflite-micro's, bit for bit, and finds the operator that differs."""

from __future__ import annotations

from host.verify.session import VerifyPlan, verify

__all__ = ["VerifyPlan", "verify"]
