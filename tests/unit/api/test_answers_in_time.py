"""Requests that wait for a mute switch, for other changes, or for too long: their answers say whether they did it."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doubles.api import ADMINISTRATOR, identify
from doubles.asgi import Answered, answered
from doubles.fake_switch import FakeSwitch
from doubles.migrated import migrated
from doubles.turns import until

from vosd.admin.office import bookings, change_check, objects_in_use, overrides
from vosd.api import offices as opening
from vosd.api.application import Application
from vosd.api.jobs import Jobs
from vosd.api.offices import Offices
from vosd.api.problems import PROBLEM_JSON
from vosd.api.routes import Routes
from vosd.api.table import OPERATIONS
from vosd.catalogue.planned_objects import CheckedObjects
from vosd.control import client
from vosd.control.installation import Reload
from vosd.control.server import CommandError
from vosd.daemon.checks import Checks
from vosd.storage.payments import SqlPayments

HEAD = {"authorization": f"Bearer {ADMINISTRATOR}"}
PATIENCE_S = 30.0
WAITED_S = 2.0
"""Also the time in which an order reaches the switch, on a busy machine too."""
REFRESH_S = 0.1


REPORT = "/reports/revenue?since=2026-03-01T00:00:00Z&until=2026-03-02T00:00:00Z"


class Site:
    """The application, whose requests wait for the switch and for each other for a moment alone."""

    def __init__(self, config: Path, offices: Offices) -> None:
        self.offices = offices
        self._jobs = Jobs(config, offices)
        self.application = self.application_of(PATIENCE_S)

    def application_of(self, patience_s: float) -> Application:
        hurried = [msgspec.structs.replace(each, patience_s=patience_s) for each in OPERATIONS]
        return Application(self.offices, identify, Routes(hurried), self._jobs)

    async def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> Answered:
        head = HEAD if key is None else {**HEAD, "idempotency-key": key}
        return await answered(self.application, method, path, body, head)

    async def ledger(self) -> list[tuple[str, str]]:
        items = (await self.ask("GET", "/accounts/acme/ledger")).json["items"]
        return [(each["kind"], each["amount"]) for each in items]


async def find_nothing(*_: object) -> CheckedObjects:
    return CheckedObjects({}, {})


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    url = migrated(tmp_path / "vosd.db")
    config = tmp_path / "vosd.yaml"
    config.write_text(
        f"database: {{url: '{url}'}}\nstate_dir: {tmp_path}\ncontrol_socket: {tmp_path}/vosd.sock\n"
        "accounts: [{id: acme}]\n"
    )
    monkeypatch.setattr(opening, "SPARE_S", PATIENCE_S - WAITED_S)
    for module in (bookings, overrides):
        monkeypatch.setattr(module, "REFRESH_S", REFRESH_S)
    for module in (objects_in_use, change_check):
        monkeypatch.setattr(module, "STATUS_S", REFRESH_S)
    monkeypatch.setattr(Checks, "check", find_nothing)
    async with Offices(config) as offices:
        yield Site(config, offices)


@pytest.fixture
async def mute(tmp_path: Path) -> AsyncIterator[None]:
    """A running switch that takes orders and answers none."""
    writers = []

    async def keep(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_unix_server(keep, tmp_path / "vosd.sock")
    yield
    server.close()
    for each in writers:
        each.close()


@pytest.mark.usefixtures("mute")
async def test_a_payment_is_booked_once_and_its_answer_says_that_the_switch_does_not_answer(site: Site) -> None:
    booked = await site.ask("POST", "/accounts/acme/payments", {"amount": "7.77"})
    assert (booked.status, "no answer in time" in booked.json["receipts"][0]["untold"]) == (201, True)
    assert await site.ledger() == [("payment", "7.77")]
    refund = await site.ask("POST", "/accounts/acme/payments", {"amount": "2.22", "type": "refund"})
    assert (refund.status, refund.json["code"], refund.header("retry-after")) == (503, "daemon_unreachable", ["5"])
    assert await site.ledger() == [("payment", "7.77")]


@pytest.mark.usefixtures("mute")
async def test_a_change_is_made_and_its_answer_says_that_the_switch_does_not_answer(site: Site) -> None:
    made = await site.ask("POST", "/accounts", {"name": "shop", "keys": {"currency": "USD"}})
    assert (made.status, made.json["in_force"]) == (201, False)
    assert made.json["untold"].startswith("it takes the change when it works again, or refuses it")
    blocked = await site.ask("POST", "/accounts/acme/block", {"memo": "unpaid"})
    assert (blocked.status, "no answer in time" in blocked.json["untold"]) == (200, True)


@pytest.mark.usefixtures("mute")
async def test_readings_that_can_wait_say_in_time_that_the_switch_does_not_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "SPARE_S", 1.0)
    application = site.application_of(1.0 + WAITED_S)

    def read() -> asyncio.Task[Answered]:
        head = {**HEAD, "prefer": "wait=1"}
        return asyncio.create_task(answered(application, "GET", "/status", headers=head))

    first = read()
    await until(lambda: application._of_all._under_way)
    for each in await asyncio.gather(first, read(), read()):
        assert (each.status, each.json["code"]) == (503, "daemon_unreachable")


@pytest.mark.usefixtures("mute")
async def test_an_order_that_the_switch_has_and_does_not_answer_may_be_carried_out_and_is_not_to_be_sent_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_S", WAITED_S)
    orders = (
        ("POST", "/calls/hangup?confirm=true", {"account": "acme"}),
        ("POST", "/calls/test", {"via": "carrier", "callee": "4420"}),
        ("DELETE", "/registrations/8001", None),
    )
    for _ in range(2):  # a repeat is an order again: what became of the first one is not known
        for lost in await asyncio.gather(*(site.ask(*order, key=f"again {order[1]}") for order in orders)):
            assert (lost.status, lost.json["code"], lost.header("retry-after")) == (504, "outcome_unknown", []), (
                lost.content
            )
    lines = (await site.ask("GET", "/audit")).json["items"]
    assert sorted((each["action"], each["subject"]) for each in lines) == [
        *[("ForgetRegistration", "8001")] * 2, *[("HangUp", "acme")] * 2, *[("MakeTestCall", "carrier")] * 2,
    ]  # fmt: skip
    seen = await site.ask("GET", "/calls")
    assert (seen.status, seen.json["code"], seen.header("retry-after")) == (503, "daemon_unreachable", ["5"])


async def test_an_order_that_no_switch_gets_is_to_be_sent_again(site: Site) -> None:
    refused = await site.ask("DELETE", "/registrations/8001")
    assert (refused.status, refused.json["code"], refused.header("retry-after")) == (503, "no_daemon", ["5"])


async def test_a_repeat_gets_the_refusal_of_the_switch_again_where_the_change_was_made(
    site: Site, tmp_path: Path
) -> None:
    async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, CommandError("calls use it")):
        first, again = [
            await site.ask("POST", "/accounts", {"name": "shop", "keys": {"currency": "USD"}}, "contract-7")
            for _ in range(2)
        ]
    assert (first.status, first.json["code"]) == (409, "not_taken")
    assert (again.status, again.content, again.header("content-type")) == (409, first.content, [PROBLEM_JSON])
    assert (first.header("idempotent-replayed"), again.header("idempotent-replayed")) == ([], ["true"])


async def test_a_change_that_waits_for_others_for_too_long_is_refused_and_nothing_is_changed(site: Site) -> None:
    office = await site.offices.open(needs_database=True)
    async with office.changing.turn(None):
        refused = await site.ask("POST", "/accounts", {"name": "shop", "keys": {"currency": "USD"}})
    assert (refused.status, refused.json["code"], refused.header("retry-after")) == (503, "check_too_slow", ["5"])
    assert "nothing was changed" in refused.json["detail"]
    assert (await site.ask("GET", "/accounts/shop")).status == 404
    assert (await site.ask("POST", "/accounts", {"name": "shop", "keys": {"currency": "USD"}})).status == 201


@pytest.mark.usefixtures("mute")
async def test_a_change_that_is_cut_says_that_its_outcome_is_not_known_and_a_question_may_come_again(
    site: Site,
) -> None:
    site.application = site.application_of(WAITED_S)
    opening.SPARE_S = 0.0
    cut = await site.ask("POST", "/accounts/acme/payments", {"amount": "2.22", "type": "refund"})
    assert (cut.status, cut.json["code"], cut.header("retry-after")) == (504, "outcome_unknown", [])
    seen = await site.ask("GET", "/calls")
    assert (seen.status, seen.json["code"], seen.header("retry-after")) == (503, "too_slow", ["5"])


async def test_a_payment_whose_commit_is_not_answered_in_time_names_the_reference_by_which_it_is_booked_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is given up before the database is, so that it is not the error of that which says it."""
    own = SqlPayments.add

    async def committed(*arguments: Any, **named: Any) -> None:
        await own(*arguments, **named)
        await asyncio.Event().wait()

    site.application = site.application_of(WAITED_S)
    monkeypatch.setattr(SqlPayments, "add", committed)
    cut = await site.ask("POST", "/accounts/acme/payments", {"amount": "7.77"})
    assert (cut.status, cut.json["code"]) == (504, "outcome_unknown")
    said = re.search(r"order the same again under the reference (\S+), by which it is booked once", cut.json["remedy"])
    assert said is not None, cut.json
    monkeypatch.undo()
    site.application = site.application_of(PATIENCE_S)
    again = await site.ask("POST", "/accounts/acme/payments", {"amount": "7.77", "reference": said[1]})
    assert again.status in {200, 201}
    assert await site.ledger() == [("payment", "7.77")]


@pytest.mark.parametrize("form", ["application/pdf", "text/csv"])
async def test_no_request_waits_while_a_report_is_printed_for_another(
    site: Site, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """A report waits for an invoice that a thread prints: an event loop that printed it would stand as long."""
    printer: list[str] = []
    (report,) = (each for each in OPERATIONS if each.route == "GET /reports/{name}")

    def printed(_sheet: Any) -> bytes:
        printer.append(threading.current_thread().name)
        return b"%PDF"

    changed = msgspec.structs.replace(report, forms={form: printed})
    monkeypatch.setattr(f"{__name__}.OPERATIONS", [changed if each is report else each for each in OPERATIONS])
    application = site.application_of(PATIENCE_S)
    shown = await answered(application, "GET", REPORT, headers={**HEAD, "accept": form})
    assert (shown.status, shown.content) == (200, b"%PDF")
    assert printer != [threading.current_thread().name]
