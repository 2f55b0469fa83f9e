"""VOS3000's parameters by their own names, misspelling included (PARAM-02), and its defaults as a preset.

The catalogues of requirements name every parameter; what is neither here nor there is an error.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar, Final, NamedTuple

from pydantic import Field

from vosd.config.keys.model import Keys
from vosd.config.keys.schema import Preset
from vosd.config.reader.document import Section, written_in
from vosd.config.reader.fields import (
    FromText,
    NotBuiltYetError,
    challenge_status,
    divisor,
    payload,
    schedule,
    step,
    traffic_class,
    whole,
    zero_or_one,
)
from vosd.config.reader.problems import ProblemList
from vosd.net.marking import SIGNALLING, TrafficClass

PARAMETERS: Final = "parameters"


class Defaults(NamedTuple):
    """Values as text, laid under what the file says."""

    settings: Mapping[str, Any]
    parameters: Mapping[str, str]
    mapping_gateways: Mapping[str, str]
    """Of each one."""


OWN_DEFAULTS: Final = Defaults({}, {}, {})
"""The models' own."""

PRESETS: Final[Mapping[Preset, Defaults]] = {
    Preset.VOS3000: Defaults(
        settings={"sip": {"unknown_source": "reject"}, "limits": {"max_call_seconds": "604800"}},
        parameters={
            "SERVER_BILLING_FEE_PRECISTION": "2",
            "SERVER_BILLING_FEE_UNIT": "0.01",
            "SS_BILLINGUNIT": "60",
            "SS_SIP_RESEND_INTERVAL": "0.5,1,2,4,4,4,4,4,4,4",
        },
        mapping_gateways={"callee_from": "to", "caller_from": "from"},
    ),
}
"""Where VOS3000's defaults differ (DESIGN section 8)."""

_OUT_OF_SCOPE: Final = ("SS_H323_", "SS_H245_")


class StartBilling(Enum):
    """From when seconds count (DUR-01)."""

    ANSWER = "0"


def _start_billing() -> FromText:
    def read(text: str) -> StartBilling:
        if text == "1":
            raise NotBuiltYetError("billing from INVITE")
        return StartBilling(text)

    return FromText("0", read, lambda member: str(member.value))


class ParameterKeys(Keys):
    """Parameters that hold for the whole switch; a rate group or an account may say otherwise."""

    fee_precision: Annotated[int, whole(0, 8)] = Field(default=6, alias="SERVER_BILLING_FEE_PRECISTION")
    """Decimals of fee and tax; rates are kept as entered. SERVER_BILLING_FEE_PRECISION is accepted too."""
    fee_unit: Annotated[Decimal, step()] = Field(default=Decimal("0.000001"), alias="SERVER_BILLING_FEE_UNIT")
    """Smallest step of fee and tax; should be the precision's power of ten."""
    hold_time_precision: Annotated[int, whole(0, 999, "ms")] = Field(
        default=50, alias="SERVER_BILLING_HOLD_TIME_PRECISION"
    )
    """A fraction of a second of at least so many milliseconds counts as one second more (DUR-05)."""
    free_time: Annotated[int, whole(0, 3_600, "seconds")] = Field(default=0, alias="SERVER_BILLING_FREE_TIME")
    """Taken off every duration before rating (DUR-12)."""
    advance_minutes: Annotated[int, whole(1, 15, "minutes")] = Field(
        default=1, alias="SERVER_BILLING_PREVENT_OVERDRAFT_ADVANCE_TIME"
    )
    """What a call reserves at a time (RES-01)."""
    record_server_hang_up: Annotated[bool, zero_or_one()] = Field(
        default=True, alias="SERVER_BILLING_RECORD_SERVER_HANG_UP"
    )
    """0: answered calls that the switch ended leave no CDR; they are still paid for."""
    billing_unit: Annotated[int, whole(1, 3_600, "seconds")] = Field(default=1, alias="SS_BILLINGUNIT")
    """Increment of rates that have none themselves, nor from their group (DUR-21)."""
    start_billing: Annotated[StartBilling, _start_billing()] = Field(
        default=StartBilling.ANSWER, alias="SS_STARTBILLINGTIME"
    )
    """0: seconds count from the answer (DUR-01)."""
    qos_signal: Annotated[TrafficClass, traffic_class()] = Field(default=SIGNALLING, alias="SS_QOS_SIGNAL")
    """TOS byte (IPv6: traffic class) of signalling packets (QOS-01): the DSCP times four; 0xa0 is CS5, 0xb8 is EF."""

    resend_interval: Annotated[tuple[int, ...], schedule()] = Field(default=(), alias="SS_SIP_RESEND_INTERVAL")
    """Waits in seconds before each repetition of a request over UDP; their sum ends it (SIP-04). Default: T1 and T2."""

    challenge_code: Annotated[int, challenge_status()] = Field(default=401, alias="SS_SIP_AUTHENTICATION_CODE")
    """What phones and trunks are challenged with (REG-04), for INVITE and REGISTER alike; 401 or 407 will do."""
    challenge_timeout: Annotated[int, whole(1, 3_600, "seconds")] = Field(
        default=10, alias="SS_SIP_AUTHENTICATION_TIMEOUT"
    )
    """For how long a challenge can be answered; an answer that comes later gets another challenge (REG-05)."""
    challenge_retry: Annotated[int, whole(1, 100)] = Field(default=6, alias="SS_SIP_AUTHENTICATION_RETRY")
    """How many challenges of a vendor to one request are answered (REG-06)."""
    lock_out_retry: Annotated[int, whole(0, 999)] = Field(default=6, alias="SS_AUTHENTICATION_MAX_RETRY")
    """The wrong password that locks its source address out (REG-07); 0 locks nobody out."""
    lock_out_suspend: Annotated[int, whole(60, 3_600, "seconds")] = Field(
        default=180, alias="SS_AUTHENTICATION_FAILED_SUSPEND"
    )
    """For how long nothing from an address is heard that was locked out (REG-07)."""
    keep_alive_message: Annotated[bytes, payload(200)] = Field(default=b"HELLO", alias="SS_SIP_NAT_KEEP_ALIVE_MESSAGE")
    """What registered phones and trunks are sent over UDP, so that NAT keeps them reachable; empty sends nothing."""
    keep_alive_period: Annotated[int, whole(10, 86_400, "seconds")] = Field(
        default=30, alias="SS_SIP_NAT_KEEP_ALIVE_PERIOD"
    )
    """From the beginning of one sweep over all of them to that of the next (NAT-02)."""
    keep_alive_send_interval: Annotated[int, whole(1, 10_000, "milliseconds")] = Field(
        default=500, alias="SS_SIP_NAT_KEEP_ALIVE_SEND_INTERVAL"
    )
    """From the beginning of one batch to that of the next; its datagrams are spread over that time (NAT-04)."""
    keep_alive_send_one_time: Annotated[int, whole(1, 10_000, "datagrams")] = Field(
        default=3_000, alias="SS_SIP_NAT_KEEP_ALIVE_SEND_ONE_TIME"
    )
    """How many make a batch (NAT-04)."""
    session_ttl: Annotated[int, whole(60, 86_400, "seconds")] = Field(default=600, alias="SS_SIP_SESSION_TTL")
    """Session interval that we ask for (TMR-02); SS_SIP_SESSION_MIN_SE where that is larger."""
    session_segment: Annotated[int, divisor()] = Field(default=2, alias="SS_SIP_SESSION_UPDATE_SEGMENT")
    """Into how many parts refreshes divide a session interval: 2 of 600 s is a refresh every 300 s (TMR-03)."""
    session_min_se: Annotated[int, whole(90, 3_600, "seconds")] = Field(default=90, alias="SS_SIP_SESSION_MIN_SE")
    """The smallest session interval that a peer may ask for, else 422 (TMR-07).

    Where a vendor answers 422, raise SS_SIP_SESSION_TTL and not this.
    """
    session_early_hangup: Annotated[int, whole(0, 3_600, "seconds")] = Field(
        default=0, alias="SS_SIP_SESSION_TIMEOUT_EARLY_HANGUP"
    )
    """How long before its end an unrefreshed session is given up; a refresh is always tried first (TMR-06)."""
    no_timer_limit: Annotated[int, whole(0, 86_400, "seconds")] = Field(
        default=7_200, alias="SS_SIP_NO_TIMER_REINVITE_INTERVAL"
    )
    """Longest call with a peer that has no session timer; 0 = none (TMR-09). It is no interval of re-INVITEs."""

    aliases: ClassVar[Mapping[str, str]] = {"SERVER_BILLING_FEE_PRECISION": "SERVER_BILLING_FEE_PRECISTION"}
    not_built: ClassVar[frozenset[str]] = frozenset(
        {
            "IVR_RTP_PORT",
            "SERVER_BILLING_FORWARD_PREFIX",
            "SERVER_BILLING_FREE_E164S",
            "SERVER_BILLING_GATEWAY_ROUTE_PREFIX",
            "SERVER_BILLING_NO_CDR_E164S",
            "SERVER_BILLING_RECORD_ILLEGAL_CALL",
            "SERVER_BILLING_RECORD_ZERO_HOLD_TIME",
            "SERVER_CDR_FILE_WRITE_INTERVAL",
            "SERVER_CDR_FILE_WRITE_MAX",
            "SERVER_MAX_CDR_PENDING_LIST_LENGTH",
            "SERVER_PAY_DELAY_CUSTOMER_EXPIRE_DAY",
            "SERVER_PERIOD_RATE_ENABLED",
            "SERVER_WORK_CALENDAR_ENABLED",
            "SS_AUXILIARY_RING_TONE_ACTIVATION_DELAY",
            "SS_GATEWAY_QUALITY_RESERVE_SEPARATE",
            "SS_GATEWAY_QUALITY_RESERVE_TIME",
            "SS_MEDIAPROXYBEHINDNAT",
            "SS_MEDIAPROXYBETWEENNET",
            "SS_MEDIAPROXYMODE",
            "SS_MEDIAPROXYSAMENAT",
            "SS_QOS_RTP",
            "SS_RTP_PORT_RANGE",
        }
    )


def drop_out_of_scope(parameters: Section, problems: ProblemList) -> Section:
    """Return the parameters without those that vosd will never have (H.323), with a warning for each."""
    kept = {}
    for name, entry in parameters.entries.items():
        if name.startswith(_OUT_OF_SCOPE):
            expected = "no parameter of H.323, which vosd does not speak: it has no effect"
            problems.warning(entry.place, f"{PARAMETERS}.{name}", expected, written_in(entry.node))
        else:
            kept[name] = entry
    return Section(parameters.place, kept)


def warn_of_parameters(parameters: ParameterKeys, section: Section, problems: ProblemList) -> None:
    """Note settings that work, but hardly as meant (DESIGN section 7)."""

    def warn(name: str, expected: str, value: object) -> None:
        entry = section.entries.get(name)
        place = section.place if entry is None else entry.place
        problems.warning(place, f"{PARAMETERS}.{name}", expected, str(value))

    natural_unit = Decimal(1).scaleb(-parameters.fee_precision)
    if parameters.fee_unit != natural_unit:
        expected = f"{natural_unit:f}, as the fee precision is {parameters.fee_precision}: fees are rounded twice"
        warn("SERVER_BILLING_FEE_UNIT", expected, f"{parameters.fee_unit:f}")
    if not parameters.record_server_hang_up:
        expected = "1: calls that the switch ends are paid for but leave no CDR, so reports will not add up"
        warn("SERVER_BILLING_RECORD_SERVER_HANG_UP", expected, 0)
    if parameters.session_ttl < parameters.session_min_se:
        expected = f"no less than SS_SIP_SESSION_MIN_SE, {parameters.session_min_se}, which is what counts then"
        warn("SS_SIP_SESSION_TTL", expected, parameters.session_ttl)
