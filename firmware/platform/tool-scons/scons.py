"""Stands in for PlatformIO's downloaded SCons: runs the one that pip installed."""

from SCons.Script.Main import main

main()
