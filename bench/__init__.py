"""Benchmarks of the whole switch: processor time, latency and memory of a call; other switches for comparison."""
