"""Energy per inference: instruments, the virtual analyser, windows, integration, uncertainty and traces.

This package never imports `host`.
"""
