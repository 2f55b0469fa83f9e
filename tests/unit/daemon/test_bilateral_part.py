"""Totals compared with the switch of a partner: what differs, or cannot be asked for, is an alarm until it is over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from doubles import forked_child
from doubles.data.builders import account
from doubles.data.records import STARTED, answered_call
from doubles.migrated import migrated
from doubles.turns import turns
from doubles.virtual.clock import ManualClock
from structlog.testing import capture_logs

from vosd.admin import partner_totals
from vosd.admin.partner_totals import PartnerOutcome
from vosd.base.secret import Secret
from vosd.cdr.columns import iso_utc
from vosd.clearing.bilateral import DELAY_MS, PERIOD_MS, SPAN_MS
from vosd.config.load import load
from vosd.daemon import bilateral, daily
from vosd.daemon.bilateral import BilateralPart, due_after
from vosd.daemon.bilateral_process import BilateralOutcome, compare_all
from vosd.engine.settings import BilateralSettings
from vosd.obs.alarms import KINDS
from vosd.obs.events import Event
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

UNTIL = STARTED - STARTED % PERIOD_MS + PERIOD_MS
DUE = UNTIL + DELAY_MS
ENDED = UNTIL - 100_000
CATALOGUE = SimpleNamespace(accounts={"peer": account("peer")})


class PartnerSwitch:
    """The management API of a partner, as far as it is asked."""

    def __init__(self) -> None:
        self.answer: bytes = b""
        self.status = 200
        self.asked: list[str] = []
        self.port = 0
        self.is_silent = asyncio.Event()

    def sends(self, *rows: dict[str, Any], currency: str = "USD") -> None:
        self.answer = msgspec.json.encode({"account": "us", "currency": currency, "rows": rows})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # who waits for a short time may go before it has asked
            self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if not self.is_silent.is_set():
                writer.write(f"HTTP/1.1 {self.status} .\r\ncontent-length: {len(self.answer)}\r\n\r\n".encode())
                writer.write(self.answer)
            await reader.read()
        writer.close()


def row(amount: str) -> dict[str, Any]:
    return {
        "since": iso_utc(UNTIL - PERIOD_MS), "direction": "received", "gateway": "their-trunk", "prefix": "4420",
        "calls": 1, "seconds": 60, "amount": amount, "edge_seconds": 0, "edge_amount": "0",
    }  # fmt: skip


@pytest.fixture
async def partner() -> AsyncIterator[PartnerSwitch]:
    switch = PartnerSwitch()
    server = await asyncio.start_server(switch.serve, "127.0.0.1", 0)
    switch.port = server.sockets[0].getsockname()[1]
    yield switch
    server.close()


@pytest.fixture
async def part(tmp_path, partner: PartnerSwitch) -> BilateralPart:
    """One that has sent the partner a call of 5 units of money."""
    url = migrated(tmp_path / "vosd.db")
    database = Database(url)
    record = answered_call(1, vendor_account="peer", cost=Decimal(5), vendor_answered_at=STARTED, ended_at=ENDED)
    await SqlBooks(database).book([record])
    await database.close()
    settings = BilateralSettings(
        "peer", f"http://127.0.0.1:{partner.port}/api/v1/", "us", Secret("their-token"), Decimal(1), Decimal(1)
    )
    return BilateralPart(url, (settings,), ManualClock(), lambda: CATALOGUE)  # type: ignore[arg-type,return-value]


async def log_of(part: BilateralPart) -> list[dict[str, Any]]:
    with capture_logs() as log:
        await part.run(DUE)
    return [dict(line) for line in log]


async def test_a_difference_is_an_alarm_with_prefixes_and_gateways_until_both_agree(
    part: BilateralPart, partner: PartnerSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily, "started", forked_child.started)
    partner.sends(row("7"))
    back, raised = await log_of(part)
    assert back["event"] == "bilateral_back", "an earlier run of the switch may have raised the alarm"
    assert (raised["event"], raised["account"], raised["prefixes"]) == ("bilateral_differs", "peer", "4420")
    assert (raised["gateways"], raised["their_gateways"]) == ("peer-trunk", "their-trunk")
    assert raised["what"] == "we have sent 1 calls, 60 s, 5.00; they have received 1 calls, 60 s, 7.00"
    request = partner.asked[0]
    span = f"since={iso_utc(UNTIL - SPAN_MS)}&until={iso_utc(UNTIL)}"
    assert request.startswith(f"GET /api/v1/bilateral/us?{span} HTTP/1.1\r\n")
    assert "Authorization: Bearer their-token\r\n" in request
    partner.sends(row("5"))
    assert [line["event"] for line in await log_of(part)] == ["bilateral_agrees"]
    assert await log_of(part) == []
    assert {Event.BILATERAL_DIFFERS, Event.BILATERAL_AWAY} <= KINDS.keys()


async def compared(part: BilateralPart) -> PartnerOutcome:
    (found,) = (await compare_all(part.order(UNTIL))).partners
    return found


async def test_what_a_partner_answers_instead_of_totals_is_said(
    part: BilateralPart, partner: PartnerSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner.answer = b"[]"
    assert "it answers with something else" in (await compared(part)).failed
    partner.sends(row("9E+999999"))
    assert "is not an amount" in (await compared(part)).failed
    partner.sends(row("x" * 9_999))
    assert len((await compared(part)).failed) == partner_totals.WHY_CHARACTERS_MAX
    partner.status, partner.answer = 403, b"no"
    assert (await compared(part)).failed == "it answers with 403: no"
    monkeypatch.setattr(partner_totals, "BODY_BYTES_MAX", 10)
    partner.status, partner.answer = 200, b"x" * 11
    assert (await compared(part)).failed == "a body of more than 10 bytes"
    monkeypatch.setattr(partner_totals, "ANSWER_S", 0.05)
    partner.is_silent.set()
    assert "no answer within" in (await compared(part)).failed


async def test_amounts_of_another_currency_are_not_compared(part: BilateralPart, partner: PartnerSwitch) -> None:
    partner.sends(row("700"), currency="EUR")
    assert await compared(part) == PartnerOutcome("peer")


async def test_a_comparison_that_fails_is_an_alarm_until_it_is_made_or_the_partner_is_gone(
    part: BilateralPart, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ends(*_: object) -> BilateralOutcome:
        raise EOFError

    monkeypatch.setattr(bilateral, "answer_of", ends)
    (raised,) = await log_of(part)
    why = "its process ended without an answer: it was killed, or the log has the fault (run_failed)"
    assert (raised["event"], raised["why"]) == ("bilateral_away", why)
    with capture_logs() as log:
        part.adjust("", ())
    assert {(line["event"], line["why"]) for line in log} == {("bilateral_agrees", "gone"), ("bilateral_back", "gone")}
    assert await log_of(part) == []


async def test_a_partner_that_a_reload_takes_out_during_a_comparison_is_no_alarm(
    part: BilateralPart, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def taken_out(*_: object) -> BilateralOutcome:
        part.adjust("", ())
        return BilateralOutcome((PartnerOutcome("peer", failed="no answer"),))

    monkeypatch.setattr(bilateral, "answer_of", taken_out)
    assert {line["event"] for line in await log_of(part)} == {"bilateral_agrees", "bilateral_back"}


async def test_another_password_of_the_database_is_used_by_the_next_comparison(part: BilateralPart) -> None:
    part.adjust("mysql+aiomysql://vosd:new@db/vosd", ())
    assert part.order(UNTIL).database == "mysql+aiomysql://vosd:new@db/vosd"


async def test_a_partner_without_account_is_an_alarm(part: BilateralPart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CATALOGUE, "accounts", {})
    (raised,) = await log_of(part)
    assert (raised["event"], raised["why"]) == ("bilateral_away", "the account is not configured")


async def test_it_is_made_a_minute_after_the_end_of_each_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [due_after(UNTIL + after) - UNTIL for after in (-1, 0, DELAY_MS - 1, DELAY_MS)] == [
        DELAY_MS, DELAY_MS, DELAY_MS, PERIOD_MS + DELAY_MS,
    ]  # fmt: skip
    made: asyncio.Queue[int] = asyncio.Queue()

    async def note(_part: BilateralPart, due: int) -> None:
        made.put_nowait(due)

    monkeypatch.setattr(BilateralPart, "run", note)
    monkeypatch.setattr(bilateral, "LOOK_S", 0.001)
    clock = ManualClock(0, wall=DUE - 1_000)
    part = BilateralPart("", (), clock, lambda: CATALOGUE)  # type: ignore[arg-type,return-value]
    await part.begin()
    await turns(5)
    assert made.empty()
    clock.move_to(1_000)
    async with asyncio.timeout(30):
        assert await made.get() == DUE
        clock.move_to(PERIOD_MS + 2_000)
        assert await made.get() == DUE + PERIOD_MS
    await part.end()


def test_a_token_is_not_sent_in_the_clear_and_a_partner_stands_once(tmp_path) -> None:
    from vosd.catalogue.problems import ConfigError

    entry = "{account: peer, url: 'https://a.example/api/v1', their_account: us, token: t}"
    for text, said in (
        (f"[{entry}, {entry}]", "each account once"),
        (f"[{entry.replace('https', 'http')}]", "an https URL"),
    ):
        (tmp_path / "vosd.yaml").write_text(f"bilateral: {text}\n")
        with pytest.raises(ConfigError, match=said):
            load(tmp_path / "vosd.yaml", {})
