"""Totals of a partner's switch that are too long for one answer."""

import asyncio
import socket
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from vosd.admin import partner_totals
from vosd.admin.bilateral_totals import BilateralTotals, TotalsRow
from vosd.admin.partner_totals import NoTotalsError, totals_of
from vosd.base.secret import Secret
from vosd.cdr.columns import iso_utc
from vosd.clearing.bilateral import PERIOD_MS, PartnerDirection
from vosd.engine.host_names import HostNames
from vosd.engine.http_client import RECEIVE_BYTES, HttpAnswer, HttpConnection
from vosd.engine.settings import BilateralSettings

BEGIN = 1_790_000_100_000 // PERIOD_MS * PERIOD_MS
PERIODS = [iso_utc(BEGIN + index * PERIOD_MS) for index in range(12)]


class Switch:
    """The partner's switch, with one row in each period."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        criteria = parse_qs(urlsplit(head.split()[1]).query)
        (since,), (until,) = criteria["since"], criteria["until"]
        self.asked.append((since, until))
        rows = tuple(
            TotalsRow(
                since=each, direction=PartnerDirection.SENT, gateway="trunk", prefix="4420", calls=1, seconds=60,
                amount="0.10", edge_seconds=0, edge_amount="0.00",
            )
            for each in PERIODS
            if since <= each < until
        )  # fmt: skip
        body = msgspec.json.encode(BilateralTotals(account="us", currency="USD", rows=rows))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()


async def totals(switch: Switch) -> BilateralTotals:
    server = await asyncio.start_server(switch.answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/api/v1"
        partner = BilateralSettings("partner", url, "us", Secret("token"), Decimal(1), Decimal(1))
        return await totals_of(partner, HostNames(1, "names of partners"), BEGIN, BEGIN + 12 * PERIOD_MS)


async def test_an_hour_that_is_too_long_for_one_answer_is_asked_for_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    switch = Switch()
    assert [each.since for each in (await totals(switch)).rows] == PERIODS
    assert len(switch.asked) == 1
    monkeypatch.setattr(partner_totals, "BODY_BYTES_MAX", 700)
    switch = Switch()
    assert [each.since for each in (await totals(switch)).rows] == PERIODS
    assert 5 <= len(switch.asked) <= 23


async def test_an_answer_that_is_no_text_is_no_totals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(msgspec.json, "encode", lambda _: b'{"account": "\xfc"}')
    with pytest.raises(NoTotalsError, match="answers with something else"):
        await totals(Switch())


async def test_five_minutes_that_are_too_long_are_no_totals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partner_totals, "BODY_BYTES_MAX", 100)
    switch = Switch()
    with pytest.raises(NoTotalsError, match="more than 100 bytes"):
        await totals(switch)
    assert len(switch.asked) == 4, "an hour, its first half, a quarter and the first five minutes"


async def test_an_answer_of_megabytes_may_come_from_far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """By 8 kB in each round trip of 100 ms, 8 MB took 107 s in place of 1.2 s, and the time for it is 30 s."""
    held, ask = list[int](), HttpConnection.ask

    async def noted(connection: HttpConnection, *terms: Any, **named: Any) -> HttpAnswer:
        held.append(connection._writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
        return await ask(connection, *terms, **named)

    monkeypatch.setattr(HttpConnection, "ask", noted)
    await totals(Switch())
    assert held[0] > 2 * RECEIVE_BYTES
