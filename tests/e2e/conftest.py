"""Fixtures of the scenarios: switches on scratch directories, shared where a configuration is shared."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from distribution import PATIENT
from doubles.daemon import Daemon
from doubles.home import NoNamespacesError
from doubles.sockets.sipp import Sipp

from vosd.obs.events import Event

from .addresses import SPENDING_SWITCH, SWITCH
from .at_home import Household
from .conditions import eventually
from .namespaces import do_without
from .stage import Caller, Stage, Vendor, configuration

SPENDERS = {"prepaid": 1, "credit": 1, "topped-up": 1, "shared": 3}
"""Accounts of ``spending.yaml`` and how many calls each makes."""


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The switch that most scenarios share; at its end every timer has to run out."""
    directory = tmp_path_factory.mktemp("switch")
    with Daemon(directory, configuration("switch.yaml", SWITCH)) as daemon:
        stage = Stage(daemon, SWITCH)
        for account in ("acme", "narrow", "hasty"):
            stage.pay(account, "100")
        yield stage
        stage.expect_timers_run_out()
        stage.expect_books_in_order()
        assert daemon.interrupt() == 0
        stage.expect_clean_log()


class SpendingCalls:
    """Calls that go on until their money is used up."""

    def __init__(self, stage: Stage, callees: dict[str, list[str]], parties: list[Sipp], running: ExitStack) -> None:
        """``running``: the switch and what calls through it."""
        self.stage = stage
        self._callees = callees
        self._parties = parties
        self._running = running

    def records(self, account: str) -> list[dict[str, Any]]:
        """Wait until every call has ended, with BYE on both sides, and return the account's CDRs."""
        while self._parties:
            self._parties[-1].wait()
            self._parties.pop()
        return [self.stage.record_of(callee) for callee in self._callees[account]]

    def end(self) -> None:
        """Stop the switch."""
        with self._running:
            assert self.stage.daemon.interrupt() == 0


@pytest.fixture(scope="session")
def _spending(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SpendingCalls | None]:
    if not any(item.path.stem == "test_used_up" for item in request.session.items):
        yield None
        return
    directory = tmp_path_factory.mktemp("spending")
    with ExitStack() as running:
        daemon = running.enter_context(Daemon(directory, configuration("spending.yaml", SPENDING_SWITCH)))
        stage = Stage(daemon, SPENDING_SWITCH, Event.OVERDRAFT_HIGH)
        stage.pay("prepaid", "6.10")
        stage.pay("shared", "18.40")
        stage.pay("topped-up", "6.00")
        vendor = stage.vendor(
            Vendor("carrier-spending", "answers_anyone"), "44", calls=sum(SPENDERS.values()), timeout_s=120
        )
        parties = [running.enter_context(vendor)]
        callees: dict[str, list[str]] = {account: [] for account in SPENDERS}
        for account, calls in SPENDERS.items():
            for _ in range(calls):
                callees[account].append(stage.number("44"))
                caller = stage.caller(
                    Caller("is_hung_up_on"), callees[account][-1], stage.endpoint_of(account), timeout_s=120
                )
                parties.append(running.enter_context(caller))
        eventually(lambda: stage.status()["calls"] == sum(SPENDERS.values()), "every spender in conversation")
        stage.pay("topped-up", "0.20")
        yield SpendingCalls(stage, callees, parties, running)


@pytest.fixture(scope="session")
def _household(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Household | str | None]:
    if not any(item.path.stem == "test_telephones_at_home" for item in request.session.items):
        yield None
        return
    with ExitStack() as running:
        try:
            household: Household | str = running.enter_context(Household(tmp_path_factory.mktemp("home")))
        except NoNamespacesError as error:
            household = str(error)
        yield household


@pytest.fixture(autouse=True)
def _what_takes_long_begins_first(request: pytest.FixtureRequest) -> None:
    """Let calls of more than a minute run, and a phone be silent for one, while the files before them are tested."""
    if request.node.nodeid.partition("::")[0] in PATIENT:
        request.getfixturevalue("_spending")
        request.getfixturevalue("_household")


@pytest.fixture(scope="module")
def household(_household: Household | str | None) -> Iterator[Household]:
    """The phone behind NAT. Its switches end with the one file of tests about it: an idle one takes time, too."""
    assert _household is not None
    if isinstance(_household, str):
        do_without(_household)
    with ExitStack() as running:
        running.push(_household)
        yield _household


@pytest.fixture(scope="module")
def spending(_spending: SpendingCalls | None) -> Iterator[SpendingCalls]:
    """The calls of more than a minute, whose switch ends with the one file of tests about them."""
    assert _spending is not None
    yield _spending
    _spending.end()
