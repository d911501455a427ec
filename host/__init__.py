"""tinyjoule's host side: drives a device over a line, times it, scores it and writes the result down."""

__version__ = "0.1.0"
