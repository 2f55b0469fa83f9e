"""Why a call went where it did, from its record alone: in the form of ``vosd route explain``."""

from typing import Any, Final

import msgspec

from vosd.callcontrol.verdicts import Verdicts, verdicts_in
from vosd.cdr.record import Attempt, CallRecord

_NONE: Final = Verdicts()


def why(record: CallRecord) -> dict[str, Any]:
    """Return the JSON object of ``vosd cdr show --why``; its keys are stable.

    ``is_kept`` is false for an answered call that keeps no verdicts: then only its attempts are known.
    """
    kept = verdicts_in(record.verdicts)
    verdicts = kept or _NONE
    return {
        "call_id": record.call_id,
        "result": "ok" if record.answered_at is not None else record.end_reason,
        "is_kept": kept is not None,
        "refusal": verdicts.refusal or None,
        "signature": verdicts.signature or None,
        "plan": verdicts.plan or None,
        "callee_in": record.callee_in,
        "callee_billed": record.callee_billing,
        "callee_out": record.callee_out,
        "candidates": [
            {"routing_gateway": each.gateway, "position": position, "reason": _of_attempt(each)}
            for position, each in enumerate(record.attempts, start=1)
        ],
        "chosen": None if verdicts.chosen is None else msgspec.to_builtins(verdicts.chosen),
        "left": [msgspec.to_builtins(each) for each in verdicts.left],
        "more_left": verdicts.more_left,
    }


def final_of(attempt: Attempt) -> str:
    """Return the final code of an attempt, or what stands for 0."""
    if attempt.code:
        return str(attempt.code)
    if not attempt.was_sent:
        return "not sent"
    return "no response" if attempt.pdd_ms is None else "no final response"


def _of_attempt(attempt: Attempt) -> str:
    return f"tried: {final_of(attempt)} after {attempt.ms} ms ({attempt.reason})"
