"""``alarms``: when the switch reports a bad state, and who receives that."""

from pathlib import Path
from typing import Annotated

from vosd.base.secret import Secret
from vosd.catalogue.problems import suggestion
from vosd.config.keys.proofs import password_text
from vosd.config.keys.webhooks import report_url
from vosd.config.reader.addresses import host_as_written
from vosd.config.reader.fields import (
    ONE_OR_MANY,
    ExpectedError,
    FromText,
    KeyProblemError,
    Keys,
    choice,
    line_of_text,
    mail_address,
    milliseconds,
    switch,
    whole,
)
from vosd.config.reader.files import file_path
from vosd.engine.settings import MailSecurity
from vosd.obs.alarms import KINDS, Level
from vosd.obs.events import Event


def alarm() -> FromText:
    """Read the name of an alarm."""
    names = {event.value: event for event in KINDS}

    def read(text: str) -> Event:
        if text not in names:
            near = suggestion(text, names)
            raise ExpectedError(f"{expected}; {near}" if near.endswith("?") else expected)
        return names[text]

    expected = "an alarm of docs/operations/alarms.md, such as gateway_down"
    return FromText(expected, read, lambda event: str(event.value))


Named = Annotated[tuple[Annotated[Event, alarm()], ...], ONE_OR_MANY]


def mail_server() -> FromText:
    """Read the host name or IP address of a mail server."""
    return FromText("a host name or an IP address", host_as_written)


class WebhookKeys(Keys):
    """An HTTP server that receives a POST with a JSON document when an alarm is raised or cleared. Default: none."""

    url: Annotated[str, report_url()] = ""
    """URL to which each report is sent. It is repeated until the answer is 2xx, or 4xx other than 401, 403, 404,
    407, 408, 425 and 429."""
    secret: Annotated[Secret | None, password_text()] = None
    """Key of the signature, best with ``${ENV}``: `X-Vosd-Signature` is `sha256=` and HMAC-SHA256 of
    `X-Vosd-Timestamp`, a dot and the body. Default: not signed."""
    secret_file: Annotated[Path | None, file_path()] = None
    """Instead of ``secret``: a file with it alone, relative to the file that names it; a reload reads it again."""
    level: Annotated[Level, choice(Level)] = Level.INFO
    """The least urgent alarms that it receives; ``off``: none."""

    def _judge(self) -> None:
        if not self.url and self.model_fields_set:
            raise KeyProblemError("url", "where alarms are sent")
        if self.secret is not None and self.secret_file is not None:
            raise KeyProblemError("secret", "either secret or secret_file")


class MailKeys(Keys):
    """A mail server that takes mails about alarms. Default: none."""

    server: Annotated[str, mail_server()] = ""
    """Host name or IP address of the mail server."""
    port: Annotated[int, whole(1, 65_535)] = 587
    """TCP port of the mail server."""
    security: Annotated[MailSecurity, choice(MailSecurity)] = MailSecurity.STARTTLS
    """``starttls``, ``tls`` from the first byte (port 465), or ``none``. The certificate is verified."""
    username: Annotated[str, line_of_text(0, 128)] = ""
    """Default: the server wants no login."""
    password: Annotated[Secret | None, password_text()] = None
    """Best with ``${ENV}``."""
    password_file: Annotated[Path | None, file_path()] = None
    """Instead of ``password``: a file with it alone, relative to the file that names it; a reload reads it again."""
    sender: Annotated[str, mail_address()] = ""
    """Address that the mails come from."""
    recipients: Annotated[tuple[Annotated[str, mail_address()], ...], ONE_OR_MANY] = ()
    """One address or a list."""
    interval: Annotated[int, whole(10, 86_400, "seconds")] = 300
    """Least time between two mails: what changes meanwhile is in the next one."""
    level: Annotated[Level, choice(Level)] = Level.WARNING
    """The least urgent alarms that are mailed; ``off``: none, only invoices and reports are."""

    def _judge(self) -> None:
        if not self.model_fields_set:
            return
        for key, value in (("server", self.server), ("sender", self.sender), ("recipients", self.recipients)):
            if not value:
                raise KeyProblemError(key, "this key, as others of mail are given")
        forms = bool(self.password) + bool(self.password_file)
        if forms != bool(self.username):
            expected = "either password or password_file" if forms > 1 else "username and password, or neither"
            raise KeyProblemError("password", expected)


class ShortCallKeys(Keys):
    """Answered calls of a vendor that are too short: signs of answers that no called party gave. Default: not watched.

    Counted are the calls of the last hour by routing gateway, and by the destinations of its buy rates.
    """

    percent: Annotated[int, whole(0, 100, "percent")] = 0
    """More short calls of the answered ones, of a gateway or of one of its destinations, are `short_calls`; 0 counts
    none. Usual shares differ by market: look at `vosd report false-answers` first."""
    shortest: Annotated[int, milliseconds(1_000, 60_000)] = 6_000
    """A call that lasts less is short."""
    again: Annotated[int, milliseconds(1_000, 600_000)] = 30_000
    """A call of the same two numbers that begins within this time after a short one was made again."""
    min_calls: Annotated[int, whole(1, 1_000_000)] = 20
    """Fewer answered calls say nothing."""
    order: Annotated[bool, switch()] = False
    """``yes``: plans that order by quality count the short calls of such a destination as not answered."""
    rest: Annotated[bool, switch()] = False
    """``yes``: a gateway with too many short calls over all its destinations is tried after all others."""


class AlarmKeys(Keys):
    """Limits of alarms, and how urgent each is. A limit of 0 is none. A reload changes it.

    `vosd alarms` lists them; docs/operations/alarms.md says what to do.
    """

    asr: Annotated[int, whole(0, 100, "percent")] = 40
    """Fewer answered attempts at a routing gateway are the alarm `asr_low`. Judged are the last two slices of its
    quality (`SS_GATEWAY_QUALITY_RESERVE_SEPARATE`), so half an hour to an hour."""
    customer_asr: Annotated[int, whole(0, 100, "percent")] = 5
    """Fewer answered calls of a mapping gateway are the alarm `customer_asr_low`: nearly all of them fail. Judged are
    its calls that ended in the last 15 minutes; where these are fewer than `min_calls`, those of up to an hour. Calls
    that are refused because it or an account is blocked or disabled are left out."""
    pdd: Annotated[int, milliseconds(0, 60_000)] = 3_000
    """A longer post-dial delay of a routing gateway, on average over the same time, is `pdd_high`."""
    acd: Annotated[int, whole(0, 3_600, "seconds")] = 0
    """Shorter calls through a routing gateway, on average over the same time, are `acd_low`."""
    media_loss: Annotated[int, whole(0, 100, "percent")] = 3
    """More lost packets in the media of a routing gateway, in relayed calls that ended in the last half hour, are
    `media_loss_high`."""
    customer_media_loss: Annotated[int, whole(0, 100, "percent")] = 5
    """As `media_loss`, for the media of a mapping gateway: `customer_media_loss_high`."""
    media_ports: Annotated[int, whole(0, 100, "percent")] = 90
    """More of the ports of SS_RTP_PORT_RANGE, IVR_RTP_PORT or an `rtp_port_range` in use, at one address, or of those
    of an rtpengine, are `rtp_ports_low`."""
    setup: Annotated[int, milliseconds(0, 600_000)] = 0
    """A longer time from the INVITE to the answer, ringing included, is `setup_slow`: on average of the calls that were
    answered in the last five minutes, at least `min_calls`."""
    margin: Annotated[int, whole(0, 100, "percent")] = 0
    """Less left of what the calls of the last hour have brought, after what they cost, without tax, is `margin_low` of
    a currency: of at least `min_calls` charged calls that have ended. Cost in another currency is converted by
    `exchange_rates`; calls for which there is no rate are left out."""
    prefix_margin: Annotated[int, whole(0, 100, "percent")] = 0
    """As `margin`, for the calls to each prefix of the rates by which they were sold, of at most 5,000 prefixes:
    `prefix_margin_low`. 1 = a prefix whose calls bring nothing or less."""
    without_cdr: Annotated[int, whole(0, 10_000_000)] = 0
    """As many calls within an hour that leave no CDR, because of SERVER_BILLING_RECORD_... or
    SERVER_BILLING_NO_CDR_E164S, are `without_cdr_high`. 0 = any number."""
    overdraft_used: Annotated[int, whole(0, 100, "percent")] = 80
    """An account that owes more of its `overdraft_limit`, without what running calls reserve, is `overdraft_high`."""
    short_calls: ShortCallKeys = ShortCallKeys()
    min_calls: Annotated[int, whole(1, 1_000_000)] = 100
    """Fewer attempts or calls say nothing about a gateway, nor about `setup`, `margin` and `prefix_margin`."""
    booking_age: Annotated[int, whole(0, 86_400, "seconds")] = 300
    """A call that waits longer for the database is `booking_late`."""
    journal_sync: Annotated[int, milliseconds(0, 60_000)] = 1_000
    """A disk of `state_dir` that takes longer for what is written to the journal, once in ten seconds, is
    `journal_slow`."""
    disk_free: Annotated[int, whole(0, 90, "percent")] = 10
    """Less free room on the disk of `state_dir`, or fewer free inodes, is `disk_low`."""
    cpu: Annotated[int, whole(0, 1_000, "percent")] = 70
    """More use of one core by the switch, its bookkeeper or a media worker over a minute is `cpu_high`, and more use of
    all processors by the machine."""
    memory: Annotated[int, whole(0, 100, "percent")] = 80
    """More use of the memory, of the machine or of what a limit such as `MemoryMax` leaves the service, is
    `memory_high`."""
    loop_lag: Annotated[int, milliseconds(0, 10_000)] = 50
    """A later event loop, on average over ten seconds, is `loop_late`."""
    clock_jump: Annotated[int, milliseconds(0, 3_600_000)] = 2_000
    """A clock that is set by more is `clock_jumped`."""
    call_seconds: Annotated[int, whole(0, 604_800)] = 14_400
    """A longer call is `call_too_long`; accounts with another `long_call_alarm` than `yes` are left out, or watched
    outside their working hours only."""
    cps_factor: Annotated[int, whole(0, 1_000)] = 5
    """More calls a second than so many times the most of its last 24 hours with calls, over some ten seconds, are
    `cps_high` of a mapping gateway. The switch remembers from its start on; in its first hour nothing is compared."""
    cps_floor: Annotated[int, whole(1, 100_000)] = 20
    """As many calls a second are never `cps_high`."""
    past_days: Annotated[int, whole(1, 60)] = 14
    """Number of past days with which `destination_limits` and `new_destination_alarm` of accounts compare."""
    expiry_days: Annotated[int, whole(0, 365)] = 7
    """An account that expires within so many days is `account_expires`, delivered again 3 days and 1 day before."""
    hysteresis: Annotated[int, whole(0, 50, "percent")] = 10
    """An alarm is cleared when its value is better than the limit by so much of the limit."""
    critical: Named = ()
    """Alarms that are critical, in place of their own level."""
    warning: Named = ()
    """Alarms that are warnings, in place of their own level."""
    info: Named = ()
    """Alarms that are for information, in place of their own level."""
    off: Named = ()
    """Alarms that are not raised."""
    webhook: WebhookKeys = WebhookKeys()
    mail: MailKeys = MailKeys()

    def _judge(self) -> None:
        named = [*self.critical, *self.warning, *self.info, *self.off]
        if len(set(named)) != len(named):
            raise KeyProblemError("off", "each alarm at one level")

    @property
    def levels(self) -> dict[Event, Level]:
        """The levels that differ from the usual ones."""
        named = {
            Level.CRITICAL: self.critical, Level.WARNING: self.warning, Level.INFO: self.info, Level.OFF: self.off,
        }  # fmt: skip
        return {event: level for level, events in named.items() for event in events}
