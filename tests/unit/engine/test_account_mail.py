"""Mails to owners of accounts about their alarms, by a real mail server on this machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest
from doubles.postbox import Postbox
from doubles.turns import turns
from doubles.virtual.clock import ManualClock
from structlog.testing import capture_logs

from vosd.base.errors import VosError
from vosd.engine.alarms import mail
from vosd.engine.alarms.account_mail import AccountMail, Composer
from vosd.engine.settings import AlarmSettings, MailSecurity, MailSettings
from vosd.obs.alarms import AlarmChange, Alarms, Level
from vosd.obs.events import Event

PATIENCE_S = 30.0
COMMANDS = ("ehlo", "mail from:<vosd@example.com>")


def addressed(*recipients: str) -> tuple[str, ...]:
    return (*COMMANDS, *(f"rcpt to:<{each}@example.com>" for each in recipients), "data")


def about(account: str, event: Event = Event.BALANCE_LOW) -> AlarmChange:
    (change,) = Alarms().note(event.value, {"account": account}, 1)
    return change


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "BACK_OFF_S", 0.01)
    monkeypatch.setattr(mail, "BACK_OFF_MAX_S", 0.02)


@pytest.fixture
async def postbox() -> AsyncIterator[Postbox]:
    made = Postbox(())
    await made.listen()
    yield made
    made.close()
    await turns(5)  # its connections are closed by the loop


def settings_of(postbox: Postbox) -> MailSettings:
    return MailSettings("127.0.0.1", postbox.port, "vosd@example.com", ("noc@example.com",), MailSecurity.NONE)


def to_the_owner(event: Event, account: str) -> Composer | None:
    """Make a mail to an address with the name of the account; ``paid`` is low no more."""

    def composed(sender: str, now: int) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"] = sender, f"{account}@example.com"
        message["Subject"] = f"{event.value} {now}"
        return message

    return None if account == "paid" else composed


@asynccontextmanager
async def sending(output: AccountMail) -> AsyncIterator[list[Any]]:
    task = asyncio.create_task(output.run())
    with capture_logs() as logs:
        yield logs
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def received(postbox: Postbox) -> EmailMessage:
    return await asyncio.wait_for(postbox.mails.get(), PATIENCE_S)


async def test_each_owner_is_mailed_once_the_accounts_are_known_whatever_the_operators_want(postbox: Postbox) -> None:
    postbox.coming = [addressed("acme"), addressed("shop")]
    clock = ManualClock()
    output = AccountMail(clock, replace(settings_of(postbox), level=Level.OFF), to_the_owner)
    (ended,) = (each for each in [AlarmChange(about("acme").alarm, is_raised=False)])
    (other,) = Alarms().note("gateway_down", {"gateway": "acme"}, 1)
    for change in (about("acme"), ended, other, about("paid"), about("shop", Event.ACCOUNT_EXPIRES)):
        output.put(change)
    assert [each.alarm.subject for each in output.kept().changes] == ["acme", "paid", "shop"]
    async with sending(output) as logs:
        await turns(5)
        assert (postbox.mails.qsize(), len(output.kept().changes)) == (0, 3)
        output.serves.set()
        found = [await received(postbox) for _ in range(2)]
        await turns(5)
    now = clock.now().wall
    assert [(each["To"], each["Subject"]) for each in found] == [
        ("acme@example.com", f"balance_low {now}"),
        ("shop@example.com", f"account_expires {now}"),
    ]
    assert (logs, postbox.faults) == ([], [])


async def test_an_address_that_is_refused_holds_up_no_other_and_is_named(postbox: Postbox) -> None:
    postbox.coming = [(*COMMANDS, "rcpt to:<someone>", "rset"), addressed("shop")]
    output = AccountMail(ManualClock(), settings_of(postbox), to_the_owner)
    output.serves.set()
    output.put(about("acme"))
    output.put(about("shop"))
    async with sending(output) as logs:
        assert (await received(postbox))["To"] == "shop@example.com"
        await asyncio.wait_for(emptied(output), PATIENCE_S)
    assert [(each["event"], each.get("error")) for each in logs] == [
        ("alarm_output_down", "acme@example.com is refused: 503 bad sequence"),
        ("alarm_output_up", None),
    ]
    assert output.kept().changes == ()


async def emptied(output: AccountMail) -> None:
    while output.kept().changes:
        await turns(1)


async def test_a_mail_whose_content_is_refused_holds_up_no_other(
    postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    postbox.coming = [addressed("acme"), addressed("shop")]
    postbox.taken_answer = b"554 looks like spam"
    output = AccountMail(ManualClock(), settings_of(postbox), to_the_owner)
    output.serves.set()
    output.put(about("acme"))
    async with sending(output) as logs:
        await received(postbox)
        await asyncio.wait_for(emptied(output), PATIENCE_S)
        postbox.taken_answer = b"250 taken"
        output.put(about("shop"))
        assert (await received(postbox))["To"] == "shop@example.com"
        await asyncio.wait_for(emptied(output), PATIENCE_S)
    assert logs[0]["error"] == "acme@example.com is refused: 554 looks like spam"


async def test_mails_wait_for_a_server_that_is_away_and_are_about_what_holds_then(postbox: Postbox) -> None:
    postbox.refusals = 2
    postbox.coming = [addressed("shop")]
    paid: set[str] = set()

    def composer(event: Event, account: str) -> Composer | None:
        return None if account in paid else to_the_owner(event, account)

    output = AccountMail(ManualClock(), settings_of(postbox), composer)
    output.serves.set()
    output.put(about("acme"))
    output.put(about("shop"))
    async with sending(output) as logs:
        while not logs:
            await turns(1)
        paid.add("acme")
        assert (await received(postbox))["To"] == "shop@example.com"
        await asyncio.wait_for(emptied(output), PATIENCE_S)
    assert {logs[0]["event"], logs[-1]["event"]} == {"alarm_output_down", "alarm_output_up"}
    assert postbox.mails.empty()


async def test_words_that_cannot_be_read_are_an_outage_until_they_are_mended(postbox: Postbox) -> None:
    postbox.coming = [addressed("acme")]
    faults = ["the words cannot be read"]

    def composer(event: Event, account: str) -> Composer | None:
        def composed(sender: str, now: int) -> EmailMessage:
            if faults:
                raise VosError(faults.pop())
            made = to_the_owner(event, account)
            assert made is not None
            return made(sender, now)

        return composed

    output = AccountMail(ManualClock(), settings_of(postbox), composer)
    output.serves.set()
    output.put(about("acme"))
    async with sending(output) as logs:
        await received(postbox)
        await asyncio.wait_for(emptied(output), PATIENCE_S)
    assert [(each["event"], each.get("error")) for each in logs] == [
        ("alarm_output_down", "the words cannot be read"),
        ("alarm_output_up", None),
    ]


async def test_without_a_mail_server_nothing_waits(postbox: Postbox) -> None:
    output = AccountMail(ManualClock(), None, to_the_owner)
    output.put(about("acme"))
    assert output.kept().changes == ()
    output.adjust(AlarmSettings(mail=settings_of(postbox)))
    output.put(about("acme"))
    assert len(output.kept().changes) == 1
    output.adjust(AlarmSettings())
    assert output.kept().changes == ()
