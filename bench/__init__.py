"""Bellflower beside Flower 2.2.0, measured in one run. `python -m bench --help`; how: docs/benchmarks.md."""
