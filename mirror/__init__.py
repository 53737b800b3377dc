"""Parallel running for gRPC: the collector that pairs mirrored calls, compares them and judges the candidate.

Data goes one way: collect -> core (pair, compare, judge) -> store -> serve.
"""

__version__ = "0.1.0"
