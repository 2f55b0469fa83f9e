"""Alarms by e-mail: what has changed since the last mail, in one, so that many alarms are no flood (ADR 70).

Mails are sent by the standard library in threads of their own; nothing waits for them, not even the end of the process.
"""

import asyncio
import smtplib
import socket
import ssl
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from email.message import EmailMessage
from email.utils import getaddresses, make_msgid
from functools import partial
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from vosd.base.clock import Clock
from vosd.base.mail import begun_mail
from vosd.cdr.columns import iso_utc
from vosd.engine.alarms.output import AlarmOutput
from vosd.engine.background import send_queued
from vosd.engine.daemon_threads import DaemonThreads
from vosd.engine.settings import MailSecurity, MailSettings
from vosd.obs.alarms import AlarmChange, Level
from vosd.obs.remedies import REMEDIES
from vosd.processes.server_trust import trust_in_servers

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

LINES_MAX: Final = 200
"""Changes that one mail lists: the most urgent first, of those the latest, as ``vosd alarms`` does."""
GATHER_S: Final = 5.0
"""Time that the first change waits for others."""
TIMEOUT_S: Final = 30.0
"""Time limit of an answer of the server, from its last byte on, and of each piece that is sent."""
TAKEN_S: Final = 600.0
"""Time limit of the answer to the end of a mail (RFC 5321 4.5.3.2.6): servers scan it before they answer."""
QUIT_S: Final = 5.0
"""Time limit of the answer to the end of the connection, which the fate of the mail does not wait for."""
PIECE_BYTES: Final = 65_536
"""Size of a piece of a mail, and what the system keeps to be sent: an answer cannot come before that has arrived."""
MAIL_S: Final = 60.0
"""Time limit of a mail with all answers of the server but that to its end, beside the time of its bytes."""
ANSWER_BYTES_MAX: Final = 65_536
"""Most bytes of an answer: ``smtplib`` bounds a line, and not their number."""
SLOWEST_BYTES_A_SECOND: Final = 32_768
"""Speed at which a mail with invoices or reports must pass."""
BACK_OFF_S: Final = 10.0
BACK_OFF_MAX_S: Final = 600.0
"""The wait after a failure doubles from the first to the second."""
LATE_MS: Final = 7_200_000
"""Time for which a mail is tried again for recipients that are put off: by greylisting for some minutes."""
_FOR_GOOD: Final = 500
"""Codes from here on refuse for good (RFC 5321 4.2.1)."""
_LEAVING: Final = 421
"""The server ends the connection, as those do that limit how many mails they take (RFC 5321 section 3.8)."""
_NO_CODE: Final = -1
"""``smtplib`` says so of an answer that does not begin with a code."""
_ABOUT_THE_MAIL: Final = (b"4.1.", b"4.2.", b"4.6.", b"4.7.")
"""Enhanced codes that put a mail off for its sender, recipient, content or a policy (RFC 3463 section 3)."""
LATE_MAX: Final = 100
"""Mails that are tried again for some of their recipients."""


class UnansweredMailError(smtplib.SMTPException):
    """The server has got a whole mail and has not answered: it may deliver it."""


class _LateMail(NamedTuple):
    """A mail that some recipients lack: they were put off, and the others have it."""

    message: EmailMessage
    recipients: tuple[str, ...]
    until: int
    """Monotonic milliseconds at which they are given up."""


class MailOutput(AlarmOutput[MailSettings]):
    """Sends mails about changes, one after the other, by a server that may be away."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        settings: MailSettings | None,
        *,
        has_own_recipients: bool = False,
        most: int | None = None,
    ) -> None:
        """``has_own_recipients``: each mail has others, so the next ones do not wait for one that its own refuse."""
        super().__init__(name, settings, lambda alarms: alarms.mail, most)
        self._has_own_recipients = has_own_recipients
        self._clock = clock
        self._threads = DaemonThreads(8, f"{name} of alarms")
        """Some may still wait for a server that a reload has replaced."""
        self._late: list[_LateMail] = []
        self._is_late = asyncio.Event()

    async def run(self) -> None:
        """Send mails while something has changed; runs until cancelled."""
        async with asyncio.TaskGroup() as both:  # a recipient that is put off does not hold up the others
            for queued, send in ((self._queued, self._send_next), (self._is_late, self._send_late)):
                both.create_task(send_queued(queued, send, BACK_OFF_S, BACK_OFF_MAX_S, self._pause))

    @abstractmethod
    async def _send_next(self) -> bool:
        """Send what waits; return False if the server does not take it."""

    @abstractmethod
    async def _next(self, settings: MailSettings) -> EmailMessage | None:
        """Return the next mail about what is ``taken`` of the changes; None = nothing waits."""

    async def _send(self, settings: MailSettings) -> bool:
        """Send the next mail; return False if the server does not take it."""
        message = await self._next(settings)
        if message is None:
            self._queued.clear()
            return True
        if settings is not self._settings:
            return False
        refused: Mapping[str, tuple[int, bytes]] = {}
        why = ""
        self._adjusted.clear()
        adjusted = asyncio.create_task(self._adjusted.wait())
        sending = asyncio.get_running_loop().run_in_executor(self._threads, deliver, settings, message)
        either: set[asyncio.Future[Any]] = {sending, adjusted}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if settings is self._settings:
                refused = await sending
        except (OSError, smtplib.SMTPException) as error:
            if self._has_own_recipients:
                refused = _refusing(message, error, can_wait=len(self._late) < LATE_MAX)
            why = "" if refused else why_not_sent(error)
        finally:
            adjusted.cancel()
            sending.cancel()
        if settings is not self._settings:  # a reload has replaced the server meanwhile: its answer says nothing now
            return False
        if why:
            self._outage.found(why, waiting=len(self._changes))
            return False
        # the others have the mail: it is not repeated for them
        if not self._note_refused(message, refused, self._clock.now().mono + LATE_MS):
            self._outage.over()
        self._delivered()
        if not len(self._changes):
            self._queued.clear()
        return True

    def _note_refused(self, message: EmailMessage, refused: Mapping[str, tuple[int, bytes]], until: int) -> bool:
        """Keep a mail for recipients that are not refused for good; report others, and return whether there are any."""
        put_off: tuple[str, ...] = ()
        if self._clock.now().mono < until and len(self._late) < LATE_MAX:
            put_off = tuple(each for each, (code, _) in refused.items() if code < _FOR_GOOD)
        if put_off:
            self._late.append(_LateMail(message, put_off, until))
            self._is_late.set()
        lasting = {each: answer for each, answer in refused.items() if each not in put_off}
        if lasting:
            self._outage.found(refusals(lasting), waiting=0)
        return bool(lasting)

    async def _send_late(self) -> bool:
        """Send the mails that some recipients lack to these alone; return False if some are put off again."""
        await self._pause(BACK_OFF_S)
        for each in [*self._late]:
            refused = await self._send_again(each)
            self._late.remove(each)  # not before: its place is kept for it
            if refused:
                self._note_refused(each.message, refused, each.until)
        if not self._late:
            self._is_late.clear()
        return not self._late

    async def _send_again(self, late: _LateMail) -> Mapping[str, tuple[int, bytes]]:
        settings = self._settings
        if settings is None:
            return {}
        recipients = [each for each in late.recipients if self._has_own_recipients or each in settings.recipients]
        if not recipients:
            return {}
        send = partial(deliver, settings, late.message, recipients)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, send)
        except (OSError, smtplib.SMTPException) as error:
            answers = _refusing(late.message, error, can_wait=True)
            unwell = _LEAVING, why_not_sent(error).encode()
            return {each: answers.get(each, unwell) for each in recipients}


class Mail(MailOutput):
    """Sends the changes since the last mail in one, at most one in ``interval_s``, to the operators."""

    def __init__(self, node: str, clock: Clock, settings: MailSettings | None) -> None:
        """``node`` names this switch in the subject."""
        super().__init__("mail", clock, settings)
        self._node = node

    async def _send_next(self) -> bool:
        await asyncio.sleep(GATHER_S)
        settings = self._settings
        if settings is None:
            self._queued.clear()
        elif await self._send(settings):
            await self._pause(settings.interval_s - GATHER_S)
        else:
            return settings is not self._settings  # another server is asked at once, and with the first pause again
        return True

    async def _next(self, settings: MailSettings) -> EmailMessage | None:
        changes, dropped = self._changes.taken()
        return composed(self._node, settings, changes, dropped, self._clock.now().wall) if changes else None


def _refusing(
    message: EmailMessage, error: OSError | smtplib.SMTPException, *, can_wait: bool
) -> Mapping[str, tuple[int, bytes]]:
    """Return the recipients that refuse a mail; none where the server itself is not well.

    ``can_wait``: there is room for a mail whose recipients are put off; else so many are that it seems not to be.
    """
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = {code for code, _ in error.recipients.values()}
        if _LEAVING in codes or _NO_CODE in codes:
            return {}  # the others of the mail were not asked, or the server talks nonsense
        return error.recipients if can_wait or min(codes) >= _FOR_GOOD else {}
    if not isinstance(error, smtplib.SMTPDataError):
        return {}
    said = error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()
    # filters that greylist do so after a mail: RFC 3463 tells their 4.7.1 from the 4.3.z of a server that is not well
    is_put_off = error.smtp_code != _LEAVING and said.startswith(_ABOUT_THE_MAIL)
    if error.smtp_code >= _FOR_GOOD or (can_wait and is_put_off):
        recipients = getaddresses([str(message[name]) for name in ("To", "Bcc") if name in message])
        return {address: (error.smtp_code, said) for _, address in recipients}
    return {}


def composed(
    node: str, settings: MailSettings, changes: Sequence[AlarmChange], dropped: int, wall_ms: int
) -> EmailMessage:
    """Return the mail: the subject says how many alarms were raised and cleared, the text lists them."""
    latest_first = [*reversed(changes)]
    changes = sorted(latest_first, key=lambda change: -change.alarm.level.rank)
    raised = sum(1 for change in changes if change.is_raised)
    urgent = sum(1 for change in changes if change.is_raised and change.alarm.level is Level.CRITICAL)
    message = begun_mail(settings.sender, settings.recipients, make_msgid(domain="vosd.invalid"), wall_ms)
    names = {change.alarm.event.value for change in changes}
    about = f": {next(iter(names))}" if len(names) == 1 else ""
    critical = f" ({urgent} critical)" if urgent else ""
    message["Subject"] = f"[vosd {node}] {raised} raised{critical}, {len(changes) - raised} cleared{about}"
    lines = [_line(change) for change in changes[:LINES_MAX]]
    left_out = dropped + len(changes) - len(lines)
    if left_out:
        lines.insert(0, f"{left_out} less urgent or earlier changes are not listed: vosd alarms, vosd alarms --history")
    raised_kinds = dict.fromkeys(change.alarm.event for change in changes if change.is_raised)
    todo = ["", *(f"{event.value}: {REMEDIES[event]}" for event in raised_kinds)] if raised_kinds else []
    message.set_content("\n".join([*lines, *todo, "", "vosd alarms lists what holds now."]))
    return message


def _line(change: AlarmChange) -> str:
    alarm = change.alarm
    at = alarm.since if alarm.cleared_at is None else alarm.cleared_at
    state = alarm.level.value.upper() if change.is_raised else "cleared"
    subject = f" {alarm.subject}" if alarm.subject else ""
    count = f" ({alarm.count} reports)" if alarm.count > 1 else ""
    return f"{iso_utc(at)} {state} {alarm.event.value}{subject}{count}{': ' + alarm.text if alarm.text else ''}"


def refusals(refused: Mapping[str, tuple[int, bytes]]) -> str:
    """Return which recipients a mail server has refused, and why."""
    return "; ".join(f"{recipient} is refused: {_said(*answer)}" for recipient, answer in refused.items())


def why_not_sent(error: OSError | smtplib.SMTPException) -> str:
    """Return why ``deliver`` has failed, as the mail server has said it."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return refusals(error.recipients)
    if isinstance(error, smtplib.SMTPResponseException):
        return _said(error.smtp_code, error.smtp_error)
    return str(error) or type(error).__name__


def _said(code: int, text: bytes | str) -> str:
    return f"{code} {text if isinstance(text, str) else text.decode(errors='replace')}"


def deliver(
    settings: MailSettings, message: EmailMessage, recipients: Sequence[str] | None = None
) -> dict[str, tuple[int, bytes]]:
    """Send a mail; it blocks. Return the answers to recipients that the server has refused, if it has taken others.

    ``recipients`` None = those that the mail names.

    Raises:
        UnansweredMailError: the server may have taken the mail.
        OSError, SMTPException: no recipient has the mail, or the server was not done with it in time.
    """
    message.policy = message.policy.clone(cte_type="7bit")  # a server without 8BITMIME may refuse or clear eighth bits
    limit = _TimeLimit(MAIL_S + len(message.as_bytes()) / SLOWEST_BYTES_A_SECOND)
    try:
        return _deliver(settings, message, recipients, limit)
    except (OSError, smtplib.SMTPException) as error:
        if limit.is_over and not isinstance(error, UnansweredMailError):
            raise TimeoutError(f"the server was not done with the mail in {limit.seconds:.0f} s") from error
        raise
    finally:
        limit.close()


class _TimeLimit:
    """Ends the connection of a mail after some time: the time limits of its operations begin anew with every byte."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_over = False
        self._line: socket.socket | None = None
        self._lock = Lock()
        self._timer = self._begun()

    def begin_again(self, seconds: float) -> None:
        """Let another time begin now."""
        self._timer.cancel()
        self.seconds = seconds
        self._timer = self._begun()

    def hold(self, line: socket.socket) -> None:
        """End this connection when the time is over; raises TimeoutError if it is by now."""
        with self._lock:
            if self.is_over:
                raise TimeoutError
            self._line = line.dup()  # TLS takes the socket itself over

    def close(self) -> None:
        """Leave the connection alone."""
        self._timer.cancel()
        with self._lock:
            if self._line is not None:
                self._line.close()
                self._line = None

    def _begun(self) -> Timer:
        timer = Timer(self.seconds, self._end)
        timer.daemon = True
        timer.start()
        return timer

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            if self._line is not None:
                with suppress(OSError):  # it is closed already
                    self._line.shutdown(socket.SHUT_RDWR)


class _Answers:
    """Answers of a server, as ``smtplib`` reads them: all lines of one together are bounded."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left = 0
        """Bytes that the present answer may still have."""

    def readline(self, size: int) -> bytes:
        """Return a line; raises OSError where the answer is too long."""
        line = self._file.readline(size)
        self.left -= len(line)
        if self.left < 0:
            raise OSError(f"the server sends an answer of more than {ANSWER_BYTES_MAX} bytes")
        return line

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Connection(smtplib.SMTP):
    """A connection to the server of some settings, from its beginning within a time limit."""

    def __init__(self, settings: MailSettings, secure: ssl.SSLContext | None, limit: _TimeLimit) -> None:
        """``secure`` is the TLS that begins with the connection."""
        self._secure = secure
        self._limit = limit
        self._is_mail_sent = False
        super().__init__(settings.server, settings.port, timeout=TIMEOUT_S)
        # The name for EHLO: servers such as Gmail's relay end the connection of a client that says it is localhost.
        if self.sock is not None and self.local_hostname.startswith(("[127.", "localhost")):
            self.local_hostname = _literal(self.sock.getsockname()[0])

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Connect, as ``smtplib`` asks for it."""
        line = socket.create_connection((host, port), timeout)
        try:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE_BYTES)
            self._limit.hold(line)
            return line if self._secure is None else self._secure.wrap_socket(line, server_hostname=host)
        except OSError:
            line.close()
            raise

    def getreply(self) -> tuple[int, bytes]:
        """Return an answer; raises SMTPServerDisconnected where it is too long."""
        if self.file is None and self.sock is not None:
            self.file = _Answers(self.sock.makefile("rb"))
        if self.file is not None:
            self.file.left = ANSWER_BYTES_MAX
        return super().getreply()

    def __exit__(self, *error: Any) -> None:
        """End the connection; the mail was taken or refused before, whatever QUIT is answered (RFC 5321 4.1.1.4)."""
        with suppress(OSError):  # smtplib.SMTPException is one
            if self.sock is not None:
                self.sock.settimeout(QUIT_S)
            super().__exit__(*error)

    def send(self, s: "ReadableBuffer | str") -> None:
        """Send text in pieces: the time limit of a socket is one of all that it is given to send."""
        content = memoryview(s.encode(self.command_encoding) if isinstance(s, str) else s)
        for start in range(0, len(content), PIECE_BYTES):
            super().send(content[start : start + PIECE_BYTES])
        if not isinstance(s, str) and self.sock is not None:  # commands are text, the mail is bytes
            self._is_mail_sent = True
            self.sock.settimeout(TAKEN_S)
            self._limit.begin_again(TAKEN_S)

    def data(self, msg: "ReadableBuffer | str") -> tuple[int, bytes]:
        """Send the mail; return the answer to its end, which servers may take minutes for."""
        try:
            answer = super().data(msg)
        except smtplib.SMTPServerDisconnected as error:
            if self._is_mail_sent:
                why = f"the server may have the mail, and has not answered its end: {error}"
                raise UnansweredMailError(why) from error
            raise
        if self.sock is not None:
            self.sock.settimeout(TIMEOUT_S)
        return answer


def _literal(address: str) -> str:
    """Return the name of a client that has only an address (RFC 5321 section 4.1.3)."""
    return f"[IPv6:{address.partition('%')[0]}]" if ":" in address else f"[{address}]"


def _deliver(
    settings: MailSettings, message: EmailMessage, recipients: Sequence[str] | None, limit: _TimeLimit
) -> dict[str, tuple[int, bytes]]:
    secure = None if settings.security is MailSecurity.NONE else trust_in_servers()
    with _Connection(settings, secure if settings.security is MailSecurity.TLS else None, limit) as server:
        if settings.security is MailSecurity.STARTTLS:
            server.starttls(context=secure)
        if settings.username and settings.password is not None:
            try:
                server.login(settings.username, settings.password.reveal())
            except UnicodeError as error:
                raise smtplib.SMTPException("the user name or the password is not ASCII") from error
        return server.send_message(message, to_addrs=recipients)
