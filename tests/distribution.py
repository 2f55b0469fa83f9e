"""Which tests go to which worker, and in which order: some wait while others compute, and the longest files come first.

A test of a running switch waits for timers most of its time, a property computes. Were all workers to do the same, the
processors would rest at first and be too few later.
"""

from functools import cached_property
from typing import Final

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

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
    "tests/restarts/test_restarts.py",
    "tests/console/test_screens.py",
    "tests/console/test_make_run.py",
    "tests/console/test_installation.py",
    "tests/console/test_operations.py",
    "tests/console/test_objects.py",
    "tests/console/test_money.py",
    "tests/console/test_shell.py",
    "tests/console/test_rates.py",
    "tests/console/test_calls_in_detail.py",
    "tests/faults/test_lost_commits.py",
    "tests/interop/test_registrar.py",
    "tests/integration/test_package.py",
    "tests/integration/test_backup.py",
    "tests/interop/test_kamailio.py",
    "tests/interop/test_baresip.py",
    "tests/interop/test_media_by_rtpengine.py",
    "tests/interop/test_rtpengine.py",
    "tests/interop/test_encryption_by_rtpengine.py",
    "tests/faults/test_rate_files.py",
    "tests/faults/test_calls_outlive_the_process.py",
    "tests/integration/test_kernel_forwarding.py",
    "tests/integration/test_relay.py",
    "tests/e2e/test_media.py",
    "tests/e2e/test_offload.py",
    "tests/faults/test_start_without_database.py",
    "tests/faults/test_stopped_switch.py",
    "tests/e2e/test_metrics.py",
    "tests/e2e/test_wary_vendors.py",
    "tests/integration/test_daemon.py",
    "tests/integration/test_late_start.py",
    "tests/e2e/test_setup.py",
    "tests/faults/test_two_switches.py",
    "tests/faults/test_legs_after_a_kill.py",
    "tests/faults/test_away_and_back.py",
    "tests/faults/test_damaged_journal.py",
    "tests/e2e/test_registrations.py",
    "tests/e2e/test_authentication.py",
    "tests/e2e/test_load.py",
    "tests/e2e/test_floods.py",
    "tests/integration/test_named_gateways.py",
    "tests/e2e/test_keepalive.py",
    "tests/api/test_both_fronts.py",
    "tests/api/test_deck_imports.py",
    "tests/contract/test_month_close.py",
    "tests/contract/test_reports_recounted.py",
    "tests/contract/test_invoices.py",
    "tests/contract/test_traffic.py",
    "tests/unit/api/test_verdicts_on_operations.py",
    "tests/property/test_switch_storm.py",
    "tests/property/test_calls_after_a_kill.py",
    "tests/contract/test_dropped_records.py",
    "tests/contract/test_checkpoints.py",
    "tests/unit/config/test_every_key_has_an_effect.py",
    "tests/unit/b2bua/test_races_while_it_rings.py",
    "tests/contract/test_separate_books.py",
    "tests/fuzz/test_fuzz.py",
    "tests/property/test_switch_dead_peers.py",
    "tests/contract/test_queue_in_outages.py",
    "tests/contract/test_listing_plans.py",
    "tests/unit/sip/test_sip_linear_time.py",
    "tests/unit/b2bua/test_no_garbage.py",
    "tests/unit/config/test_config_arbitrary_input.py",
)
"""First those that wait, then those that compute."""
_WAITING: Final = ("tests/chaos", "tests/console", "tests/e2e", "tests/faults", "tests/integration", "tests/interop")
"""Folders of tests with a running switch."""
_RANKS: Final = {file: rank for rank, file in enumerate((*PATIENT, *LONG))}
_PATIENT_SCOPE: Final = "patient"


class WaitingBesideComputing(LoadFileScheduling):
    """Give each worker whole files, in the order in which they were collected: to every second one those that wait.

    A worker that finds none of its kind left takes one of the other.
    """

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    @cached_property
    def _places(self) -> dict[str, int]:
        """The place of each test in the collection, which is that of every worker."""
        return {nodeid: place for place, nodeid in enumerate(self.collection)}

    def _assign_work_unit(self, node: WorkerController) -> None:
        waits = int(node.gateway.id.removeprefix("gw")) % 2 == 0
        scope = next((scope for scope in self.workqueue if _waits(scope) is waits), next(iter(self.workqueue)))
        tests = self.workqueue.pop(scope)
        self.assigned_work[node][scope] = tests
        node.send_runtest_some([self._places[test] for test, is_done in tests.items() if not is_done])

    def _reschedule(self, node: WorkerController) -> None:
        """Let a worker know its next test while it runs one, or that there is none: it waits for that."""
        while not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            super()._reschedule(node)

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """Note that a worker has done a test, and forget a file that is done: it would be counted after every test."""
        super().mark_test_complete(node, item_index, duration)
        scope = self._split_scope(self.collection[item_index])
        if all(self.assigned_work[node][scope].values()):
            del self.assigned_work[node][scope]

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return _PATIENT_SCOPE if file in PATIENT else file


def rank(item: pytest.Item) -> int:
    """Return the place of a test's file in the order."""
    return _RANKS.get(item.nodeid.partition("::")[0], len(_RANKS))


def _waits(scope: str) -> bool:
    return scope == _PATIENT_SCOPE or scope.startswith(_WAITING)
