"""Benchmark of Bellflower and Flower 2.2.0 in one run: `python -m bench --help`. The method: docs/benchmarks.md."""
