"""A bounded dose of what ``campaign`` and ``guided`` do for as long as one likes."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from .campaign import run
from .mutation import CORPUS, Mutator

MESSAGES: Final = 2_500
GUIDED_S: Final = 1
TESTS: Final = Path(__file__).parents[1]


@pytest.mark.parametrize("seed", [2026])
def test_mutated_messages_raise_nothing_but_parse_errors_and_leave_nothing_behind(seed):
    read = run(MESSAGES, seed)
    assert MESSAGES / 2 < read < MESSAGES, "mutations that nothing can read, or that everything can, test little"


def test_messages_grown_for_coverage_raise_nothing_but_parse_errors(tmp_path):
    for number, data in enumerate(CORPUS):
        (tmp_path / f"{number}.sip").write_bytes(data)
    limits = [f"-max_total_time={GUIDED_S}", "-max_len=4096", f"-artifact_prefix={tmp_path}/"]
    command = [sys.executable, "-m", "fuzz.guided", str(tmp_path), *limits]
    result = subprocess.run(
        command, cwd=TESTS, env=os.environ | {"TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-4_000:]
    done = re.search(r"Done (\d+) runs", result.stderr)
    assert done, result.stderr[-2_000:]
    assert int(done[1]) > len(CORPUS)


def test_the_same_seed_makes_the_same_messages():
    """So that a message that broke something can be made again."""
    first, second = Mutator(5), Mutator(5)
    assert [first.message() for _ in range(50)] == [second.message() for _ in range(50)]
