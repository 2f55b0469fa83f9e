"""Which tests go to one worker, and in which order: the longest files first, so that workers end at the same time."""

from typing import Final

import pytest
from xdist.scheduler import LoadFileScheduling

PATIENT: Final = (
    "tests/e2e/test_session_timers.py",
    "tests/e2e/test_calls.py",
    "tests/e2e/test_transports.py",
    "tests/e2e/test_telephones_at_home.py",
    "tests/e2e/test_used_up.py",
)
"""One unit of work. The last two look at calls and silences of a minute that begin with the first."""
LONG: Final = (
    "tests/chaos/test_chaos.py",
    "tests/faults/test_lost_commits.py",
    "tests/interop/test_registrar.py",
    "tests/integration/test_package.py",
    "tests/property/test_switch_dead_peers.py",
    "tests/e2e/test_registrations.py",
    "tests/fuzz/test_fuzz.py",
    "tests/e2e/test_authentication.py",
    "tests/e2e/test_load.py",
    "tests/e2e/test_floods.py",
    "tests/e2e/test_keepalive.py",
    "tests/faults/test_legs_after_a_kill.py",
    "tests/faults/test_away_and_back.py",
    "tests/integration/test_daemon.py",
    "tests/integration/test_late_start.py",
    "tests/integration/test_named_gateways.py",
    "tests/interop/test_kamailio.py",
    "tests/interop/test_baresip.py",
    "tests/unit/config/test_config_arbitrary_input.py",
)
_RANKS: Final = {file: rank for rank, file in enumerate((*PATIENT, *LONG))}
_PATIENT_SCOPE: Final = "patient"


class LongestFirst(LoadFileScheduling):
    """Give each worker whole files, in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return _PATIENT_SCOPE if file in PATIENT else file


def rank(item: pytest.Item) -> int:
    """Return the place of a test's file in the order."""
    return _RANKS.get(item.nodeid.partition("::")[0], len(_RANKS))
