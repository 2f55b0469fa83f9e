"""Reason phrases of the status codes that we send (RFC 3261 section 21 and the IANA registry)."""

from typing import Final

_PHRASES: Final = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress",
    200: "OK", 202: "Accepted", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 408: "Request Timeout", 410: "Gone",
    413: "Request Entity Too Large", 414: "Request-URI Too Long", 415: "Unsupported Media Type",
    416: "Unsupported URI Scheme", 417: "Unknown Resource-Priority", 420: "Bad Extension",
    421: "Extension Required", 422: "Session Interval Too Small",
    423: "Interval Too Brief", 424: "Bad Location Information", 428: "Use Identity Header",
    429: "Provide Referrer Identity", 430: "Flow Failed", 433: "Anonymity Disallowed", 436: "Bad Identity Info",
    437: "Unsupported Credential", 438: "Invalid Identity Header", 469: "Bad Info Package",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops", 484: "Address Incomplete",
    485: "Ambiguous", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
    489: "Bad Event", 491: "Request Pending", 500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Server Time-out", 505: "Version Not Supported", 513: "Message Too Large",
    580: "Precondition Failure", 600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere",
    606: "Not Acceptable", 607: "Unwanted", 608: "Rejected",
}  # fmt: skip
_CLASSES: Final = {1: "Session Progress", 2: "OK", 3: "Redirection", 4: "Request Failure", 5: "Server Failure"}


STATUS_LINES: Final = {status: f"SIP/2.0 {status} {text}\r\n".encode() for status, text in _PHRASES.items()}
"""Whole status lines of the statuses that have a phrase."""


def status_line(status: int) -> bytes:
    """Return the status line of any status."""
    return STATUS_LINES.get(status) or f"SIP/2.0 {status} {phrase(status)}\r\n".encode()


def phrase(status: int) -> str:
    """Return the reason phrase of a status; without one, that of its class."""
    return _PHRASES.get(status) or _CLASSES.get(status // 100, "Global Failure")
