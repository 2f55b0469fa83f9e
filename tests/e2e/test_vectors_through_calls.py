"""Worked examples of billing through real calls, all at once, each booked and read back from the database.

The daemon has a clock that the test moves (``doubles.moved_clock``): all calls begin together, the clock goes from one
event to the next, and each call lasts to the millisecond as long as its example says. Sockets, journal, database and
the program itself are those of every other scenario.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, Final

import pytest
from doubles.daemon import Daemon
from doubles.moved_clock import MovedClock, follow
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, Message, OutgoingCall, Peer

from .addresses import EXEMPLARY_SWITCH, NETWORK
from .billed_examples import BEGIN, EXAMPLES, NIGHTLY, Dialled, Example
from .conditions import eventually
from .stage import SQLITE

_CUSTOMERS: Final = f"{NETWORK}.71"
_VENDOR: Final = Endpoint(f"{NETWORK}.72", 16_072)
_FIRST_PORT: Final = 15_300
_UNLIMITED: Final = {"overdraft_limit": "unlimited"}
_CENTS: Final = Decimal("0.01")
_NUMBERED: Final = {name: number for number, name in enumerate(EXAMPLES)}
_MONEY: Final = frozenset({"fee", "tax", "cost", "cost_tax"})


def customer_of(name: str) -> Endpoint:
    return Endpoint(_CUSTOMERS, _FIRST_PORT + _NUMBERED[name])


def configuration() -> str:
    """Return a configuration, as JSON, with an account, rates, trunks and a vendor for each example."""
    of_each = list(zip(_NUMBERED.values(), EXAMPLES.values(), strict=True))
    working = {"weekdays": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "18:00"}
    off = [{"date": date, "working": "no"} for date in ("2026-01-01", "2026-03-26")]
    day, night = ({"name": name, "fee_precision": 3} for name in ("day", "night"))
    for place, group in enumerate((day, night)):
        group["rates"] = [
            {"prefix": prefix, "billing_rate": price[place], "billing_cycle": 60} for prefix, price in NIGHTLY.items()
        ]
    periods = [
        {"name": "day", "calendar": "work", "rate_group": "day"},
        {"name": "night", "calendar": "work", "when": "rest", "rate_group": "night"},
    ]
    document: dict[str, Any] = {
        "node": "examples",
        # An ACK may be read when the clock has moved already: no wait of 64 times T1 ends before the last call does.
        "sip": {"listen": [f"udp:{EXEMPLARY_SWITCH}"], "timers": {"t1": 5, "t2": 10}, "overload": {"max_lag": 0}},
        "database": {"url": SQLITE},
        "state_dir": "$directory/var",
        "control_socket": "$directory/vosd.sock",
        "shutdown_grace": 1,
        "parameters": {"SERVER_BILLING_FREE_E164S": "1800*,5000*", "SERVER_BILLING_NO_CDR_E164S": "5000*"},
        "calendars": [{"name": "work", "timezone": "UTC", "entries": [working, *off]}],
        "period_rates": [{"name": "tariff", "periods": periods}],
        "rate_groups": [
            day,
            night,
            *({"name": f"sell{number}", **each.group, "rates": each.rates} for number, each in of_each),
            *({"name": f"buy{number}", "rates": [each.buy]} for number, each in of_each),
        ],
        "accounts": [
            *(
                {"id": f"customer{number}", "rate_group": f"sell{number}", "overdraft_limit": "1000", **each.account}
                for number, each in of_each
            ),
            *(
                {"id": f"vendor{number}", "type": "clearing", "rate_group": f"buy{number}", **_UNLIMITED}
                for number, _ in of_each
            ),
        ],
        "mapping_gateways": [
            {
                "name": f"trunk{number}", "account": f"customer{number}", "hosts": [str(customer_of(name))],
                "gateways_allow": [f"carrier{number}"], "loss_guard": "off", **EXAMPLES[name].gateway,
            }
            for name, number in _NUMBERED.items()
        ],
        "routing_gateways": [
            {"name": f"carrier{number}", "account": f"vendor{number}", "address": str(_VENDOR)} for number, _ in of_each
        ],
    }  # fmt: skip
    return json.dumps(document)


class Played:
    """One call, with both ends in the hands of the test."""

    def __init__(self, caller: Peer, vendor: Peer, number: str, dialled: Dialled) -> None:
        self._vendor = vendor
        self._dialled = dialled
        self._call = OutgoingCall(caller, EXEMPLARY_SWITCH, number)
        self._incoming: Message | None = None
        self._tag = f"vendor-{self._call.call_id}"

    def events(self) -> Iterator[tuple[int, Any]]:
        """Yield what happens, each with its time on the clock of the test."""
        dialled = self._dialled
        answered_ms = dialled.at_ms + dialled.ring_ms
        if dialled.refused is not None:
            yield dialled.at_ms, self.is_refused
            return
        yield dialled.at_ms, self.ring
        if not dialled.answered:
            yield answered_ms, self.cancel
            return
        yield answered_ms, self.answer
        yield answered_ms + dialled.talk_ms, self.end

    def is_refused(self) -> None:
        self._call.invite()
        assert self._call.refused().status == self._dialled.refused

    def ring(self) -> None:
        self._call.invite()
        self._incoming = self._vendor.expect("INVITE", passing=("BYE",))
        self._vendor.reply(self._incoming, 180, tag=self._tag)
        self._call.peer.expect(180)

    def answer(self) -> None:
        assert self._incoming is not None
        self._vendor.reply(self._incoming, 200, tag=self._tag, body=ANSWER)
        self._call.answered()
        self._at_vendor("ACK")

    def cancel(self) -> None:
        assert self._incoming is not None
        self._call.send(self._call.request("CANCEL", branch="INVITE"))
        self._call.peer.expect(200)
        self._call.peer.expect(487)
        self._call.send(self._call.request("ACK", branch="INVITE"))
        self._vendor.reply(self._at_vendor("CANCEL"), 200)
        self._vendor.reply(self._incoming, 487, tag=self._tag)
        self._at_vendor("ACK")

    def _at_vendor(self, method: str) -> Message:
        """Return a request of this call; a BYE of another one comes again where the clock was faster than its 200."""
        assert self._incoming is not None
        while (message := self._vendor.receive(15.0)) is not None:
            if message.method == method and message["Call-ID"] == self._incoming["Call-ID"]:
                return message
        raise self._vendor.unexpected(method)

    def end(self) -> None:
        if self._dialled.ends == "caller":
            assert self._call.hang_up().status == 200
            self._vendor.reply(self._at_vendor("BYE"), 200)
            return
        assert self._incoming is not None
        self._vendor.hang_up(self._incoming, self._tag)
        self._vendor.expect(200, passing=("BYE",))
        self._call.peer.reply(self._call.peer.expect("BYE"), 200)


def play(clock: MovedClock) -> None:
    """Make all calls, in the order of their events; those of one moment follow each other while the clock stands."""
    order = count()
    with ExitStack() as sockets:
        vendor = sockets.enter_context(Peer(_VENDOR))
        events = []
        for name, example in EXAMPLES.items():
            caller = sockets.enter_context(Peer(customer_of(name)))
            for dialled in example.calls:
                played = Played(caller, vendor, example.number, dialled)
                events += [(at_ms, next(order), happen) for at_ms, happen in played.events()]
        for at_ms, _, happen in sorted(events, key=lambda event: event[:2]):
            clock.stand_at(at_ms)
            happen()


class Books:
    """The database, read as it is stored: money in units of 1e-8."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        self._connection = connection

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        return [dict(row) for row in self._connection.execute(query, values)]

    def records(self, account: str) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM cdr WHERE customer_account = ? ORDER BY started_at, call_id", account)

    def charges(self, call_id: bytes) -> dict[str, dict[str, Any]]:
        return {row["role"]: row for row in self.rows("SELECT * FROM cdr_charge WHERE call_id = ?", call_id)}

    def entries(self, account: str) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM ledger_entry WHERE account = ? ORDER BY seq", account)

    def balance(self, account: str) -> Decimal:
        (row,) = self.rows("SELECT balance FROM account WHERE id = ?", account)
        return money(row["balance"])


def money(stored: int) -> Decimal:
    return Decimal(stored).scaleb(-8)


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    directory = tmp_path_factory.mktemp("examples")
    clock = MovedClock(directory, round(1_000 * datetime.fromisoformat(BEGIN).timestamp()))
    with Daemon(directory, configuration(), prepare=follow) as daemon:
        play(clock)
        with closing(sqlite3.connect(directory / "vosd.db")) as connection:
            books = Books(connection)
            wanted = sum(len(example.calls) for example in EXAMPLES.values() if example.leaves_records)
            eventually(lambda: len(books.rows("SELECT call_id FROM cdr")) == wanted, "the records of all calls")
            yield books
            daemon.succeed("ledger", "verify")
        assert daemon.interrupt() == 0


def test_there_are_enough_of_them_to_represent_the_rules() -> None:
    assert len(EXAMPLES) >= 30


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_booked_to_the_digit(books: Books, name: str) -> None:
    example, number = EXAMPLES[name], _NUMBERED[name]
    customer, vendor = f"customer{number}", f"vendor{number}"
    records = books.records(customer)
    if not example.leaves_records:
        assert (records, books.entries(customer), books.entries(vendor)) == ([], [], [])
        return
    assert len(records) == len(example.calls)
    for record, dialled in zip(records, example.calls, strict=True):
        expect_record(books, record, dialled, example)
    expect_entries(books, customer, [(record, "customer", "fee", "tax") for record in records])
    expect_entries(books, vendor, [(record, "vendor", "cost", "cost_tax") for record in records])
    assert books.balance(customer) == -sum(dialled.total for dialled in example.calls)
    assert books.balance(vendor) == -sum(money(record["cost"]) for record in records)


def expect_record(books: Books, record: dict[str, Any], dialled: Dialled, example: Example) -> None:
    """Compare a call with its example, on the customer's side and on the vendor's."""
    found = {name: money(record[name]) if name in _MONEY else record[name] for name in dialled.columns}
    assert found == {name: Decimal(value) if name in _MONEY else value for name, value in dialled.columns.items()}
    is_answered = dialled.answered and dialled.refused is None
    assert (record["answered_at"] is not None) == is_answered
    talk_ms = dialled.talk_ms if is_answered else 0
    assert record["hold_time_ms"] == talk_ms
    if is_answered:
        assert (record["hangup_source"], record["end_reason"]) == (dialled.ends, "Normal")
        answered_at, ended_at = (datetime.fromisoformat(record[name]) for name in ("answered_at", "ended_at"))
        assert ended_at - answered_at == timedelta(milliseconds=talk_ms)
    if "cost" not in dialled.columns:
        assert (money(record["cost"]), record["vendor_billed_seconds"]) == (dialled.vendor_s * _CENTS, dialled.vendor_s)
    charges = books.charges(record["call_id"])
    assert charges.keys() == ({"customer", "vendor"} if is_answered else set())
    for role, fee, tax, seconds in (
        ("customer", "fee", "tax", "billed_seconds"),
        ("vendor", "cost", "cost_tax", "vendor_billed_seconds"),
    ):
        if is_answered:
            charge = charges[role]
            assert (charge["fee"], charge["tax"], charge["billed_seconds"]) == (
                record[fee],
                record[tax],
                record[seconds],
            )


def expect_entries(books: Books, account: str, sides: list[tuple[dict[str, Any], str, str, str]]) -> None:
    """Require one entry for each charge that is not zero, and a balance after each that follows from them."""
    charged = {
        record["call_id"]: -(record[fee] + record[tax]) for record, _, fee, tax in sides if record[fee] or record[tax]
    }
    entries, balance = books.entries(account), 0
    assert {entry["call_id"]: entry["amount"] for entry in entries} == charged
    assert {entry["kind"] for entry in entries} <= {"call"}
    assert all(entry["reference"].endswith(f"/{sides[0][1]}") for entry in entries)
    for entry in entries:
        balance += entry["amount"]
        assert entry["balance_after"] == balance
