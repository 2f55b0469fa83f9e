"""Benchmarks of the whole switch: what a call costs, what it waits, what it holds; and peers beside it."""
