"""A line of the audit: who has changed what, by what and from where."""

from typing import NamedTuple


class AuditLine(NamedTuple):
    """One change; the line is written in its transaction, and never changed."""

    at: int
    """UTC milliseconds."""
    principal: str
    """The name that the records keep."""
    role: str
    login: str
    """The name that was proved."""
    means: str
    source: str
    action: str
    """Name of the order."""
    subject: str
    """The object that it is about, such as an account."""
    detail: str
    """The order as JSON."""
