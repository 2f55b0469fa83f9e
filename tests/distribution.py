"""Which tests go to which worker, and in which order: some wait while others compute, and the longest files come first.

A test of a running switch waits most of its time, a property computes, a browser does both. Were all workers to do the
same, the processors would rest at one time and be too few at another.
"""

from enum import Enum, auto
from functools import cached_property
from typing import Final

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController


class Work(Enum):
    """The way in which a file spends its time. A worker that finds none of its kind left takes the next kind."""

    WAITS = auto()
    BROWSES = auto()
    COMPUTES = auto()


PATIENT: Final = (
    "tests/e2e/test_session_timers.py",
    "tests/e2e/test_calls.py",
    "tests/e2e/test_transports.py",
    "tests/e2e/test_telephones_at_home.py",
    "tests/e2e/test_used_up.py",
)
"""One unit of work. The last two look at calls and silences of a minute that begin with the first."""
LONG: Final = {
    Work.WAITS: (
        "tests/faults/test_start_without_database.py",
        "tests/chaos/test_chaos.py",
        "tests/interop/test_media_by_rtpengine.py",
        "tests/api/test_both_fronts.py",
        "tests/interop/test_baresip.py",
        "tests/interop/test_encryption_by_rtpengine.py",
        "tests/faults/test_calls_outlive_the_process.py",
        "tests/faults/test_lost_commits.py",
        "tests/api/test_running_switch.py",
        "tests/integration/test_backup.py",
        "tests/interop/test_registrar.py",
        "tests/restarts/test_restarts.py",
        "tests/e2e/test_media.py",
        "tests/integration/test_relay.py",
        "tests/integration/test_kernel_forwarding.py",
        "tests/e2e/test_metrics.py",
        "tests/interop/test_kamailio.py",
        "tests/faults/test_stopped_switch.py",
        "tests/integration/test_daemon.py",
        "tests/api/test_process.py",
        "tests/e2e/test_load.py",
        "tests/e2e/test_floods.py",
        "tests/e2e/test_setup.py",
        "tests/api/test_deck_imports.py",
        "tests/api/test_api_money.py",
        "tests/e2e/test_wary_vendors.py",
        "tests/interop/test_rtpengine.py",
        "tests/integration/test_package.py",
        "tests/e2e/test_offload.py",
        "tests/e2e/test_keepalive.py",
        "tests/unit/net/test_net_slots.py",
        "tests/unit/api/test_answers_in_time.py",
    ),
    Work.BROWSES: (
        "tests/console/test_screens.py",
        "tests/console/test_make_run.py",
        "tests/console/test_installation.py",
        "tests/console/test_objects.py",
        "tests/console/test_rates.py",
        "tests/console/test_money.py",
        "tests/console/test_operations.py",
        "tests/console/test_shell.py",
        "tests/console/test_calls_in_detail.py",
    ),
    Work.COMPUTES: (
        "tests/contract/test_listing_plans.py",
        "tests/contract/test_month_close.py",
        "tests/contract/test_invoices.py",
        "tests/contract/test_archived_payments.py",
        "tests/contract/test_queue_in_outages.py",
        "tests/contract/test_traffic.py",
        "tests/contract/test_dropped_records.py",
        "tests/contract/test_killed_migrations.py",
        "tests/unit/api/test_verdicts_on_operations.py",
        "tests/contract/test_reports_recounted.py",
        "tests/property/test_switch_dead_peers.py",
        "tests/fuzz/test_fuzz.py",
        "tests/unit/config/test_every_key_has_an_effect.py",
    ),
}
"""Files that take ten seconds or more, or a little less and would come last."""
_TURNS: Final = (Work.WAITS, Work.BROWSES, Work.COMPUTES, Work.WAITS, Work.WAITS, Work.BROWSES)
"""The kinds that the first worker takes, the second and so on; then again.

Files that wait have to be done before the others: were they the last ones, the processors would rest."""
_FOLDERS: Final = {
    "tests/console": Work.BROWSES,
    **dict.fromkeys(
        (
            "tests/api",
            "tests/chaos",
            "tests/e2e",
            "tests/faults",
            "tests/integration",
            "tests/interop",
            "tests/restarts",
        ),
        Work.WAITS,
    ),
}
"""Folders of tests with a running switch."""
_PATIENT_SCOPE: Final = "patient"
_LISTED: Final = {_PATIENT_SCOPE: Work.WAITS} | {file: work for work, files in LONG.items() for file in files}
_RANKS: Final = {file: rank for rank, file in enumerate((*PATIENT, *_LISTED))}


class WaitingBesideComputing(LoadFileScheduling):
    """Give each worker whole files, in the order in which they were collected, of the kind that is its turn."""

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    @cached_property
    def _places(self) -> dict[str, int]:
        """The place of each test in the collection, which is that of every worker."""
        return {nodeid: place for place, nodeid in enumerate(self.collection)}

    def _assign_work_unit(self, node: WorkerController) -> None:
        scope = next_of(list(self.workqueue), int(node.gateway.id.removeprefix("gw")))
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


def next_of(scopes: list[str], worker: int) -> str:
    """Return the first file for a worker: of its own kind, or of the next one that there are files of."""
    kinds = list(Work)
    first = kinds.index(_TURNS[worker % len(_TURNS)])
    turn = {work: place for place, work in enumerate(kinds[first:] + kinds[:first])}
    return min(scopes, key=lambda scope: turn[work_of(scope)])


def work_of(scope: str) -> Work:
    """Return what a file spends its time on."""
    if scope in _LISTED:
        return _LISTED[scope]
    return _FOLDERS.get("/".join(scope.split("/")[:2]), Work.COMPUTES)
