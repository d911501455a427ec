"""Energy per inference: instruments, the virtual analyser, windows, integration and uncertainty.

Nothing is here yet but its place: `host bench --mode energy` says so. This package never imports `host`.
"""
