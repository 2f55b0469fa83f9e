"""The order of the test files names files that exist, and every worker gets files of its kind while there are some."""

from pathlib import Path

import pytest
from distribution import LONG, PATIENT, Work, next_of, work_of

ORDER = [*PATIENT, *(file for files in LONG.values() for file in files)]
OF_EACH_KIND = ["tests/unit/base/test_x.py", "tests/console/test_x.py", "tests/e2e/test_x.py", "tests/e2e/test_y.py"]


@pytest.mark.parametrize("file", ORDER)
def test_a_file_in_the_order_exists_and_stands_there_once(file: str) -> None:
    assert (Path(__file__).parents[2] / file).is_file()
    assert ORDER.count(file) == 1


@pytest.mark.parametrize("workers", [5, 6, 9])
def test_files_of_every_kind_run_from_the_start(workers: int) -> None:
    assert {work_of(next_of(OF_EACH_KIND, worker)) for worker in range(workers)} == set(Work)


def test_a_worker_takes_files_of_its_kind_in_their_order_and_others_when_there_are_none() -> None:
    left, taken = list(OF_EACH_KIND), []
    while left:
        taken.append(next_of(left, 0))
        left.remove(taken[-1])
    assert taken == [
        "tests/e2e/test_x.py",
        "tests/e2e/test_y.py",
        "tests/console/test_x.py",
        "tests/unit/base/test_x.py",
    ]


def test_a_file_that_waits_is_known_by_the_list_in_a_folder_of_those_that_compute() -> None:
    assert work_of("tests/unit/net/test_net_slots.py") is Work.WAITS
    assert work_of("tests/unit/net/test_net_tcp.py") is Work.COMPUTES
