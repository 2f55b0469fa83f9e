"""The record of one call, as the journal keeps it and the database stores it.

A field whose type is ``Annotated`` with a form of ``vosd.cdr.kinds`` is a column of the CDR. Tables, rows, JSON, CSV
and ``docs/cdr.md`` are derived from these declarations, in the order of the fields (ADR 38).
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Final

import msgspec

from vosd.base.cause import EndReason
from vosd.base.money import ZERO
from vosd.cdr.kinds import (
    CURRENCY_LENGTH,
    NAME_LENGTH,
    REASON_LENGTH,
    SIP_CALL_ID_LENGTH,
    account_name,
    address,
    amount,
    call_identity,
    document,
    gateway_name,
    number,
    phone_number,
    steps,
    text,
    time,
    word,
)

LATE_ANSWER: Final = "Late Answer"
"""Reason of an attempt that was answered after it was given up."""
ANNOUNCEMENT: Final = "Announcement"
"""Reason of the row of a routing gateway that has played a sound."""
RELAYED: Final = "relayed"
DIRECT: Final = "direct"
UNSENT_REASONS: Final = frozenset({EndReason.NO_COMMON_CODEC.text, EndReason.NO_MEDIA_PORT.text})
"""Reasons for which a gateway is not sent the INVITE; also those of INVITEs that had a response."""
FORKED: Final = "Forked"
"""Reason of the row of a second phone behind the vendor that has answered as well."""
IN_VAIN: Final = frozenset({LATE_ANSWER, FORKED})
"""Reasons of rows of answers that were hung up."""
_LOST: Final = EndReason.LOST.text
ANSWERED_ELSEWHERE: Final = "Answered Elsewhere"
PICKED_UP_ELSEWHERE: Final = "Picked Up Elsewhere"
REFUSED_ELSEWHERE: Final = "Refused Elsewhere"
ELSEWHERE: Final = frozenset({ANSWERED_ELSEWHERE, PICKED_UP_ELSEWHERE, REFUSED_ELSEWHERE})
"""Reasons of attempts that were cancelled because another telephone has decided the call."""


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One gateway that was tried."""

    gateway: Annotated[str, gateway_name("routing gateway")]
    code: Annotated[int, number(16, "final SIP code; 0 = no response, or no INVITE was sent: `reason` says it")]
    ms: Annotated[int, number(32, "milliseconds from the INVITE to the end of the attempt")]
    pdd_ms: Annotated[int | None, number(32, "milliseconds from the INVITE to the first 18x or 200")]
    reason: Annotated[
        str,
        word(
            REASON_LENGTH,
            "why it ended; `No Common Codec` or `No Media Port` with 0: no INVITE was sent; "
            "`Late Answer`, `Forked`: billed; `Lost`, 0: may be",
        ),
    ]
    media_path: Annotated[
        str | None,
        word(
            8, "`relayed` or `direct`: by which way its media would go; null = not decided, or without `media.engine`"
        ),
    ] = None
    media_step: Annotated[
        int | None, number(16, "step that has decided that (media.md); 0 = the mode of the installation")
    ] = None
    media_fault: Annotated[
        str | None,
        word(64, "of `No Common Codec`: why a session description could not be forwarded; null = for want of a codec"),
    ] = None

    @property
    def was_sent(self) -> bool:
        """Whether the gateway was sent the INVITE."""
        return was_sent(self.reason, self.code, self.pdd_ms)


def was_sent(reason: str, code: int, pdd_ms: int | None) -> bool:
    """Return whether a gateway was sent the INVITE, by the columns of its attempt."""
    return bool(code) or pdd_ms is not None or reason not in UNSENT_REASONS


def is_in_vain(reason: str, end_reason: str, answered_at: int | None) -> bool:
    """Return whether a row is of an answer in vain, whose attempt has another row; the others are of its record.

    In the record of a call that a kill has cut off before it was answered, a late answer is the only row of its
    attempt.
    """
    return reason == FORKED or (reason == LATE_ANSWER and (end_reason != _LOST or answered_at is not None))


CUSTOMER: Final = "customer"
AGENT: Final = "agent"
VENDOR: Final = "vendor"
"""Roles of those who pay or are paid for a call, as ``ChargeRow.role`` has them."""
ROLE_LENGTH: Final = 8
VERSION_LENGTH: Final = 64


class ChargeRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A charge of one party of a call: the customer, an agent, or the vendor (ADR 54).

    The journal keeps the values in the order of the fields, without their names. So a new field is added at the end
    and has a default, and none is moved or removed: an earlier version ignores what follows those that it knows.
    """

    account: Annotated[str, account_name("account that the charge is booked on")]
    role: Annotated[str, word(ROLE_LENGTH, "`customer`, `agent` or `vendor`")]
    level: Annotated[int, number(16, "0 = customer or vendor, 1 = the customer's agent, 2 = the agent of that one ...")]
    rate_group: Annotated[str | None, word(NAME_LENGTH, "rate group of the rate")]
    rate_version: Annotated[str | None, word(VERSION_LENGTH, "version of the rate group, as in the breakdown")]
    rate_prefix: Annotated[str | None, word(32, "prefix of the rate")]
    unit_price: Annotated[
        Decimal | None, amount("billing rate of a minute or of a cycle, in its group's currency; half up to 8 decimals")
    ]
    price_per: Annotated[str | None, word(8, "what `unit_price` is the price of: `minute` or `cycle`")]
    billed_seconds: Annotated[int, number(32, "seconds that the charge covers")]
    fee: Annotated[Decimal, amount("charge without tax")]
    tax: Annotated[Decimal, amount("tax on `fee`")]
    currency: Annotated[str | None, word(CURRENCY_LENGTH, "currency of `fee` and `tax`, ISO 4217")]
    corrected: Annotated[int, number(16, "how often it was corrected; 0 = it is as rated")] = 0
    breakdown: Annotated[
        str | None, steps(100_000, "steps of the charge; null where `fee_breakdown` of the call has them")
    ] = None
    earned: Annotated[
        int | None, number(16, "1 = added to the balance of its account, a partner's that carried the call; else null")
    ] = None
    tax_rate: Annotated[
        Decimal | None,
        amount("percent of tax by which it was rated, whatever has corrected it; null = an earlier version booked it"),
    ] = None


class Posting(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One ledger entry that the call books: ``amount`` is signed (a charge is negative, what a partner earns is not).

    ``reference`` is unique for each account and kind, so that a batch may be booked again without harm (ADR 5).
    """

    account: str
    amount: Decimal
    reference: str
    currency: str | None = None
    """Currency of the amount, ISO 4217; None in records of versions that did not write it."""


class CallRecord(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Everything a CDR holds; times are UTC milliseconds since the epoch, money is ``Decimal``.

    The journal and the messages to the bookkeeper leave out what has its default, so a default is never changed: it
    would change the records that are kept.
    """

    call_id: Annotated[str, call_identity("vosd's own id of the call, a UUID of version 7")]
    node: Annotated[str, word(NAME_LENGTH, "the switch that carried the call")]
    mapping_gateway: Annotated[str | None, gateway_name("mapping gateway or phone that the call came from")] = None
    routing_gateway: Annotated[str | None, gateway_name("routing gateway that was tried last")] = None
    customer_account: Annotated[str | None, account_name("account that pays `fee` and `tax`")] = None
    vendor_account: Annotated[str | None, account_name("account that `cost` and `cost_tax` are booked on")] = None
    currency: Annotated[str | None, word(CURRENCY_LENGTH, "currency of `fee` and `tax`, ISO 4217")] = None
    vendor_currency: Annotated[str | None, word(CURRENCY_LENGTH, "currency of `cost` and `cost_tax`")] = None
    billing_method: Annotated[
        str | None, word(8, "as what the caller pays: `gateway` or `phone`; null = it is not known who pays")
    ] = None
    caller_in: Annotated[str, phone_number("calling number as received")] = ""
    callee_in: Annotated[str, phone_number("called number as received")] = ""
    caller_out: Annotated[str | None, phone_number("calling number as sent to the vendor")] = None
    callee_out: Annotated[str | None, phone_number("called number as sent to the vendor")] = None
    callee_billing: Annotated[str | None, phone_number("called number as rated")] = None
    caller_privacy: Annotated[
        str | None,
        word(
            16,
            "`withheld`: the caller withholds its number, `anonymous`: in From, too; it is rated as one without; "
            "null = it does not",
        ),
    ] = None
    caller_hidden: Annotated[
        int | None,
        number(16, "1 = the vendor is not sent the calling number, and is rated as for a caller without; else null"),
    ] = None
    forward_prefix: Annotated[
        str | None,
        word(16, "digits in front of `callee_billing` by which a forwarded call was sold; null = it was not forwarded"),
    ] = None
    routing_number: Annotated[
        str | None, phone_number("number by which a ported number was routed; null = it is not ported")
    ] = None
    did: Annotated[
        str | None, phone_number("called number, if the inventory of numbers has it; null = another number")
    ] = None
    sip_call_id_in: Annotated[str, text(SIP_CALL_ID_LENGTH, "Call-ID of the caller's leg")] = ""
    sip_call_id_out: Annotated[str | None, text(SIP_CALL_ID_LENGTH, "Call-ID of the last vendor's leg")] = None
    source_address: Annotated[str, address("host:port that the INVITE came from")] = ""
    destination_address: Annotated[str | None, address("host:port of the last vendor")] = None
    codec: Annotated[
        str | None,
        word(
            32, "first codec of the first audio that the answer on the caller's leg takes, as rtpmap names it (`PCMU`)"
        ),
    ] = None
    vendor_codec: Annotated[
        str | None,
        word(32, "the same on the vendor's leg; another one where the caller had an answer before that of the 200"),
    ] = None
    caller_user_agent: Annotated[str | None, text(128, "User-Agent of the INVITE")] = None
    callee_user_agent: Annotated[
        str | None, text(128, "Server, else User-Agent, of the last vendor's latest answer")
    ] = None
    attestation: Annotated[
        str | None,
        word(1, "`A`, `B` or `C` of our signature; where we did not sign, of the caller's signature that was verified"),
    ] = None
    verstat: Annotated[
        str | None,
        word(
            32,
            "`TN-Validation-Passed`, `TN-Validation-Failed` or `No-TN-Validation`: the caller's signature; null where"
            " it was not looked at",
        ),
    ] = None
    radius_class: Annotated[
        str | None,
        text(
            2_100,
            "values of Class of the Access-Accept, hexadecimal, as the accounting has them (RFC 2865 section 5.25)",
        ),
    ] = None
    started_at: Annotated[int, time("receipt of the INVITE")]
    ringing_at: Annotated[int | None, time("first 18x sent to the caller")] = None
    answered_at: Annotated[int | None, time("our 200 sent to the caller; the fee runs from here")] = None
    acknowledged_at: Annotated[int | None, time("receipt of the ACK of our 200; null for a transferred party")] = None
    vendor_answered_at: Annotated[int | None, time("receipt of the winning 200; the cost runs from here")] = None
    ended_at: Annotated[int, time("first BYE, or the switch's own deadline")]
    pdd_ms: Annotated[int | None, number(32, "milliseconds from the INVITE to the first 18x or 200 passed on")] = None
    hold_time_ms: Annotated[int, number(64, "milliseconds from answer to end")] = 0
    hold_time_s: Annotated[int, number(32, "the same in seconds, by the hold-time rule")] = 0
    billing_base_ms: Annotated[
        int | None,
        number(64, "milliseconds that `fee` is for, where it runs from the INVITE; null = those of `hold_time_ms`"),
    ] = None
    vendor_billing_base_ms: Annotated[
        int | None,
        number(
            64,
            "milliseconds that `cost` is for, where it runs from the INVITE, or the vendor hung up before our 200, or "
            "its money was used up before; "
            "null = from the answer",
        ),
    ] = None
    vendor_paid_ms: Annotated[
        int | None,
        number(
            64,
            "of the CDR of a late answer: milliseconds that the CDR of the call has charged for the same attempt, as "
            "without answer; `cost` is what is above that; null = none",
        ),
    ] = None
    billed_seconds: Annotated[int, number(32, "seconds that `fee` covers")] = 0
    vendor_billed_seconds: Annotated[int, number(32, "seconds that `cost` covers")] = 0
    fee: Annotated[Decimal, amount("the customer's charge without tax")] = ZERO
    tax: Annotated[Decimal, amount("tax on `fee`")] = ZERO
    cost: Annotated[Decimal, amount("the vendor's charge without tax")] = ZERO
    cost_tax: Annotated[Decimal, amount("tax on `cost`")] = ZERO
    loss: Annotated[
        Decimal | None,
        amount(
            "by how much `cost` is above what the last agent, else the customer pays, in the currency of that account; "
            "null = it is not"
        ),
    ] = None
    cost_rate: Annotated[
        str | None,
        word(32, "units of the currency of `loss` for one of `vendor_currency`; null = the same, or no exchange rate"),
    ] = None
    loss_currency: Annotated[
        str | None, word(CURRENCY_LENGTH, "currency of `loss`; null = the call has had no loss")
    ] = None
    rate_group: Annotated[str | None, word(NAME_LENGTH, "rate group of the customer's rate")] = None
    rate_prefix: Annotated[str | None, word(32, "prefix of the customer's rate")] = None
    rate_area: Annotated[str | None, word(128, "area of the customer's rate")] = None
    rate_type: Annotated[
        str | None,
        word(16, "type of the customer's rate: `net`, `local`, `domestic` or `international`; null = it has none"),
    ] = None
    vendor_rate_prefix: Annotated[str | None, word(32, "prefix of the vendor's rate")] = None
    fee_breakdown: Annotated[str, steps(1_000_000, "steps of both charges, enough to compute them again")] = "{}"
    hangup_source: Annotated[str, word(8, "who ended the call: `caller`, `callee` or `switch`")]
    end_reason: Annotated[str, word(REASON_LENGTH, "why the call ended, see operations.md")]
    sip_code: Annotated[int | None, number(16, "final code as the caller saw it")] = None
    q850_cause: Annotated[int | None, number(16, "cause of ITU-T Q.850")] = None
    reason_text: Annotated[str | None, text(128, "text of the Reason header that ended it (RFC 3326)")] = None
    verdicts: Annotated[
        str | None,
        document(100_000, "why a call was refused, or more money for it, and why gateways were left out, if known"),
    ] = None
    media: Annotated[
        str | None,
        document(10_000, "how media were relayed, and their quality on both legs; null = they were not relayed"),
    ] = None
    attempts: tuple[Attempt, ...] = ()
    """Every gateway tried, in order; a table of its own."""
    postings: tuple[Posting, ...] = ()
    charges: tuple[ChargeRow, ...] = ()
    """The charges of the customer, its agents and the vendor; a table of its own."""
    recorded: bool = True
    """False when the call books money but leaves no CDR (SERVER_BILLING_RECORD_SERVER_HANG_UP=0)."""

    @property
    def is_test(self) -> bool:
        """Whether it is a test call: a vendor was called, and not for any customer (ADR 63)."""
        return self.mapping_gateway is None and self.routing_gateway is not None

    @property
    def is_cost_of_another(self) -> bool:
        """Whether it has the cost of an answer in vain alone: the call of that has a record of its own, or will."""
        return (
            self.customer_account is None
            and self.end_reason == EndReason.CANCELLED.text
            and [each.reason in IN_VAIN for each in self.attempts] == [True]
        )


def charged_by(records: Iterable[CallRecord]) -> dict[str, Decimal]:
    """Return what records charge to each account that they book on, zero or less: what partners earn is not in it."""
    charged: dict[str, Decimal] = {}
    for record in records:
        for posting in record.postings:
            charged[posting.account] = charged.get(posting.account, ZERO) + min(posting.amount, ZERO)
    return charged
