"""Reason headers, in the form that each trunk is configured for (RFC 3326, RFC 6432)."""

from collections.abc import Mapping
from typing import Final

from vosd.base.cause import EndReason
from vosd.sip.headers.reason import Q850, SIP
from vosd.sip.wire.status import phrase
from vosd.trunks.dialect import ReasonForm

NO_CAUSES: Final[Mapping[str, int]] = {}
_ANSWERED: Final = 200
_ELSEWHERE: Final = "Call completed elsewhere"
_STALE_DATE: Final = 403, "Stale Date"
"""A status and its phrase in RFC 8224 section 6.2.2; the other ones have theirs everywhere."""


def reason_headers(form: ReasonForm, reason: EndReason | None, q850_cause: int, status: int | None = None) -> str:
    """Return whole Reason lines; ``status`` is the matching SIP code, if there is one.

    ``reason`` is the text; None = there is none, because a message is refused and no call has ended.
    """
    text = "" if reason is None else f';text="{reason.text}"'
    lines = ""
    if form is ReasonForm.Q850 or form is ReasonForm.BOTH:
        lines = f"Reason: Q.850;cause={q850_cause}{text}\r\n"
    if status is not None and (form is ReasonForm.SIP or form is ReasonForm.BOTH):
        lines += f"Reason: SIP;cause={status}{text}\r\n"
    return lines


def given_by_caller(form: ReasonForm, reason: EndReason, given: Mapping[str, int]) -> str:
    """Return the Reason lines of our CANCEL: the causes that the caller gave with its own, and ours where it gave none.

    Its texts are not forwarded. A phone that receives ``SIP;cause=200`` lists no missed call (RFC 3326 section 3.1).
    """
    if form is ReasonForm.NONE:
        return ""
    lines = ""
    for protocol, cause in given.items():
        text = reason.text if protocol == Q850 else _ELSEWHERE if cause == _ANSWERED else phrase(cause)
        lines += f'Reason: {protocol};cause={cause};text="{text}"\r\n'
    if Q850 not in given and form is not ReasonForm.SIP:
        lines += reason_headers(ReasonForm.Q850, reason, reason.q850_cause)
    if SIP not in given and form is not ReasonForm.Q850:
        lines += reason_headers(ReasonForm.SIP, reason, reason.q850_cause, reason.sip_status)
    return lines


def passed_on(q850_cause: int | None, form: ReasonForm) -> str:
    """Return the Reason lines that forward the cause of the other side; its text is not forwarded."""
    return "" if q850_cause is None else reason_headers(form, EndReason.NORMAL, q850_cause)


def of_signature(form: ReasonForm, status: int) -> str:
    """Return the Reason line that says what is wrong with a caller's signature (RFC 9410 section 4)."""
    if form is ReasonForm.NONE:
        return ""
    text = _STALE_DATE[1] if status == _STALE_DATE[0] else phrase(status)
    return f'Reason: STIR;cause={status};text="{text}"\r\n'
