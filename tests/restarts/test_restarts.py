"""Forty calls of every kind go on over three restarts and end from either side, as parties and books agree."""

from pathlib import Path

import pytest

from .campaign import LEAST, Campaign

CALLS = 40


@pytest.mark.mariadb
def test_calls_of_every_kind_go_on_over_three_restarts(tmp_path: Path, mariadb_url: str) -> None:
    assert CALLS >= LEAST
    with Campaign(tmp_path, mariadb_url, CALLS) as campaign:
        try:
            campaign.run()
        finally:
            print(campaign.figures)  # noqa: T201 - where a test fails
