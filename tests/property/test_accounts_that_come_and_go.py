"""Reloads take accounts away and bring them back while calls wait to be booked: calls alone keep the limit.

A whole switch over its journal and a database in memory, stopped hard and started again at any moment; the database
is away for as long as it likes. Calls go through admission and are priced, without SIP.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import NamedTuple

import msgspec
from doubles.data.builders import account, catalogue, mapping_gateway, switch_settings
from doubles.data.records import STARTED
from doubles.exploring import examples
from doubles.memory.lease import MemoryLease
from doubles.memory.registrations import MemoryRegistrations
from doubles.memory.store import MemoryStore
from doubles.virtual.clock import ManualClock
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vosd.base.ids import uuid7
from vosd.base.money import ZERO
from vosd.billing.rater import rate_call
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.open_call import UNDESCRIBED, OpenCall
from vosd.cdr.lease import Claimant
from vosd.cdr.ports import BookedBatch, StoreUnavailable
from vosd.cdr.record import CallRecord, Posting
from vosd.engine.booking import recorder as recorder_module
from vosd.engine.service import SwitchService
from vosd.engine.settings import CdrSettings
from vosd.net.resolve import NameServerResolver
from vosd.sip.flows import Listener
from vosd.storage.ports import EntryKind, Payment

NAMES = ("acme", "bingo")
SOON_S = 5


class Database(MemoryStore):
    """Books nothing while it is away; what it knows of balances can be read all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False

    async def book(self, records: Sequence[CallRecord]) -> BookedBatch:
        if self.is_away:
            raise StoreUnavailable("away")
        return await super().book(records)


class Dialled:
    """The numbers of a call."""

    context = ""
    is_withheld = False

    def called(self, _source):
        return "442079460000"

    def calling(self, _order):
        return "4930123456"


class Running(NamedTuple):
    """A call in talk."""

    call_request: CallRequest
    call_id: str


class ComingAndGoing(RuleBasedStateMachine):
    """Two accounts of one switch; ``configured`` are those of the catalogue in force."""

    @initialize(balances=st.lists(st.integers(0, 3), min_size=2, max_size=2), away=st.booleans())
    def begin(self, balances, away):
        self.waits = recorder_module._RETRY_FIRST_S, recorder_module._RETRY_MOST_S
        recorder_module._RETRY_FIRST_S = recorder_module._RETRY_MOST_S = 0.001
        self.directory = Path(tempfile.mkdtemp(prefix="vosd-coming-"))
        self.runner = asyncio.Runner()
        self.database, self.numbers, self.clock = Database(), count(1), ManualClock()
        self.lease = MemoryLease(self.database, has_ended=lambda _: True)
        self.configured = set(NAMES)
        self.running: list[Running] = []
        self.paid = dict.fromkeys(NAMES, ZERO)
        self.charged = dict.fromkeys(NAMES, ZERO)
        for name, balance in zip(NAMES, balances, strict=True):
            self.pay(name, balance)
        self.start()
        self.database.is_away = away

    # -- the switch ---------------------------------------------------------------------------------------------

    def catalogue(self):
        gateways = [mapping_gateway(name, f"198.51.100.{10 + NAMES.index(name)}/32") for name in self.configured]
        return catalogue(gateways, accounts=[account(name) for name in self.configured])

    def start(self):
        terms = switch_settings(self.directory, cdr=CdrSettings(batch_rows=3, batch_ms=1))
        listeners = [Listener("127.0.0.1", 5060, "udp", "udp:127.0.0.1:5060")]
        resolver = NameServerResolver((), 1, 1)
        books = self.database
        self.service = SwitchService(
            terms, self.catalogue(), books, MemoryRegistrations(), self.lease, self.clock, listeners, resolver
        )
        self.service.switch.live.addresses_of = lambda _gateway: ()
        self.runner.run(self.service.database.begin(Claimant("sw1", f"life-{next(self.numbers)}", "host", 1, "")))
        self.runner.run(self.service.learn())
        self.runner.run(self.service.start())

    def stop(self):
        """As by kill -9, but for the tasks that this process has to go on without."""
        self.service._journal.flush()
        self.runner.run(self.end_tasks())

    async def end_tasks(self):
        await self.service._tasks.stop()

    def credit(self, name):
        return self.service.switch.live.credits[name]

    # -- what happens -------------------------------------------------------------------------------------------

    @rule(names=st.sets(st.sampled_from(NAMES)))
    def the_configuration_is_reloaded(self, names):
        self.configured = names
        self.runner.run(self.service.swap_catalogue(self.catalogue()))

    @rule()
    def the_switch_is_killed_and_started(self):
        """Calls that were running are charged for nothing: no mark of time proves more."""
        self.stop()
        self.running = []
        self.start()

    @precondition(lambda self: self.configured)
    @rule(data=st.data())
    def a_call_is_answered(self, data):
        name = data.draw(st.sampled_from(sorted(self.configured)))
        call = CallRequest(f"198.51.100.{10 + NAMES.index(name)}", 5060, 70, self.clock.now(), numbers=Dialled())
        admission = self.service.switch.admission
        for step in ("identify", "check_account", "find_sell_rate", "take_hold"):
            if getattr(type(admission), step)(admission, call) is not None:
                call.give_back()
                return
        self.running.append(Running(call, uuid7(STARTED, next(self.numbers).to_bytes(10, "big"))))
        self.service.switch.services.sink.answered(self.open_call(self.running[-1]), UNDESCRIBED)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), used=st.floats(0, 1))
    def a_call_ends(self, data, used):
        call = data.draw(st.sampled_from(self.running))
        self.running.remove(call)
        call_request = call.call_request
        charge = rate_call(call_request.rate, int(1_000 * call_request.hold.granted_s * used))
        entry = Posting(call_request.account.id, -charge.total, f"{call.call_id}/customer")
        postings = (entry,) if charge.total else ()
        record = msgspec.structs.replace(self.open_call(call).record, postings=postings, end_reason="Normal")
        self.charged[call_request.account.id] += charge.total
        self.service.switch.services.close(record, call_request)

    @rule(away=st.booleans())
    def the_database_comes_or_goes(self, away):
        self.database.is_away = away

    @precondition(lambda self: not self.database.is_away)
    @rule()
    def what_waits_is_booked(self):
        self.runner.run(asyncio.wait_for(self.service.recorder.drained(), SOON_S))

    @rule(name=st.sampled_from(NAMES), amount=st.integers(0, 2), is_told=st.booleans())
    def a_payment(self, name, amount, is_told):
        self.pay(name, amount)
        if is_told:
            self.runner.run(self.service.balances.refresh())

    def pay(self, name, amount):
        self.paid[name] += amount
        number = str(next(self.numbers))
        self.runner.run(self.database.add(Payment(
            account=name, kind=EntryKind.PAYMENT, reference=number, made_at=0, amount=Decimal(amount)
        )))  # fmt: skip

    def open_call(self, call):
        record = CallRecord(
            call_id=call.call_id,
            node="sw1",
            customer_account=call.call_request.account.id,
            currency="USD",
            started_at=STARTED,
            answered_at=STARTED,
            ended_at=STARTED,
            hangup_source="switch",
            end_reason="Lost",
        )
        return OpenCall(record, call.call_request.rate, None, self.clock.now().mono)

    # -- what always holds --------------------------------------------------------------------------------------

    @invariant()
    def no_account_is_promised_more_than_was_paid(self):
        for name in self.configured:
            credit = self.credit(name)
            assert credit.available <= self.paid[name] - self.charged[name] - credit.reserved
            assert self.paid[name] - self.charged[name] - credit.reserved >= 0

    def teardown(self):
        if not hasattr(self, "runner"):
            return
        try:
            self.everything_is_booked_in_the_end()
        finally:
            self.runner.run(self.end_tasks())
            self.runner.close()
            shutil.rmtree(self.directory)
            recorder_module._RETRY_FIRST_S, recorder_module._RETRY_MOST_S = self.waits

    def everything_is_booked_in_the_end(self):
        self.database.is_away = False
        self.the_configuration_is_reloaded(set(NAMES))
        self.what_waits_is_booked()
        self.runner.run(self.service.balances.refresh())
        for name in NAMES:
            credit = self.credit(name)
            assert credit.unbooked == 0
            assert credit.balance == self.paid[name] - self.charged[name] >= 0


TestComingAndGoing = ComingAndGoing.TestCase
TestComingAndGoing.settings = settings(max_examples=examples(15, 400), stateful_step_count=30, deadline=None)
