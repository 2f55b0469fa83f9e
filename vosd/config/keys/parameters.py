"""``parameters``: VOS3000's parameters by their own names, misspelling included.

A name that is neither a field here nor one of those without effect is an error.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Annotated, ClassVar, Final

from pydantic import Field

from vosd.base.money import unit_of
from vosd.config.keys import names_of_vos3000
from vosd.config.reader.amounts import step
from vosd.config.reader.e164s import digits, e164s, e164s_with_memos
from vosd.config.reader.fields import FromText, Keys, whole
from vosd.config.reader.media import installation_mode, port_range
from vosd.config.reader.renamed import Renamed, renamed
from vosd.config.reader.vos3000 import (
    challenge_status,
    divisor,
    on_or_off,
    payload,
    schedule,
    traffic_class,
    zero_or_one,
)
from vosd.net.marking import MEDIA, SIGNALLING, TrafficClass
from vosd.trunks.media import MediaMode, PortRange

PARAMETERS: Final = "parameters"


_H323: Final = "H.323 is not supported"

WITHOUT_EFFECT: Final[Mapping[str, str]] = {
    "SERVER_CDR_FILE_WRITE_INTERVAL": "each call is written to the journal at once",
    "SS_H245_": _H323,
    "SS_H323_": _H323,
}
"""Parameters of VOS3000 that a file may have and that change nothing, and why; ``_`` at the end stands for all names
that begin so. Each gets a warning."""

MEDIA_PARAMETERS: Final = (
    "SS_MEDIAPROXYMODE", "SS_MEDIAPROXYBETWEENNET", "SS_MEDIAPROXYBEHINDNAT", "SS_MEDIAPROXYSAMENAT",
    "SS_RTP_PORT_RANGE", "IVR_RTP_PORT", "SS_QOS_RTP",
)  # fmt: skip
"""Parameters that need a ``media.engine``: without one they get a warning."""


class StartBilling(Enum):
    """From when the duration counts."""

    ANSWER = "0"
    INVITE = "1"


def _start_billing() -> FromText:
    return FromText("0 or 1", StartBilling, lambda member: str(member.value))


class ParameterKeys(Keys):
    """Parameters of the whole switch; a rate group or an account may override them."""

    fee_precision: Annotated[int, whole(0, 8)] = Field(default=6, alias="SERVER_BILLING_FEE_PRECISTION")
    """Decimals of fee and tax; rates are kept as entered. SERVER_BILLING_FEE_PRECISION is accepted too."""
    fee_unit: Annotated[Decimal, step()] = Field(
        default_factory=lambda keys: unit_of(keys["fee_precision"]), alias="SERVER_BILLING_FEE_UNIT"
    )
    """Smallest step of fee and tax; one that is finer than the decimals has no effect. Default: as
    SERVER_BILLING_FEE_PRECISION says."""
    hold_time_precision: Annotated[int, whole(0, 999, "ms")] = Field(
        default=50, alias="SERVER_BILLING_HOLD_TIME_PRECISION"
    )
    """A fraction of a second of at least this many milliseconds counts as one more second."""
    free_time: Annotated[int, whole(0, 3_600, "seconds")] = Field(default=0, alias="SERVER_BILLING_FREE_TIME")
    """Subtracted from every duration before rating."""
    advance_minutes: Annotated[int, whole(1, 15, "minutes")] = Field(
        default=1, alias="SERVER_BILLING_PREVENT_OVERDRAFT_ADVANCE_TIME"
    )
    """For how long a call reserves money at a time."""
    payment_extends_days: Annotated[int, whole(0, 3_650, "days")] = Field(
        default=0, alias="SERVER_PAY_DELAY_CUSTOMER_EXPIRE_DAY"
    )
    """By how many days a payment extends the validity of an account that expires; 0 = by none."""
    record_server_hang_up: Annotated[bool, zero_or_one()] = Field(
        default=True, alias="SERVER_BILLING_RECORD_SERVER_HANG_UP"
    )
    """0: answered calls that the switch ended leave no CDR; they are still charged."""
    record_zero_hold_time: Annotated[bool, zero_or_one()] = Field(
        default=True, alias="SERVER_BILLING_RECORD_ZERO_HOLD_TIME"
    )
    """0: calls without a second of talk leave no CDR, such as those that are refused or not answered, unless they cost
    someone money. Statistics contain them."""
    record_illegal_call: Annotated[bool, zero_or_one()] = Field(
        default=False, alias="SERVER_BILLING_RECORD_ILLEGAL_CALL"
    )
    """1: calls from unknown sources leave CDRs, at most ten a second; the others are counted."""
    free_e164s: Annotated[tuple[str, ...], e164s()] = Field(default=(), alias="SERVER_BILLING_FREE_E164S")
    """Called numbers that cost the customer nothing and need neither rate nor money: exact ones, and prefixes with a
    ``*`` behind them, with commas between. Their calls leave CDRs, and what a vendor takes for them is booked."""
    no_cdr_e164s: Annotated[tuple[tuple[str, str], ...], e164s_with_memos()] = Field(
        default=(), alias="SERVER_BILLING_NO_CDR_E164S"
    )
    """Called numbers whose calls leave no CDR and cost no one anything, the vendor's side included; written likewise,
    each best with the reason behind it: ``1800* (carrier tests), 7000 (lift)``. They win over free ones. Emergency
    numbers cannot be among them."""
    route_prefix: Annotated[int, whole(0, 15, "digits")] = Field(default=0, alias="SERVER_BILLING_GATEWAY_ROUTE_PREFIX")
    """Number of digits at the beginning of called numbers that are for routing alone: rates are found without them.
    Numbers with fewer than three digits behind them, and emergency numbers, are rated as they are."""
    forward_prefix: Annotated[str, digits(16)] = Field(default="", alias="SERVER_BILLING_FORWARD_PREFIX")
    """Digits that stand in front of the called number when the customer's rate of a forwarded call is found, so that
    forwarded calls have prices of their own; empty: they cost what others do. A call is forwarded if its INVITE has
    Diversion, or a cause of forwarding in History-Info. Vendors are paid by the number alone."""
    billing_unit: Annotated[int, whole(1, 3_600, "seconds")] = Field(default=1, alias="SS_BILLINGUNIT")
    """Increment of rates without one of their own, whose group has none either."""
    start_billing: Annotated[StartBilling, _start_billing()] = Field(
        default=StartBilling.ANSWER, alias="SS_STARTBILLINGTIME"
    )
    """0: calls are charged from the answer. 1: from the INVITE to a gateway on, so that ringing costs as talking does,
    also where no one answers."""
    work_calendar: Annotated[bool, zero_or_one()] = Field(default=True, alias="SERVER_WORK_CALENDAR_ENABLED")
    """0: calendars have no effect, as if nothing were bound to one."""
    period_rate: Annotated[bool, zero_or_one()] = Field(default=True, alias="SERVER_PERIOD_RATE_ENABLED")
    """0: period rates have no effect; neither have they with SERVER_WORK_CALENDAR_ENABLED 0."""
    switch_limit: Annotated[int, whole(0, 100)] = Field(default=9, alias="SS_GATEWAY_SWITCH_LIMIT")
    """Number of times that a call may go on to another gateway or address: attempts less one."""
    stop_after_rtp_start: Annotated[bool, on_or_off()] = Field(
        default=False, alias="SS_GATEWAY_SWITCH_STOP_AFTER_RTP_START"
    )
    """On: no other gateway is tried once one has sent early media. Gateways may say otherwise."""
    stop_after_user_busy: Annotated[bool, on_or_off()] = Field(
        default=True, alias="SS_GATEWAY_SWITCH_STOP_AFTER_USER_BUSY"
    )
    """Off: 486 and 600 lead to the next gateway, where no ``failover_codes`` are set."""
    switch_until_connect: Annotated[bool, on_or_off()] = Field(default=False, alias="SS_GATEWAY_SWITCH_UNTIL_CONNECT")
    """On: every refusal leads to the next gateway, where no ``failover_codes`` are set, except those of the two
    parameters above; so does a gateway that rings and is not answered, where no ``failover_after_ringing`` is set.
    """
    qos_signal: Annotated[TrafficClass, traffic_class()] = Field(default=SIGNALLING, alias="SS_QOS_SIGNAL")
    """TOS byte (IPv6: traffic class) of signalling packets: the DSCP times four; 0xa0 is CS5, 0xb8 is EF."""

    media_mode: Annotated[MediaMode, installation_mode()] = Field(default=MediaMode.AUTO, alias="SS_MEDIAPROXYMODE")
    """Whether media are relayed, where there is a `media.engine`: never, always but for trunks with `media: off`, by
    the rules of docs/media.md, or always. `media.mode` is another name of it."""
    media_between_networks: Annotated[bool, on_or_off()] = Field(default=True, alias="SS_MEDIAPROXYBETWEENNET")
    """On: media are relayed between parties in different networks: those that use different addresses of the switch, or
    of which one alone is at a private address."""
    media_behind_nat: Annotated[bool, on_or_off()] = Field(default=True, alias="SS_MEDIAPROXYBEHINDNAT")
    """On: media are relayed for parties behind NAT, unless both are behind the same one."""
    media_same_nat: Annotated[bool, on_or_off()] = Field(default=False, alias="SS_MEDIAPROXYSAMENAT")
    """On: media are relayed also between parties behind the same NAT."""
    rtp_ports: Annotated[PortRange, port_range()] = Field(default=PortRange(10_000, 39_999), alias="SS_RTP_PORT_RANGE")
    """UDP ports of relayed media: two for each leg, so that 30,000 are enough for 7,500 calls. The leg of a caller
    whose RTCP shares the port of RTP takes one: that makes 10,000. A trunk may have an ``rtp_port_range`` of its
    own."""
    ivr_ports: Annotated[PortRange, port_range()] = Field(default=PortRange(40_000, 47_999), alias="IVR_RTP_PORT")
    """UDP ports of announcements, two for each caller that is played one."""
    qos_rtp: Annotated[TrafficClass, traffic_class()] = Field(default=MEDIA, alias="SS_QOS_RTP")
    """TOS byte (IPv6: traffic class) of relayed packets, as in SS_QOS_SIGNAL; routers treat EF, 0xb8, as voice."""
    ring_back_delay: Annotated[int, whole(0, 60, "seconds")] = Field(
        default=3, alias="SS_AUXILIARY_RING_TONE_ACTIVATION_DELAY"
    )
    """From the ringing of a gateway or phone with ``local_ring`` to the ring-back of the switch, if no media come."""

    resend_interval: Annotated[tuple[int, ...], schedule()] = Field(default=(), alias="SS_SIP_RESEND_INTERVAL")
    """Seconds before each retransmission of a request over UDP; after their sum it has failed. Default: T1 and T2."""

    challenge_code: Annotated[int, challenge_status()] = Field(default=401, alias="SS_SIP_AUTHENTICATION_CODE")
    """Status of the challenges to phones and trunks, for INVITE and REGISTER alike; can be written as 401 or 407."""
    challenge_timeout: Annotated[int, whole(1, 3_600, "seconds")] = Field(
        default=10, alias="SS_SIP_AUTHENTICATION_TIMEOUT"
    )
    """For how long a challenge can be answered; a later answer gets another challenge."""
    challenge_retry: Annotated[int, whole(1, 100)] = Field(default=6, alias="SS_SIP_AUTHENTICATION_RETRY")
    """Number of challenges of a vendor to one request that are answered."""
    lock_out_retry: Annotated[int, whole(0, 999)] = Field(default=6, alias="SS_AUTHENTICATION_MAX_RETRY")
    """After this many wrong passwords the source address is locked out, and new sources of a user who is guessed at
    wait; 0 = never."""
    lock_out_suspend: Annotated[int, whole(60, 3_600, "seconds")] = Field(
        default=180, alias="SS_AUTHENTICATION_FAILED_SUSPEND"
    )
    """For how long a source address is locked out."""
    keep_alive_message: Annotated[bytes, payload(200)] = Field(default=b"HELLO", alias="SS_SIP_NAT_KEEP_ALIVE_MESSAGE")
    """Content of the datagrams that keep NAT bindings of registered phones and trunks open; empty sends none."""
    keep_alive_period: Annotated[int, whole(10, 86_400, "seconds")] = Field(
        default=30, alias="SS_SIP_NAT_KEEP_ALIVE_PERIOD"
    )
    """From the beginning of one round of keep-alives to that of the next."""
    keep_alive_send_interval: Annotated[int, whole(1, 10_000, "milliseconds")] = Field(
        default=500, alias="SS_SIP_NAT_KEEP_ALIVE_SEND_INTERVAL"
    )
    """From the beginning of one batch of keep-alives to that of the next; its datagrams are spread over that time."""
    keep_alive_send_one_time: Annotated[int, whole(1, 10_000, "datagrams")] = Field(
        default=3_000, alias="SS_SIP_NAT_KEEP_ALIVE_SEND_ONE_TIME"
    )
    """Keep-alives in a batch."""
    session_ttl: Annotated[int, whole(60, 86_400, "seconds")] = Field(default=600, alias="SS_SIP_SESSION_TTL")
    """Session interval that we request; SS_SIP_SESSION_MIN_SE where that is larger."""
    session_segment: Annotated[int, divisor()] = Field(default=2, alias="SS_SIP_SESSION_UPDATE_SEGMENT")
    """The session interval divided by this is the interval of refreshes: 600 s by 2 is a refresh every 300 s."""
    session_min_se: Annotated[int, whole(90, 3_600, "seconds")] = Field(default=90, alias="SS_SIP_SESSION_MIN_SE")
    """The smallest session interval that a peer may request, else 422.

    Where a vendor answers 422, raise SS_SIP_SESSION_TTL and not this.
    """
    session_early_hangup: Annotated[int, whole(0, 3_600, "seconds")] = Field(
        default=0, alias="SS_SIP_SESSION_TIMEOUT_EARLY_HANGUP"
    )
    """Time before its expiry at which an unrefreshed session is ended; a refresh is always tried first."""
    no_timer_limit: Annotated[int, whole(0, 86_400, "seconds")] = Field(
        default=7_200, alias="SS_SIP_NO_TIMER_REINVITE_INTERVAL"
    )
    """Longest call with a peer without session timer; 0 = no limit. It is no interval of re-INVITEs."""
    quality_slice: Annotated[int, whole(1, 1_440, "minutes")] = Field(
        default=30, alias="SS_GATEWAY_QUALITY_RESERVE_TIME"
    )
    """Length of a slice of the time over which the quality of routing gateways is counted; a change begins it anew."""
    quality_slices: Annotated[int, whole(1, 48)] = Field(default=6, alias="SS_GATEWAY_QUALITY_RESERVE_SEPARATE")
    """Number of slices that count; the oldest is dropped when a new one begins."""
    cdr_pending: Annotated[int, whole(1, 100_000_000, "calls")] = Field(
        default=100_000, alias="SERVER_MAX_CDR_PENDING_LIST_LENGTH"
    )
    """``cdr_queue_long`` is logged when 80 % of so many calls wait for the database, ``cdr_queue_short`` when half of
    that do. Only a few of them are in memory, the others in the journal's files: no call is refused before the disk of
    ``state_dir`` is full, and none is dropped."""

    cdr_files: Annotated[int, whole(1, 1_000_000, "files")] = Field(default=64, alias="SERVER_CDR_FILE_WRITE_MAX")
    """Number of full files of the journal that are kept after all their calls are booked, where ``journal.keep_files``
    does not say it. Files with calls that are not booked are never removed and do not count. ``journal.keep_minutes``
    removes them sooner: of the 2,048 of ``preset: vos3000``, 128 GiB, there are 25 an hour at 100 answered calls a
    second. Each start begins their age anew, so a switch that is often restarted needs a ``journal.keep_files`` for
    which its disk has room."""

    aliases: ClassVar[Mapping[str, str]] = {"SERVER_BILLING_FEE_PRECISION": "SERVER_BILLING_FEE_PRECISTION"}
    names_elsewhere: ClassVar[Renamed] = renamed(names_of_vos3000.PARAMETERS)
