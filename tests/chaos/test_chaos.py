"""Twenty kills of the switch and of its database: each answered call has one CDR, its true duration, and its money."""

from pathlib import Path

import pytest

from .calls import Kind
from .campaign import Campaign

SEED = 1
KILLS = 20


@pytest.mark.mariadb
def test_each_answered_call_is_booked_once_whatever_is_killed(tmp_path: Path) -> None:
    with Campaign(tmp_path, SEED) as campaign:
        campaign.round(KILLS)
        print(campaign.figures())  # noqa: T201 - what was hit, where a test fails
        assert campaign.kills == KILLS
        answered = campaign.telephones.answered.values()
        assert len(answered) > 50
        assert {call.kind for call in answered} >= {*Kind} - {Kind.TO_PHONE}, "a database may lose a registration"
        assert campaign.books.transfers > 0
