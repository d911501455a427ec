"""The protocol between host and device: wire.toml says it, codec.py speaks it, gen.py writes the firmware's table."""
