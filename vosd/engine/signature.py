"""Signature of what is sent to HTTP servers of the operator: alarms, call-state reports."""

import hashlib
import hmac

from vosd.base.secret import Secret


def signed(body: bytes, secret: Secret | None, wall_ms: int) -> dict[str, str]:
    """Return the headers that prove who sends a report, and when; none without a secret.

    The signature is HMAC-SHA256 of the timestamp, a dot and the body, so an old report cannot be sent again later.
    """
    if secret is None:
        return {}
    timestamp = str(wall_ms // 1_000)
    digest = hmac.new(secret.reveal().encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Vosd-Timestamp": timestamp, "X-Vosd-Signature": f"sha256={digest}"}
