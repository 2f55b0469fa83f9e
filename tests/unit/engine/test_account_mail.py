"""Mails to owners of accounts about their alarms, by a real mail server on this machine."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from email.message import EmailMessage
from smtplib import SMTPDataError, SMTPRecipientsRefused
from typing import Any

import msgspec
import pytest
from doubles.postbox import Postbox
from doubles.turns import turns, until
from doubles.virtual.clock import ManualClock
from structlog.testing import capture_logs

from vosd.base.errors import VosError
from vosd.engine.alarms import mail, output as output_of_alarms
from vosd.engine.alarms.account_mail import AccountMail, Composer
from vosd.engine.alarms.output import KeptOutput
from vosd.engine.settings import AlarmSettings, MailSecurity, MailSettings
from vosd.obs.alarms import Alarms, Level
from vosd.obs.events import Event

PATIENCE_S = 30.0
COMMANDS = ("ehlo", "mail from:<vosd@example.com>")


def addressed(*recipients: str) -> tuple[str, ...]:
    return (*COMMANDS, *(f"rcpt to:<{each}@example.com>" for each in recipients), "data")


def waiting(output: AccountMail) -> list[str]:
    return [each.alarm.subject for each in output.kept().changes]


def low(output: AccountMail, *accounts: str) -> None:
    for each in accounts:
        output.noted(Event.BALANCE_LOW, {"account": each}, 1)


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


def with_a_copy(event: Event, account: str) -> Composer:
    """Make a mail to an address with the name of the account, and to an agent."""

    def composed(sender: str, now: int) -> EmailMessage:
        made = to_the_owner(event, account)
        assert made is not None
        message = made(sender, now)
        message["Bcc"] = "agent@example.com"
        return message

    return composed


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
    (alarm,) = Alarms().note("balance_low", {"account": "other"}, 1)
    output.put(alarm)
    output.noted(Event.GATEWAY_DOWN, {"gateway": "acme"}, 1)
    output.noted(Event.BALANCE_RECOVERED, {"account": "shop"}, 1)
    low(output, "acme", "paid")
    output.noted(Event.ACCOUNT_EXPIRES, {"account": "shop", "days": 7}, 1)
    assert waiting(output) == ["acme", "paid", "shop"]
    async with sending(output) as logs:
        await turns(5)
        assert (postbox.mails.qsize(), len(waiting(output))) == (0, 3)
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
    low(output, "acme", "shop")
    async with sending(output) as logs:
        assert (await received(postbox))["To"] == "shop@example.com"
        await asyncio.wait_for(emptied(output), PATIENCE_S)
    assert [(each["event"], each.get("error")) for each in logs] == [
        ("alarm_output_down", "acme@example.com is refused: 503 bad sequence"),
        ("alarm_output_up", None),
    ]
    assert waiting(output) == []


@pytest.mark.parametrize("said", [b"what", b"252 perhaps"])
async def test_an_answer_about_an_address_that_is_no_refusal_loses_no_mail(postbox: Postbox, said: bytes) -> None:
    postbox.coming = [(*COMMANDS, "rcpt to:<acme@example.com>", "rset"), addressed("acme")]
    postbox.put_off, postbox.put_off_answer = {"acme@example.com": 1}, said
    output = AccountMail(ManualClock(), settings_of(postbox), to_the_owner)
    output.serves.set()
    low(output, "acme")
    async with sending(output):
        assert (await received(postbox))["To"] == "acme@example.com"
    assert postbox.faults == []


@pytest.mark.parametrize("said", [b"what", b"252 perhaps"])
async def test_an_answer_that_is_no_refusal_loses_no_mail_where_another_address_is_taken(
    postbox: Postbox, said: bytes
) -> None:
    to_both = (*COMMANDS, "rcpt to:<acme@example.com>", "rcpt to:<agent@example.com>", "data")
    postbox.coming = [to_both, addressed("acme")]
    postbox.put_off, postbox.put_off_answer = {"acme@example.com": 1}, said
    output = AccountMail(ManualClock(), settings_of(postbox), with_a_copy)
    output.serves.set()
    low(output, "acme")
    async with sending(output) as logs:
        for _ in range(2):
            assert (await received(postbox))["To"] == "acme@example.com"
    assert (logs, postbox.faults) == ([], [])


async def test_an_address_that_is_never_taken_and_never_refused_holds_up_no_other(
    postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "BACK_OFF_S", PATIENCE_S)  # tried again sooner, it might get the connection of the other
    postbox.coming = [(*COMMANDS, "rcpt to:<acme@example.com>", "rset"), addressed("shop")]
    postbox.put_off, postbox.put_off_answer = {"acme@example.com": 1_000}, b"252 perhaps"
    output = AccountMail(ManualClock(), settings_of(postbox), to_the_owner)
    output.serves.set()
    low(output, "acme", "shop")
    async with sending(output):
        assert (await received(postbox))["To"] == "shop@example.com"


async def emptied(output: AccountMail) -> None:
    while waiting(output):
        await turns(1)


async def test_a_mail_whose_content_is_refused_holds_up_no_other(
    postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    postbox.coming = [addressed("acme"), addressed("shop")]
    postbox.taken_answer = b"554 looks like spam"
    output = AccountMail(ManualClock(), settings_of(postbox), to_the_owner)
    output.serves.set()
    low(output, "acme")
    async with sending(output) as logs:
        await received(postbox)
        await asyncio.wait_for(emptied(output), PATIENCE_S)
        postbox.taken_answer = b"250 taken"
        low(output, "shop")
        assert (await received(postbox))["To"] == "shop@example.com"
        await asyncio.wait_for(emptied(output), PATIENCE_S)
    assert logs[0]["error"] == "acme@example.com is refused: 554 looks like spam"


async def test_a_mail_that_is_put_off_after_its_end_holds_up_no_other(
    postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered: list[tuple[str, Sequence[str] | None]] = []
    answers = {"acme@example.com": [b"4.7.1 greylisted", b"4.3.0 no space"]}

    def putting_off(_settings: MailSettings, message: EmailMessage, recipients: Sequence[str] | None = None) -> object:
        to = str(message["To"])
        delivered.append((to, recipients))
        if left := answers.get(to):
            raise SMTPDataError(451, left.pop(0))
        return {}

    monkeypatch.setattr(mail, "deliver", putting_off)

    output = AccountMail(ManualClock(), settings_of(postbox), with_a_copy)
    output.serves.set()
    low(output, "acme", "shop")
    async with sending(output) as logs, asyncio.timeout(PATIENCE_S):
        while len(delivered) < 4:
            await turns(1)
    both = ["acme@example.com", "agent@example.com"]
    assert delivered[0] == ("acme@example.com", None)
    assert ("shop@example.com", None) in delivered[1:3], "not behind the later tries of the first"
    assert [recipients for to, recipients in delivered[1:] if to == "acme@example.com"] == [both, both]
    assert logs == []


async def test_a_mail_that_is_put_off_and_then_refused_for_its_content_is_given_up(
    postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [(451, b"4.7.1 greylisted"), *[(554, b"5.7.1 looks like spam")] * 2]

    def refusing(*_: object) -> None:
        raise SMTPDataError(*answers.pop(0)) if answers else OSError("away")

    monkeypatch.setattr(mail, "deliver", refusing)
    output = AccountMail(ManualClock(), settings_of(postbox), with_a_copy)
    output.serves.set()
    low(output, "acme")
    async with sending(output) as logs:
        await until(lambda: logs or not answers)
    said = "is refused: 554 5.7.1 looks like spam"
    assert [each["error"] for each in logs] == [f"acme@example.com {said}; agent@example.com {said}"]
    assert len(answers) == 1, "it was not tried again"


@pytest.mark.parametrize(
    ("code", "said"), [(452, b"4.3.1 no space"), (421, b"4.7.0 Our system has detected an unusual rate of mail")]
)
async def test_mails_wait_where_the_server_is_not_well_at_the_end_of_one(
    postbox: Postbox, monkeypatch: pytest.MonkeyPatch, code: int, said: bytes
) -> None:
    tries: list[str] = []

    def failing(_settings: MailSettings, message: EmailMessage, _recipients: object = None) -> dict[str, object]:
        tries.append(str(message["To"]))
        if len(tries) < 3:
            raise SMTPDataError(code, said)
        return {}

    monkeypatch.setattr(mail, "deliver", failing)
    output = AccountMail(ManualClock(), settings_of(postbox), to_the_owner)
    output.serves.set()
    low(output, "acme", "shop")
    async with sending(output) as logs, asyncio.timeout(PATIENCE_S):
        await emptied(output)
    assert tries == ["acme@example.com"] * 3 + ["shop@example.com"]
    assert logs[0]["error"] == f"{code} {said.decode()}"


async def test_a_mail_waits_for_all_its_recipients_where_the_server_ends_the_connection_at_one(
    postbox: Postbox,
) -> None:
    postbox.put_off_answer, postbox.put_off = b"421 4.7.0 too many mails", {"agent@example.com": 1}
    both = addressed("acme", "agent")
    postbox.coming = [both[:-1], both, addressed("shop", "agent")]
    output = AccountMail(ManualClock(), settings_of(postbox), with_a_copy)
    output.serves.set()
    low(output, "acme", "shop")
    async with sending(output) as logs:
        assert [(await received(postbox))["To"] for _ in range(2)] == ["acme@example.com", "shop@example.com"]
        await asyncio.wait_for(emptied(output), PATIENCE_S)
    assert postbox.faults == [], "the first recipient has been named again, too"
    assert [(each["event"], each.get("error")) for each in logs] == [
        ("alarm_output_down", "agent@example.com is refused: 421 4.7.0 too many mails"),
        ("alarm_output_up", None),
    ]


async def test_mails_wait_for_a_server_that_is_away_and_are_about_what_holds_then(postbox: Postbox) -> None:
    postbox.refusals = 2
    postbox.coming = [addressed("shop")]
    paid: set[str] = set()

    def composer(event: Event, account: str) -> Composer | None:
        return None if account in paid else to_the_owner(event, account)

    output = AccountMail(ManualClock(), settings_of(postbox), composer)
    output.serves.set()
    low(output, "acme", "shop")
    async with sending(output) as logs:
        while not logs:
            await turns(1)
        paid.add("acme")
        assert (await received(postbox))["To"] == "shop@example.com"
        await asyncio.wait_for(emptied(output), PATIENCE_S)
    assert {logs[0]["event"], logs[-1]["event"]} == {"alarm_output_down", "alarm_output_up"}
    assert postbox.mails.empty()


async def test_no_mail_is_lost_where_a_server_puts_more_recipients_off_than_are_tried_again(
    postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "LATE_MAX", 2)
    tries: Counter[str] = Counter()

    def putting_off(_settings: MailSettings, message: EmailMessage, _recipients: object = None) -> dict[str, object]:
        to = str(message["To"])
        tries[to] += 1
        if tries[to] < 4:
            raise SMTPRecipientsRefused({to: (450, b"4.2.0 greylisted")})
        return {}

    monkeypatch.setattr(mail, "deliver", putting_off)
    output = AccountMail(ManualClock(), settings_of(postbox), to_the_owner)
    output.serves.set()
    names = [str(number) for number in range(6)]
    low(output, *names)
    async with sending(output) as logs, asyncio.timeout(PATIENCE_S):
        while tries != {f"{each}@example.com": 4 for each in names}:
            await turns(1)
        await emptied(output)
    assert {str(each["error"]).partition(" ")[2] for each in logs if "error" in each} == {
        "is refused: 450 4.2.0 greylisted"
    }
    assert logs[-1]["event"] == "alarm_output_up"


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
    low(output, "acme")
    async with sending(output) as logs:
        await received(postbox)
        await asyncio.wait_for(emptied(output), PATIENCE_S)
    assert [(each["event"], each.get("error")) for each in logs] == [
        ("alarm_output_down", "the words cannot be read"),
        ("alarm_output_up", None),
    ]


async def test_without_a_mail_server_nothing_waits(postbox: Postbox) -> None:
    output = AccountMail(ManualClock(), None, to_the_owner)
    low(output, "acme")
    assert waiting(output) == []
    output.adjust(AlarmSettings(mail=settings_of(postbox)))
    low(output, "acme")
    assert waiting(output) == ["acme"]
    output.adjust(AlarmSettings())
    assert waiting(output) == []
    output.adjust(AlarmSettings(mail=settings_of(postbox)))
    low(output, "acme")
    assert waiting(output) == ["acme"], "as after a restart, since its mail was not sent"
    without = AccountMail(ManualClock(), None, to_the_owner)
    without.restore(output.kept())
    without.adjust(AlarmSettings(mail=settings_of(postbox)))
    low(without, "acme")
    assert waiting(without) == ["acme"], "the server was taken out between a stop and the start"


async def test_thousands_are_mailed_once_for_each_stage_also_over_a_restart(postbox: Postbox) -> None:
    output = AccountMail(ManualClock(), settings_of(postbox), to_the_owner)
    names = [str(number) for number in range(3 * output_of_alarms.WAITING_MAX)]
    low(output, *names, *names)
    assert waiting(output) == names
    later = AccountMail(ManualClock(), settings_of(postbox), to_the_owner)
    later.restore(msgspec.convert(msgspec.to_builtins(output.kept()), KeptOutput))
    low(later, *names)
    assert waiting(later) == names
    later.noted(Event.BALANCE_RECOVERED, {"account": "7"}, 2)
    seen = [[*later.mailed_of(Event.BALANCE_LOW)] for _ in range(4)]
    assert [*map(len, seen)] == [1_000, 1_000, 999, 1_000], "all in turn, some at a time, and again"
    assert {name for each in seen for name in each} == {*names} - {"7"}
    low(later, "7")
    ends = {"account": "7", "expires_at": "2026-12-01T00:00:00.000Z"}
    for days in (7, 7, 3):
        later.noted(Event.ACCOUNT_EXPIRES, ends | {"days": days}, 2)
    assert waiting(later)[len(names) :] == ["7"], "a mail that waits says what holds when it is sent"


async def test_an_account_that_gets_no_mail_is_asked_about_again_after_a_restart(postbox: Postbox) -> None:
    output = AccountMail(ManualClock(), settings_of(postbox), to_the_owner)
    output.serves.set()
    kept = asyncio.Event()
    output.on_delivery = kept.set
    low(output, "paid")
    assert kept.is_set()
    async with sending(output):
        await asyncio.wait_for(emptied(output), PATIENCE_S)
    assert output.kept() == KeptOutput("account_mail")


async def test_calls_go_on_while_mails_without_an_address_are_left_out() -> None:
    """They may have waited for the mail server by the thousand, behind one with an address."""
    own = MailSettings("127.0.0.1", 25, "vosd@example.com", (), MailSecurity.NONE)
    output = AccountMail(ManualClock(), own, lambda _event, _account: None)
    output.serves.set()
    low(output, *map(str, range(50)))
    left = [50]
    async with sending(output):
        while left[-1]:
            await turns(1)
            left.append(len(waiting(output)))
    assert set(left) == set(range(51))
