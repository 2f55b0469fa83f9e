"""Alarms to a webhook and to a mail server, both real ones on this machine that may be down."""

import asyncio
import base64
import hashlib
import hmac
import io
import json
import smtplib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from doubles.postbox import Postbox
from doubles.turns import turns
from doubles.virtual.clock import ManualClock
from e2e.conditions import a_moment
from structlog.testing import capture_logs

from vosd.base.clock import LAST_DATE_MS
from vosd.base.secret import Secret
from vosd.cdr.columns import iso_utc
from vosd.control.installation import AlarmList, ConfirmAlarm
from vosd.engine.alarms import desk as desk_of_alarms, mail, output as output_of_alarms, webhook
from vosd.engine.alarms.desk import AlarmDesk, AlarmFile, KeptDesk, row
from vosd.engine.alarms.mail import Mail, composed, deliver
from vosd.engine.alarms.output import ChangeQueue, KeptOutput
from vosd.engine.alarms.webhook import AlarmWebhook
from vosd.engine.background import every
from vosd.engine.settings import AlarmSettings, MailSecurity, MailSettings, WebhookSettings
from vosd.obs.alarms import CONFIRMED_MS, SUBJECTS_MAX, Alarm, AlarmChange, Alarms, KeptAlarms, Level
from vosd.obs.events import Event
from vosd.obs.remedies import REMEDIES
from vosd.obs.stream import EventStream, Noted

PATIENCE_S = 30.0
SECRET = "not a secret"


def changes_of(count: int, event: str = "gateway_down", fact: str = "gateway") -> list[AlarmChange]:
    alarms = Alarms()
    return [change for number in range(count) for change in alarms.note(event, {fact: f"g{number}"}, number)]


class Hook:
    """An HTTP server that refuses what is not signed well; its next answers may be set."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []
        self.answers: list[int] = []
        self.faults: list[str] = []
        self.url = ""
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/alarms?site=1"

    def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()

    async def report(self) -> dict[str, object]:
        return await asyncio.wait_for(self.heard.get(), PATIENCE_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while True:
                first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines if line)
                body = await reader.readexactly(int(headers["Content-Length"]))
                signed = f"{headers['X-Vosd-Timestamp']}.".encode() + body
                digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
                if first != "POST /alarms?site=1 HTTP/1.1" or headers["X-Vosd-Signature"] != f"sha256={digest}":
                    self.faults.append(first)
                status = self.answers.pop(0) if self.answers else 200
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok" % status)
                if status == 200:
                    self.heard.put_nowait(json.loads(body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    for module in (webhook, mail):
        monkeypatch.setattr(module, "BACK_OFF_S", 0.01)
        monkeypatch.setattr(module, "BACK_OFF_MAX_S", 0.02)
    monkeypatch.setattr(mail, "GATHER_S", 0.05)


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    made = Hook()
    await made.listen()
    yield made
    made.close()
    await turns(5)  # its connections are closed by the loop


def webhook_of(url: str, level: Level = Level.INFO) -> AlarmWebhook:
    return AlarmWebhook("sw1", ManualClock(), WebhookSettings(url, Secret(SECRET), level))


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_change_is_posted_with_a_signature_and_repeated_until_the_server_is_well(hook: Hook):
    output = webhook_of(hook.url)
    hook.answers = [503, 429]
    task = asyncio.create_task(output.run())
    with capture_logs() as logs:
        alarms = Alarms()
        for event, facts in (("gateway_down", {"gateway": "a", "why": "silence"}), ("gateway_up", {"gateway": "a"})):
            for change in alarms.note(event, facts, 1_000):
                output.put(change)
        raised, cleared = await hook.report(), await hook.report()
    assert raised == {
        "node": "sw1", "state": "raised", "at": "1970-01-01T00:00:01.000Z", "alarm": "gateway_down", "subject": "a",
        "level": "warning", "since": "1970-01-01T00:00:01.000Z", "last": "1970-01-01T00:00:01.000Z", "count": 1,
        "text": "why: silence", "do": REMEDIES[Event.GATEWAY_DOWN], "cleared_at": None, "dropped": 0,
        "confirmed_by": None, "note": None, "silent_until": None,
    }  # fmt: skip
    assert (cleared["state"], cleared["cleared_at"]) == ("cleared", "1970-01-01T00:00:01.000Z")
    assert hook.faults == []
    assert [line["event"] for line in logs] == ["alarm_output_down", "alarm_output_down", "alarm_output_up"]
    assert [line.get("error") for line in logs] == ["status 503", "status 429", None]
    await stopped(task)


async def test_what_waits_for_a_dead_server_is_bounded_and_the_next_report_says_what_was_dropped(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(output_of_alarms, "WAITING_MAX", 3)
    output = webhook_of(hook.url)
    for change in changes_of(5):
        output.put(change)
    task = asyncio.create_task(output.run())
    reports = [await hook.report() for _ in range(3)]
    assert [(each["subject"], each["dropped"]) for each in reports] == [("g2", 2), ("g3", 0), ("g4", 0)]
    await stopped(task)


@pytest.mark.parametrize("status", [302, 401, 403, 404])
async def test_a_report_is_repeated_where_its_status_is_about_the_server_or_the_secret(hook: Hook, status: int):
    output = webhook_of(hook.url)
    hook.answers = [status]
    task = asyncio.create_task(output.run())
    with capture_logs() as logs:
        output.put(*changes_of(1))
        assert (await hook.report())["subject"] == "g0"
    assert [(line["event"], line.get("error")) for line in logs][:1] == [("alarm_output_down", f"status {status}")]
    await stopped(task)


async def test_a_report_that_is_refused_is_not_repeated(hook: Hook):
    output = webhook_of(hook.url)
    hook.answers = [400]
    task = asyncio.create_task(output.run())
    with capture_logs() as logs:
        for change in changes_of(2):
            output.put(change)
        assert (await hook.report())["subject"] == "g1"
    assert [(line["event"], line["status"]) for line in logs] == [("alarm_refused", 400)]
    await stopped(task)


async def test_an_output_receives_what_is_urgent_enough_and_nothing_when_it_is_taken_away(hook: Hook):
    output = webhook_of(hook.url, Level.CRITICAL)
    task = asyncio.create_task(output.run())
    (urgent,) = changes_of(1, "database_away", "part")
    for change in (*changes_of(1), urgent):
        output.put(change)
    assert (await hook.report())["alarm"] == "database_away"
    output.adjust(AlarmSettings())
    output.put(urgent)
    output.adjust(AlarmSettings(webhook=WebhookSettings(hook.url, Secret(SECRET))))
    (other,) = changes_of(1)
    output.put(other)
    assert (await hook.report())["alarm"] == "gateway_down"
    await stopped(task)


async def test_a_receiver_of_level_off_gets_no_alarm_from_the_start_on_and_from_a_reload_on(
    hook: Hook, postbox: Postbox
):
    (urgent,) = changes_of(1, "database_away", "part")
    by_mail = replace(mail_settings(postbox.port), level=Level.OFF)
    outputs = webhook_of(hook.url, Level.OFF), Mail("sw1", ManualClock(), by_mail), webhook_of(hook.url)
    for output in outputs:
        output.put(urgent)
    outputs[2].adjust(AlarmSettings(webhook=WebhookSettings(hook.url, Secret(SECRET), Level.OFF)))
    outputs[2].put(urgent)
    assert [output.kept().changes for output in outputs] == [()] * 3


async def test_a_server_that_is_replaced_while_it_is_asked_is_not_reported_as_away(hook: Hook):
    asked = asyncio.Event()

    async def held(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(held, "127.0.0.1", 0)
    output = webhook_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    task = asyncio.create_task(output.run())
    with capture_logs() as logs:
        output.put(*changes_of(1))
        await asyncio.wait_for(asked.wait(), PATIENCE_S)
        output.adjust(AlarmSettings(webhook=WebhookSettings(hook.url, Secret(SECRET))))
        assert (await hook.report())["alarm"] == "gateway_down"
    server.close()
    assert logs == []
    await stopped(task)


async def test_the_desk_passes_events_of_its_stream_on(hook: Hook):
    stream, clock = EventStream(), ManualClock()
    settings = AlarmSettings(webhook=WebhookSettings(hook.url, Secret(SECRET)))
    desk = AlarmDesk(stream, clock, settings, {"webhook": AlarmWebhook("sw1", clock, settings.webhook)})
    desk.begin(lambda: every(0.01, desk.take))
    stream.put(Noted("lease_lost", {"why": "another switch"}, clock.now().wall))
    assert (await hook.report())["alarm"] == "lease_lost"
    (listed,) = desk.rows(history=False).alarms
    assert (listed.alarm, listed.text) == ("lease_lost", "why: another switch")
    stream.put(Noted("lease_regained", {"epoch": 2}, clock.now().wall))
    assert (await hook.report())["state"] == "cleared"
    assert desk.rows(history=False) == AlarmList([], 0)
    await desk.end()


async def test_more_alarms_of_a_name_than_are_kept_are_an_alarm_until_half_of_them_are_over(hook: Hook):
    stream, clock = EventStream(), ManualClock()
    settings = AlarmSettings(webhook=WebhookSettings(hook.url, Secret(SECRET)))
    webhook = AlarmWebhook("sw1", clock, settings.webhook)
    desk = AlarmDesk(stream, clock, settings, {"webhook": webhook})

    def logged(event: str, numbers: range) -> list[Any]:
        """Log an event of some gateways; return what was delivered about alarms that are not kept."""
        for number in numbers:
            stream.put(Noted(event, {"gateway": str(number)}, clock.now().wall))
        with capture_logs() as logs:
            desk.take()
        for line in logs:
            facts = {name: value for name, value in line.items() if name not in {"event", "log_level"}}
            stream.put(Noted(line["event"], facts, clock.now().wall))
        desk.take()
        changes, _ = webhook._changes.taken()
        webhook._changes.delivered()
        about = [each for each in changes if each.alarm.event is Event.ALARMS_LEFT_OUT]
        return [(each.alarm.subject, each.alarm.text, each.is_raised) for each in about]

    assert logged("gateway_down", range(SUBJECTS_MAX)) == []
    assert logged("gateway_down", range(SUBJECTS_MAX, SUBJECTS_MAX + 1)) == [("gateway_down", "reports: 1", True)]
    assert logged("gateway_down", range(SUBJECTS_MAX + 1, SUBJECTS_MAX + 9)) == []
    assert logged("gateway_down", range(SUBJECTS_MAX + 9, SUBJECTS_MAX + 10)) == [("gateway_down", "reports: 10", True)]
    assert desk.rows(history=False).left_out == 10
    assert logged("gateway_up", range(SUBJECTS_MAX // 2 - 1)) == []
    assert logged("gateway_up", range(SUBJECTS_MAX // 2)) == [("gateway_down", "reports: 10", False)]
    assert desk.rows(history=False).left_out == 0


async def test_many_events_are_taken_in_several_turns(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(desk_of_alarms, "TAKES_S", 0)
    monkeypatch.setattr(desk_of_alarms, "TAKEN_AT_ONCE", 2)
    stream, clock = EventStream(), ManualClock()
    desk = AlarmDesk(stream, clock, AlarmSettings(), {})
    for number in range(7):
        stream.put(Noted("gateway_down", {"gateway": str(number)}, clock.now().wall))
    desk.begin(asyncio.Event().wait)
    left = [7]
    while left[-1]:
        await asyncio.sleep(0)
        left.append(len(stream))
    assert list(dict.fromkeys(left)) == [7, 5, 3, 1, 0]
    assert len(desk.rows(history=False).alarms) == 7
    for number in range(7):
        stream.put(Noted("gateway_up", {"gateway": str(number)}, clock.now().wall))
    await desk.end()
    assert (len(stream), desk.rows(history=False).alarms) == (0, [])


async def test_a_silent_alarm_is_listed_and_reported_when_it_is_silent_no_more(hook: Hook):
    stream, clock = EventStream(), ManualClock()
    settings = AlarmSettings(webhook=WebhookSettings(hook.url, Secret(SECRET)))
    desk = AlarmDesk(stream, clock, settings, {"webhook": AlarmWebhook("sw1", clock, settings.webhook)})
    desk.begin(lambda: every(0.01, desk.take))

    def happens(event: str, gateway: str) -> None:
        stream.put(Noted(event, {"gateway": gateway}, clock.now().wall))
        desk.take()

    happens("gateway_down", "a")
    until = clock.now().wall + 60_000
    order = ConfirmAlarm(alarm="gateway_down", subject="a", by="ann", note="seen", silent_until_ms=until)
    confirmed = desk.confirm(order).alarm
    assert confirmed is not None
    assert (confirmed.confirmed_by, confirmed.note, confirmed.silent_until) == ("ann", "seen", iso_utc(until))
    for unknown in ("lease_lost", "no_such_alarm"):
        assert desk.confirm(ConfirmAlarm(alarm=unknown, by="ann")).alarm is None
    happens("gateway_up", "a")
    happens("gateway_down", "a")
    happens("gateway_down", "b")
    assert [row.subject for row in desk.rows(history=False).alarms] == ["a", "b"]
    reports = [await hook.report() for _ in range(3)]
    assert [(each["state"], each["subject"]) for each in reports] == [
        ("raised", "a"),
        ("cleared", "a"),
        ("raised", "b"),
    ]
    clock.move_to(clock.now().mono + 60_000)
    report = await hook.report()
    assert (report["state"], report["subject"]) == ("raised", "a")
    await desk.end()


async def test_an_alarm_that_stands_is_reported_as_over_when_a_person_confirms_it_and_not_when_it_is_silenced(
    hook: Hook,
):
    stream, clock = EventStream(), ManualClock()
    settings = AlarmSettings(webhook=WebhookSettings(hook.url, Secret(SECRET)))
    desk = AlarmDesk(stream, clock, settings, {"webhook": AlarmWebhook("sw1", clock, settings.webhook)})
    desk.begin(lambda: every(0.01, desk.take))
    stream.put(Noted("payments_lost", {"lost_at": "noon", "accounts": 2}, clock.now().wall))
    assert (await hook.report())["state"] == "raised"
    order = ConfirmAlarm(alarm="payments_lost", subject="noon", by="ann", silent_until_ms=clock.now().wall + 60_000)
    silenced = desk.confirm(order).alarm
    assert silenced is not None
    assert silenced.cleared_at is None
    over = desk.confirm(ConfirmAlarm(alarm="payments_lost", subject="noon", by="ann", note="booked again")).alarm
    assert over is not None
    assert (over.cleared_at is not None, over.confirmed_by, over.note) == (True, "ann", "booked again")
    assert desk.rows(history=False).alarms == []
    assert (await hook.report())["state"] == "cleared"
    await desk.end()


COMMANDS = (
    "ehlo", "auth plain", "mail from:<vosd@example.com>", "rcpt to:<noc@example.com>", "rcpt to:<boss@example.com>",
    "data",
)  # fmt: skip


@pytest.fixture
async def postbox() -> AsyncIterator[Postbox]:
    made = Postbox(COMMANDS)
    await made.listen()
    yield made
    made.close()
    await turns(5)  # its connections are closed by the loop


def mail_settings(port: int) -> MailSettings:
    recipients = ("noc@example.com", "boss@example.com")
    return MailSettings(
        "127.0.0.1", port, "vosd@example.com", recipients, MailSecurity.NONE, "vosd", Secret(SECRET), interval_s=0
    )


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("switch.example.com", "ehlo switch.example.com"),
        ("switch", "ehlo [127.0.0.1]"),  # of a machine without a domain: Debian has 127.0.1.1 for its name
        ("localhost.localdomain", "ehlo [127.0.0.1]"),
    ],
)
async def test_a_machine_without_a_name_greets_by_the_address_of_its_connection(
    postbox: Postbox, monkeypatch: pytest.MonkeyPatch, host: str, says: str
):
    monkeypatch.setattr(smtplib.socket, "getfqdn", lambda: host)
    monkeypatch.setattr(smtplib.socket, "gethostbyname", lambda _name: "127.0.1.1")
    postbox.coming = [(says, *COMMANDS[1:])]
    settings = mail_settings(postbox.port)
    message = composed("sw1", settings, changes_of(1), 0, 0)
    assert await asyncio.wait_for(asyncio.to_thread(deliver, settings, message), PATIENCE_S) == {}
    assert postbox.faults == []


def test_an_address_of_ipv6_is_written_as_a_name():
    assert [mail._literal(each) for each in ("2001:db8::5", "fe80::1%eth0")] == ["[IPv6:2001:db8::5]", "[IPv6:fe80::1]"]


async def test_many_changes_are_one_mail_which_is_repeated_until_the_server_takes_it(postbox: Postbox):
    output = Mail("sw1", ManualClock(), mail_settings(postbox.port))
    postbox.refusals = 2
    task = asyncio.create_task(output.run())
    with capture_logs() as logs:
        for change in changes_of(300):
            output.put(change)
        message = await asyncio.wait_for(postbox.mails.get(), PATIENCE_S)
        (last,) = changes_of(1, "lease_lost")
        output.put(last)
        second = await asyncio.wait_for(postbox.mails.get(), PATIENCE_S)
    assert postbox.faults == []
    assert message["Subject"] == "[vosd sw1] 300 raised, 0 cleared: gateway_down"
    assert message["To"] == "noc@example.com, boss@example.com"
    lines = message.get_content().splitlines()
    assert lines[0] == "100 less urgent or earlier changes are not listed: vosd alarms, vosd alarms --history"
    assert lines[1] == "1970-01-01T00:00:00.299Z WARNING gateway_down g299"
    assert second["Subject"] == "[vosd sw1] 1 raised (1 critical), 0 cleared: lease_lost"
    assert [line["event"] for line in logs][:1] == ["alarm_output_down"]
    assert logs[-1]["event"] == "alarm_output_up"
    await stopped(task)


async def test_a_mail_that_was_taken_is_taken_whatever_the_server_answers_to_quit(postbox: Postbox):
    postbox.quit_answer = b"421 4.4.2 closing"
    settings = mail_settings(postbox.port)
    message = composed("sw1", settings, changes_of(1), 0, 0)
    assert await asyncio.wait_for(asyncio.to_thread(deliver, settings, message), PATIENCE_S) == {}
    assert (postbox.mails.qsize(), postbox.faults) == (1, [])


async def test_a_mail_with_letters_beyond_ascii_is_sent_as_ascii(postbox: Postbox):
    settings = mail_settings(postbox.port)
    alarms = Alarms()
    alarms.note("gateway_down", {"gateway": "M\u00fcller"}, 0)
    message = composed("z\u00fcrich", settings, alarms.note("gateway_up", {"gateway": "M\u00fcller"}, 1), 0, 0)
    assert await asyncio.wait_for(asyncio.to_thread(deliver, settings, message), PATIENCE_S) == {}
    taken = postbox.mails.get_nowait()
    assert taken["Subject"] == "[vosd z\u00fcrich] 0 raised, 1 cleared: gateway_down"
    assert "gateway_down M\u00fcller" in taken.get_content()


async def test_a_login_that_cannot_be_sent_is_an_outage_until_a_reload_names_another(postbox: Postbox):
    settings = mail_settings(postbox.port)
    output = Mail("sw1", ManualClock(), replace(settings, password=Secret("gr\u00fcn")))
    away = asyncio.Event()
    with capture_logs(processors=[lambda _logger, _method, line: away.set() or line]) as logs:
        task = asyncio.create_task(output.run())
        output.put(*changes_of(1))
        await asyncio.wait_for(away.wait(), PATIENCE_S)
        output.adjust(AlarmSettings(mail=settings))
        await asyncio.wait_for(postbox.mails.get(), PATIENCE_S)
    assert (logs[0]["event"], logs[0]["error"]) == ("alarm_output_down", "the user name or the password is not ASCII")
    await stopped(task)


async def test_a_mail_that_one_address_refuses_is_not_repeated_and_the_address_is_named(postbox: Postbox):
    settings = replace(mail_settings(postbox.port), recipients=("noc@example.com", "gone@example.com"))
    output = Mail("sw1", ManualClock(), settings)
    with capture_logs() as logs:
        task = asyncio.create_task(output.run())
        for change in changes_of(2):
            output.put(change)
            message = await asyncio.wait_for(postbox.mails.get(), PATIENCE_S)
    assert message["Subject"] == "[vosd sw1] 1 raised, 0 cleared: gateway_down", "the first change is not repeated"
    assert (logs[0]["event"], logs[0]["error"]) == (
        "alarm_output_down",
        "gone@example.com is refused: 503 bad sequence",
    )
    await stopped(task)


FOR_BOSS = tuple(each for each in COMMANDS if "noc" not in each)


async def test_a_recipient_that_is_put_off_gets_the_mail_later_alone(monkeypatch: pytest.MonkeyPatch, postbox: Postbox):
    monkeypatch.setattr(mail, "BACK_OFF_S", 0.01)
    postbox.put_off = {"boss@example.com": 2}
    postbox.coming = [COMMANDS, (*FOR_BOSS[:-1], "rset"), FOR_BOSS]
    output = Mail("sw1", ManualClock(), mail_settings(postbox.port))
    with capture_logs() as logs:
        task = asyncio.create_task(output.run())
        output.put(*changes_of(1))
        first, again = [await asyncio.wait_for(postbox.mails.get(), PATIENCE_S) for _ in range(2)]
        output.put(*changes_of(1, "lease_lost"))
        last = await asyncio.wait_for(postbox.mails.get(), PATIENCE_S)
    assert first["Message-ID"] == again["Message-ID"]
    assert "lease_lost" in last["Subject"]
    assert (postbox.faults, postbox.coming, logs) == ([], [], [])
    await stopped(task)


async def test_an_outage_is_over_where_a_recipient_is_put_off(monkeypatch: pytest.MonkeyPatch, postbox: Postbox):
    monkeypatch.setattr(mail, "BACK_OFF_S", 0.01)
    deliver, fails = mail.deliver, ["connection refused"]

    def failing_once(*words: Any) -> Mapping[str, tuple[int, bytes]]:
        if fails:
            raise OSError(fails.pop())
        return deliver(*words)

    monkeypatch.setattr(mail, "deliver", failing_once)
    postbox.put_off = {"boss@example.com": 1}
    postbox.coming = [COMMANDS, FOR_BOSS]
    output = Mail("sw1", ManualClock(), mail_settings(postbox.port))
    with capture_logs() as logs:
        task = asyncio.create_task(output.run())
        output.put(*changes_of(1))
        for _ in range(2):
            await asyncio.wait_for(postbox.mails.get(), PATIENCE_S)
    assert [line["event"] for line in logs] == ["alarm_output_down", "alarm_output_up"]
    await stopped(task)


async def test_a_recipient_that_is_put_off_for_hours_is_named(monkeypatch: pytest.MonkeyPatch, postbox: Postbox):
    monkeypatch.setattr(mail, "BACK_OFF_S", 0.01)
    postbox.put_off = {"boss@example.com": 1_000}
    postbox.coming = [COMMANDS, *[(*FOR_BOSS[:-1], "rset")] * 1_000]
    clock, delivered = ManualClock(), asyncio.Event()
    output = Mail("sw1", clock, mail_settings(postbox.port))
    output.on_delivery = delivered.set
    with capture_logs() as logs:
        task = asyncio.create_task(output.run())
        output.put(*changes_of(1))
        await asyncio.wait_for(delivered.wait(), PATIENCE_S)
        clock.move_to(clock.now().mono + mail.LATE_MS)
        async with asyncio.timeout(PATIENCE_S):
            while not logs:
                await a_moment()
    assert logs[0]["error"] == "boss@example.com is refused: 450 4.2.0 greylisted"
    await stopped(task)


async def test_a_recipient_that_was_put_off_and_that_a_reload_takes_out_is_not_tried_again(postbox: Postbox):
    postbox.put_off = {"boss@example.com": 1}
    postbox.coming = [COMMANDS, tuple(each for each in COMMANDS if "boss" not in each)]
    settings = mail_settings(postbox.port)
    output = Mail("sw1", ManualClock(), settings)
    delivered = asyncio.Event()
    output.on_delivery = delivered.set
    task = asyncio.create_task(output.run())
    output.put(*changes_of(1))
    await asyncio.wait_for(delivered.wait(), PATIENCE_S)
    await turns(5)  # it waits for the next try, which a reload lets come at once
    output.adjust(AlarmSettings(mail=replace(settings, recipients=("noc@example.com",))))
    await turns(5)
    output.put(*changes_of(1, "lease_lost"))
    mails = [await asyncio.wait_for(postbox.mails.get(), PATIENCE_S) for _ in range(2)]
    assert mails[1]["To"] == "noc@example.com"
    assert (postbox.faults, postbox.mails.qsize()) == ([], 0)
    await stopped(task)


@pytest.mark.parametrize("fails", [True, False])
async def test_a_mail_server_that_is_replaced_while_it_is_asked_is_not_reported_as_away_nor_waited_for(
    monkeypatch: pytest.MonkeyPatch, postbox: Postbox, fails: bool
):
    asked, may_answer, deliver = threading.Event(), threading.Event(), mail.deliver

    def held(settings: MailSettings, message: EmailMessage) -> Mapping[str, tuple[int, bytes]]:
        if settings.port == postbox.port:
            return deliver(settings, message)
        asked.set()
        may_answer.wait(PATIENCE_S)
        if fails:
            raise ConnectionRefusedError
        return {}

    monkeypatch.setattr(mail, "deliver", held)
    monkeypatch.setattr(mail, "BACK_OFF_S", 3_600.0)
    output = Mail("sw1", ManualClock(), mail_settings(1))
    task = asyncio.create_task(output.run())
    with capture_logs() as logs:
        output.put(*changes_of(1))
        await asyncio.to_thread(asked.wait, PATIENCE_S)
        output.adjust(AlarmSettings())
        output.adjust(AlarmSettings(mail=mail_settings(postbox.port)))
        output.put(*changes_of(1, "lease_lost"))
        may_answer.set()
        message = await asyncio.wait_for(postbox.mails.get(), PATIENCE_S)
    assert message["Subject"] == "[vosd sw1] 1 raised (1 critical), 0 cleared: lease_lost"
    assert logs == []
    await stopped(task)


async def test_a_mail_server_that_a_reload_names_is_not_kept_waiting_by_the_one_before(
    monkeypatch: pytest.MonkeyPatch, postbox: Postbox
):
    asked, may_answer, deliver = threading.Event(), threading.Event(), mail.deliver

    def held(settings: MailSettings, message: EmailMessage) -> Mapping[str, tuple[int, bytes]]:
        if settings.port == postbox.port:
            return deliver(settings, message)
        asked.set()
        may_answer.wait(2 * PATIENCE_S)
        return {}

    monkeypatch.setattr(mail, "deliver", held)
    output = Mail("sw1", ManualClock(), mail_settings(1))
    task = asyncio.create_task(output.run())
    try:
        output.put(*changes_of(1))
        await asyncio.to_thread(asked.wait, PATIENCE_S)
        output.adjust(AlarmSettings(mail=mail_settings(postbox.port)))
        message = await asyncio.wait_for(postbox.mails.get(), PATIENCE_S)
    finally:
        may_answer.set()
    assert message["Subject"] == "[vosd sw1] 1 raised, 0 cleared: gateway_down"
    await stopped(task)


async def test_a_shorter_interval_holds_at_once(postbox: Postbox):
    settings = mail_settings(postbox.port)
    output = Mail("sw1", ManualClock(), replace(settings, interval_s=86_400))
    delivered = asyncio.Event()
    output.on_delivery = delivered.set
    task = asyncio.create_task(output.run())
    output.put(*changes_of(1, "lease_lost"))
    await asyncio.wait_for(delivered.wait(), PATIENCE_S)
    postbox.mails.get_nowait()
    output.put(*changes_of(1, "disk_low"))
    await asyncio.sleep(0)
    output.adjust(AlarmSettings(mail=settings))
    assert "disk_low" in (await asyncio.wait_for(postbox.mails.get(), PATIENCE_S))["Subject"]
    await stopped(task)


async def test_a_receiver_that_was_away_before_the_start_is_back_with_the_first_report_that_it_takes(
    hook: Hook, tmp_path: Path
):
    clock, stream = ManualClock(), EventStream()
    settings = AlarmSettings(webhook=WebhookSettings(hook.url, Secret(SECRET)))
    alarms = Alarms()
    alarms.note("alarm_output_down", {"output": "webhook"}, 1)
    AlarmFile(tmp_path / "alarms.json").write(KeptDesk(alarms.kept()))
    outputs = {"webhook": AlarmWebhook("sw1", clock, settings.webhook)}
    desk = AlarmDesk(stream, clock, settings, outputs, AlarmFile(tmp_path / "alarms.json"))
    with capture_logs() as logs:
        desk.begin(asyncio.Event().wait)  # type: ignore[arg-type]
        stream.put(Noted("lease_lost", {}, clock.now().wall))
        assert (await hook.report())["alarm"] == "lease_lost", "events are taken also while the watch waits"
        stream.put(Noted("disk_low", {}, clock.now().wall))
        await hook.report()
    assert [line["event"] for line in logs] == ["alarm_output_up"]
    await desk.end()


async def test_what_waits_for_a_dead_mail_server_is_bounded(monkeypatch: pytest.MonkeyPatch, postbox: Postbox):
    monkeypatch.setattr(output_of_alarms, "WAITING_MAX", 3)
    output = Mail("sw1", ManualClock(), mail_settings(postbox.port))
    for change in changes_of(5):
        output.put(change)
    task = asyncio.create_task(output.run())
    lines = (await asyncio.wait_for(postbox.mails.get(), PATIENCE_S)).get_content().splitlines()
    assert lines[0].startswith("2 less urgent or earlier changes")
    assert [line.split()[-1] for line in lines[1:4]] == ["g4", "g3", "g2"]
    await stopped(task)


def test_a_mail_lists_the_most_urgent_changes_first_whatever_a_scanner_raises():
    changes = [*changes_of(1, "database_regressed"), *changes_of(250, "auth_lockout", "source")]
    message = composed("sw1", mail_settings(25), changes, 0, 0)
    assert message["Subject"] == "[vosd sw1] 251 raised (1 critical), 0 cleared"
    lines = message.get_content().splitlines()
    assert lines[0].startswith("51 less urgent or earlier changes are not listed")
    assert lines[1] == "1970-01-01T00:00:00.000Z CRITICAL database_regressed: gateway: g0"
    assert lines[2].endswith("auth_lockout g249")


def test_the_least_urgent_change_of_too_many_is_dropped_and_with_a_beginning_its_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(output_of_alarms, "WAITING_MAX", 4)
    queue, alarms = ChangeQueue(), Alarms()
    happened = (
        ("disk_low", "disk_recovered", {}), ("auth_lockout", "auth_unblocked", {"source": "a"}),
        ("auth_lockout", "", {"source": "b"}), ("lease_lost", "lease_regained", {}),
    )  # fmt: skip
    for event, end, facts in happened:
        for name in filter(None, (event, end)):
            for change in alarms.note(name, facts, 1):
                queue.put(change)
    changes, dropped = queue.taken()
    assert ([(each.alarm.event.value, each.is_raised) for each in changes], dropped) == (
        [("disk_low", True), ("disk_low", False), ("lease_lost", True), ("lease_lost", False)],
        3,
    )
    queue.put(*changes_of(1, "database_regressed"))
    changes, dropped = queue.taken(1)
    assert ([each.alarm.event.value for each in changes], dropped, len(queue)) == (["lease_lost"], 5, 3)
    queue.delivered()
    assert [each.alarm.event.value for each in queue.taken()[0]] == ["lease_lost", "database_regressed"]


def test_a_critical_alarm_waits_while_a_scanner_fills_the_queue():
    queue, alarms = ChangeQueue(), Alarms()
    queue.put(*alarms.note("database_regressed", {}, 0))
    for number in range(3 * output_of_alarms.WAITING_MAX):
        for name in ("auth_lockout", "auth_unblocked"):
            queue.put(*alarms.note(name, {"source": str(number)}, 1))
    changes, dropped = queue.taken()
    assert (changes[0].alarm.event, len(changes) + dropped) == (Event.DATABASE_REGRESSED, 6_001)


async def test_a_server_without_encryption_gets_no_password_where_encryption_is_wanted(postbox: Postbox):
    settings = mail_settings(postbox.port)
    wanted = MailSettings(
        settings.server, settings.port, settings.sender, settings.recipients, MailSecurity.STARTTLS, "vosd",
        Secret(SECRET),
    )  # fmt: skip
    message = composed("sw1", wanted, changes_of(1), 0, 0)
    with pytest.raises(smtplib.SMTPNotSupportedError):
        await asyncio.to_thread(mail.deliver, wanted, message)
    assert postbox.mails.empty()


async def test_a_mail_server_that_never_comes_to_an_end_has_a_time_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mail, "MAIL_S", 0.3)
    ended = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            writer.write(b"220-be patient\r\n")
            try:
                await asyncio.wait_for(reader.read(100), 0.01)
            except TimeoutError:
                continue
        writer.close()
        ended.set()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        settings = mail_settings(server.sockets[0].getsockname()[1])
        output = Mail("sw1", ManualClock(), settings)
        task = asyncio.create_task(output.run())
        with capture_logs() as logs:
            output.put(changes_of(1)[0])
            await asyncio.wait_for(ended.wait(), PATIENCE_S)
            while not logs:
                await a_moment()
        await stopped(task)
    assert logs[0]["event"] == "alarm_output_down"
    assert "the server was not done with the mail" in logs[0]["error"]


async def test_a_mail_server_whose_answer_has_no_end_is_left():
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            for _ in range(1_000):
                writer.write(b"220-%s\r\n" % bytes(8_000))
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        settings = mail_settings(server.sockets[0].getsockname()[1])
        message = composed("sw1", settings, changes_of(1), 0, 0)
        with pytest.raises(smtplib.SMTPServerDisconnected, match=f"more than {mail.ANSWER_BYTES_MAX} bytes"):
            await asyncio.to_thread(deliver, settings, message)


class SlowLine:
    """A connection to a mail server that takes so many bytes a second, on a time of its own."""

    def __init__(self, bytes_a_second: int, scan_s: float = 0.0) -> None:
        """``scan_s``: time that the server takes for its answer to the end of the mail."""
        self._bytes_a_second = bytes_a_second
        self._scan_s = scan_s
        self._timeout_s = 0.0
        self.limit_s = 0.0
        """Time limit of the whole, from when it was begun last."""
        self.sent = bytearray()
        self.kept_by_system: int | None = None
        self._answers = io.BytesIO(
            b"220 here\r\n250 hello\r\n250 from\r\n250 to\r\n354 go on\r\n250 taken\r\n221 bye\r\n"
        )

    def connect(self, _place: tuple[str, int], timeout_s: float) -> "SlowLine":
        self._timeout_s = timeout_s
        return self

    def settimeout(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    def setsockopt(self, _level: int, option: int, value: int) -> None:
        if option == socket.SO_SNDBUF:
            self.kept_by_system = value

    def getsockname(self) -> tuple[str, int]:
        return "192.0.2.1", 40_000

    def sendall(self, content: bytes) -> None:
        """Take the content, as a socket does: the time limit is one of all of it."""
        if len(content) / self._bytes_a_second > self._timeout_s:
            raise TimeoutError("timed out")
        self.sent += content

    def makefile(self, _mode: str) -> "SlowLine":
        return self

    def readline(self, _most: int) -> bytes:
        answer = self._answers.readline()
        if answer == b"250 taken\r\n" and self._scan_s > min(self._timeout_s, self.limit_s):
            raise TimeoutError("timed out")
        return answer

    def timer(self, seconds: float, end: Callable[[], None]) -> threading.Timer:
        """Note the time limit of the whole."""
        self.limit_s = seconds
        return threading.Timer(seconds, end)

    def dup(self) -> "SlowLine":
        return self

    def close(self) -> None:
        pass


def test_a_long_mail_over_a_slow_line_has_the_time_of_its_bytes(monkeypatch: pytest.MonkeyPatch):
    line = SlowLine(mail.SLOWEST_BYTES_A_SECOND)
    monkeypatch.setattr(mail.socket, "create_connection", line.connect)
    message = EmailMessage()
    message["From"], message["To"] = "vosd@example.test", "ops@example.test"
    message.set_content("invoices")
    content = bytes(range(256)) * 8_192  # 2 MiB, in base64 much more than 30 s of this line
    message.add_attachment(content, maintype="application", subtype="pdf")
    settings = replace(mail_settings(25), security=MailSecurity.NONE, username="", password=None)
    assert mail.deliver(settings, message) == {}
    assert base64.encodebytes(content).replace(b"\n", b"\r\n") in bytes(line.sent).replace(b"\r\n..", b"\r\n.")
    assert line.kept_by_system is not None
    assert line.kept_by_system / mail.SLOWEST_BYTES_A_SECOND < mail.TIMEOUT_S / 2  # the answer has time behind it


@pytest.mark.parametrize(("scan_s", "is_taken"), [(599.0, True), (601.0, False)])
def test_a_server_may_scan_a_mail_for_ten_minutes_before_it_answers(
    monkeypatch: pytest.MonkeyPatch, scan_s: float, is_taken: bool
):
    line = SlowLine(mail.SLOWEST_BYTES_A_SECOND, scan_s)
    monkeypatch.setattr(mail.socket, "create_connection", line.connect)
    monkeypatch.setattr(mail, "Timer", line.timer)
    settings = replace(mail_settings(25), recipients=("ops@example.test",), username="", password=None)
    message = composed("sw1", settings, changes_of(1), 0, 0)
    if is_taken:
        assert deliver(settings, message) == {}
    else:
        with pytest.raises(mail.UnansweredMailError, match="the server may have the mail"):
            deliver(settings, message)


async def test_a_mail_whose_end_is_not_answered_is_repeated_and_the_outage_says_that_it_may_have_come(
    monkeypatch: pytest.MonkeyPatch, postbox: Postbox
):
    monkeypatch.setattr(mail, "BACK_OFF_S", 0.01)
    postbox.taken_answer = b""
    output = Mail("sw1", ManualClock(), mail_settings(postbox.port))
    delivered = asyncio.Event()
    output.on_delivery = delivered.set
    with capture_logs() as logs:
        task = asyncio.create_task(output.run())
        output.put(*changes_of(1))
        async with asyncio.timeout(PATIENCE_S):
            while not logs:
                await a_moment()
            postbox.taken_answer = b"250 taken"
            await delivered.wait()
    texts = [postbox.mails.get_nowait().get_content() for _ in range(postbox.mails.qsize())]
    assert (len(texts) > 1, len({*texts})) == (True, 1)
    assert "the server may have the mail" in logs[0]["error"]
    await stopped(task)


def test_a_mail_says_what_was_cleared_and_how_often_it_was_reported():
    alarms = Alarms()
    changes = alarms.note("auth_lockout", {"source": "192.0.2.66"}, 0)
    alarms.note("auth_lockout", {"source": "192.0.2.66", "failures": 9}, 1_000)
    changes += alarms.note("auth_unblocked", {"source": "192.0.2.66"}, 2_000)
    message = composed("sw1", mail_settings(25), changes, 0, 3_000)
    assert message["Subject"] == "[vosd sw1] 1 raised, 1 cleared: auth_lockout"
    assert message["Date"] == "Thu, 01 Jan 1970 00:00:03 +0000"
    assert "1970-01-01T00:00:02.000Z cleared auth_lockout 192.0.2.66 (2 reports): failures: 9" in message.get_content()


async def test_what_ended_while_the_switch_was_away_is_cleared_for_the_receiver(
    monkeypatch: pytest.MonkeyPatch, hook: Hook, tmp_path: Path
):
    monkeypatch.setattr(desk_of_alarms, "WRITES_S", 0.01)
    clock, path = ManualClock(), tmp_path / "alarms.json"

    def desk() -> tuple[AlarmDesk, EventStream]:
        stream, settings = EventStream(), AlarmSettings(webhook=WebhookSettings(hook.url, Secret(SECRET)))
        outputs = {"webhook": AlarmWebhook("sw1", clock, settings.webhook)}
        return AlarmDesk(stream, clock, settings, outputs, AlarmFile(path)), stream

    async def watch() -> None:
        await asyncio.Event().wait()

    before, stream = desk()
    before.begin(watch)
    for gateway in ("a", "b"):
        stream.put(Noted("gateway_down", {"gateway": gateway}, clock.now().wall))
    before.take()
    assert [(await hook.report())["subject"] for _ in range(2)] == ["a", "b"]
    async with asyncio.timeout(PATIENCE_S):  # an answer that has not come yet would be asked for again
        while not path.exists() or any(each.changes for each in AlarmFile(path).read().outputs):
            await a_moment()
    await before.end()

    after, stream = desk()
    after.begin(watch)
    after.await_causes({})
    assert {row.subject for row in after.rows(history=False).alarms} == {"a", "b"}
    stream.put(Noted("gateway_down", {"gateway": "a"}, clock.now().wall))
    clock.move_to(clock.now().mono + CONFIRMED_MS)
    after.take()
    report = await hook.report()
    assert (report["state"], report["subject"]) == ("cleared", "b")
    await after.end()
    assert [row.subject for row in after.rows(history=False).alarms] == ["a"]

    last, _ = desk()
    last.begin(watch)
    assert [row.subject for row in last.rows(history=True).alarms] == ["b"], "the history survives as well"
    await last.end()


class WatchedFile(AlarmFile):
    """A file of alarms that says when it was written without changes that a receiver lacks."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.is_written_empty = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def write(self, kept: KeptDesk) -> None:
        super().write(kept)
        if not any(each.changes for each in kept.outputs):
            self._loop.call_soon_threadsafe(self.is_written_empty.set)


async def test_what_was_not_delivered_before_a_restart_is_delivered_after_it(
    monkeypatch: pytest.MonkeyPatch, hook: Hook, postbox: Postbox, tmp_path: Path
):
    """A webhook that is away, and a mail that waits for more; the file has what was delivered no more."""
    monkeypatch.setattr(output_of_alarms, "WAITING_MAX", 3)
    monkeypatch.setattr(desk_of_alarms, "WRITES_S", 0.01)
    clock, file = ManualClock(), WatchedFile(tmp_path / "alarms.json")

    def desk() -> tuple[AlarmDesk, EventStream]:
        settings = AlarmSettings(
            webhook=WebhookSettings(hook.url, Secret(SECRET)),
            mail=replace(mail_settings(postbox.port), level=Level.CRITICAL),
        )
        outputs = {"webhook": AlarmWebhook("sw1", clock, settings.webhook), "mail": Mail("sw1", clock, settings.mail)}
        stream = EventStream()
        return AlarmDesk(stream, clock, settings, outputs, file), stream

    async def watch() -> None:
        await asyncio.Event().wait()

    hook.answers = [503] * 1_000
    before, stream = desk()
    before.begin(watch)
    for event, facts in (("gateway_down", {"gateway": "a"}), ("gateway_down", {"gateway": "b"}), ("lease_lost", {})):
        stream.put(Noted(event, facts, clock.now().wall))
    stream.put(Noted("gateway_up", {"gateway": "a"}, clock.now().wall))
    before.take()
    await before.end()

    hook.answers = []
    after, _ = desk()
    after.begin(watch)
    reports = [await hook.report() for _ in range(2)]
    assert [(each["state"], each["subject"], each["alarm"], each["dropped"]) for each in reports] == [
        ("raised", "b", "gateway_down", 2),
        ("raised", "", "lease_lost", 0),
    ]
    message = await asyncio.wait_for(postbox.mails.get(), PATIENCE_S)
    assert message["Subject"] == "[vosd sw1] 1 raised (1 critical), 0 cleared: lease_lost"
    await asyncio.wait_for(file.is_written_empty.wait(), PATIENCE_S)
    assert [each.changes for each in AlarmFile(tmp_path / "alarms.json").read().outputs] == [(), ()]
    await after.end()


def test_a_file_of_alarms_that_is_damaged_or_of_another_version_stops_nothing(tmp_path: Path):
    file = AlarmFile(tmp_path / "alarms.json")
    assert file.read() == KeptDesk(KeptAlarms())
    (tmp_path / "alarms.json").write_text("{")
    assert file.read() == KeptDesk(KeptAlarms())
    (tmp_path / "alarms.json").write_text('{"active": [{"event": "alarm_of_tomorrow"}], "history": []}')
    assert file.read() == KeptDesk(KeptAlarms())
    no_alarm = Alarm(Event.CONFIGURATION_LOADED, "", Level.WARNING, 1, 1, 1, "an alarm of yesterday")
    untold = KeptOutput("mail", (AlarmChange(no_alarm, is_raised=True),), 2)
    file.write(KeptDesk(KeptAlarms((no_alarm,), (no_alarm,), ()), (untold,)))
    assert file.read() == KeptDesk(KeptAlarms((), (), ()), (KeptOutput("mail", (), 2),))


@pytest.mark.parametrize("until", [100, LAST_DATE_MS])
def test_the_file_of_alarms_has_their_silences(tmp_path: Path, until: int):
    path = tmp_path / "alarms.json"
    alarms = Alarms()
    alarms.note("gateway_down", {"gateway": "a"}, 1)
    alarms.confirm(Event.GATEWAY_DOWN, "a", "ann", None, until)
    kept = KeptDesk(alarms.kept(), (KeptOutput("mail", tuple(changes_of(2)), 3),))
    AlarmFile(path).write(kept)
    assert AlarmFile(path).read() == kept


def test_an_alarm_says_what_to_do_in_the_list_and_in_mails():
    (change,) = Alarms().note("lease_lost", {}, 0)
    assert row(change.alarm).do == REMEDIES[Event.LEASE_LOST]
    text = composed("sw1", mail_settings(25), [change], 0, 0).get_content()
    assert f"lease_lost: {REMEDIES[Event.LEASE_LOST]}" in text
