"""Reason headers, in the form that each trunk is configured for (RFC 3326, RFC 6432)."""

from vosd.base.cause import EndReason
from vosd.trunks.dialect import ReasonForm


def reason_headers(form: ReasonForm, reason: EndReason, q850_cause: int, status: int | None = None) -> str:
    """Return whole Reason lines; ``status`` is the matching SIP code, if there is one."""
    text = f'text="{reason.text}"'
    lines = ""
    if form is ReasonForm.Q850 or form is ReasonForm.BOTH:
        lines = f"Reason: Q.850;cause={q850_cause};{text}\r\n"
    if status is not None and (form is ReasonForm.SIP or form is ReasonForm.BOTH):
        lines += f"Reason: SIP;cause={status};{text}\r\n"
    return lines


def passed_on(q850_cause: int | None, form: ReasonForm) -> str:
    """Return the Reason lines that forward the cause of the other side; its text is not forwarded."""
    return "" if q850_cause is None else reason_headers(form, EndReason.NORMAL, q850_cause)
