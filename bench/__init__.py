"""Benchmarks of the whole switch: processor time, latency and memory of a call; other switches for comparison."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # peers and servers are those of the tests
