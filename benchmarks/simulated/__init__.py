"""Simulations of the statistics with seeds: what the tests run a little of, and benchmarks/judgement.py much."""
