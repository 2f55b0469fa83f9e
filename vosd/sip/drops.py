"""Reasons for which a message is dropped or refused before it begins anything; each is counted.

The flaws of malformed messages are counted beside them.
"""

from collections import Counter
from enum import StrEnum
from typing import TypeAlias

from vosd.sip.wire.errors import Flaw


class Drop(StrEnum):
    """A reason, with the name that the log shows (``messages_dropped``)."""

    # Before parsing: by source and first line.
    NOT_SIP = "not SIP"
    KEEP_ALIVE = "keep-alive"
    """Empty messages that keep an address translation open; the log leaves them out."""
    BLOCKED = "blocked source"
    SCANNER = "scanner"
    DENIED = "source that access denies"
    GATEWAY_RATE = "too many requests of a gateway"
    CHANGES_RATE = "too many requests of a gateway within its calls"
    GATEWAY_LIMIT = "more than max_requests of a gateway"
    UNKNOWN_RATE = "too many requests of a stranger"
    UNKNOWN_RATE_IN_CALLS = "too much of a stranger's calls"
    UNMATCHED = "too much of no call of ours"
    """Responses and in-dialog requests above the limit for those that match nothing of ours."""

    # In the queues.
    CALL_MESSAGES_WAIT = "too many messages of calls wait"
    REQUESTS_WAIT = "too many requests wait"
    REFUSED = "refused with 503"
    NOT_EVEN_REFUSED = "more than can be refused"

    WAITED_FOR_START = "requests that waited for the start"
    """Requests that came so long before that their senders may have given up; a caller that has not repeats its INVITE.
    """

    WAITED_FOR_CONNECTION = "more than can wait for a connection"
    """Messages to a peer that we are connecting to."""

    # By the endpoint.
    MALFORMED_IN_OVERLOAD = "malformed, and too much"
    UNKNOWN_SOURCE = "unknown source"
    BLOCKED_BY_RULE = "source that access blocks"
    LOCKED_OUT = "locked out source"
    WRONG_CREDENTIALS = "wrong credentials"
    UNCHECKED_CREDENTIALS = "credentials after too many wrong ones"
    DISABLED_USER = "disabled user"
    VENDOR_THAT_CALLS = "vendor that calls"
    ELSEWHERE = "user from where it may not come"
    """By the countries of its account or phone, or the agents of its account."""
    UNMATCHED_RESPONSE = "response to no request"
    LATE_ANSWER = "late answer"
    TOO_MANY_LATE_ANSWERS = "too many late answers"
    """Answers to INVITEs that are not remembered, beyond what is hung up in a second."""
    TOO_MANY_FORKS = "too many forks"

    @property
    def label(self) -> str:
        """The name under which dropped messages are counted in the log."""
        return self.value

    @property
    def event(self) -> str:
        """The name of the log event about one source of such messages."""
        return self.name.lower()


Drops: TypeAlias = Counter[Drop | Flaw]
