"""The pure core: what is decided. No I/O, clock, logging or randomness; time is an argument.

A test (import-linter) holds that direction. Start reading at `model`, which names what flows through.
"""
