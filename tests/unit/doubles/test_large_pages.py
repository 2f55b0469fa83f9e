"""A process keeps what is in its memory when that is put into large pages."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]
PROGRAM = """
import re
from pathlib import Path

from doubles.large_pages import take_large_pages

content = bytes(range(256)) * 32_768
memory = bytearray(content)
taken = take_large_pages()
assert memory == content
in_large_pages = re.search(r"AnonHugePages: +(\\d+) kB", Path("/proc/self/smaps_rollup").read_text())
assert int(in_large_pages[1]) >= taken * 2_048
"""


def test_memory_is_as_it_was_and_in_as_many_large_pages_as_the_system_gives():
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=False, env=environment, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()
