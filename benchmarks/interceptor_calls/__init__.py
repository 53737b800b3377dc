"""The parts of benchmarks/interceptors.py."""
