"""The order of the test files names files that exist."""

from pathlib import Path

import pytest
from distribution import LONG, PATIENT


@pytest.mark.parametrize("file", [*PATIENT, *LONG])
def test_a_file_in_the_order_exists_and_stands_there_once(file: str) -> None:
    assert (Path(__file__).parents[2] / file).is_file()
    assert [*PATIENT, *LONG].count(file) == 1
