"""Twenty kills of the switch and of its database: each answered call has one CDR, its true duration, and its money."""

from pathlib import Path

import pytest

from .campaign import Campaign

SEED = 1
ROUNDS = 2


@pytest.mark.mariadb
def test_each_answered_call_is_booked_once_whatever_is_killed(tmp_path: Path) -> None:
    with Campaign(tmp_path, SEED) as campaign:
        for _ in range(ROUNDS):
            campaign.round()
        print(campaign.figures())  # noqa: T201 - what was hit, where a test fails
        kills = campaign.blows["switch kill"] + campaign.blows["database kill"]
        assert kills == 20
        assert len(campaign.telephones.answered) > 50
