"""A line of the audit: who has changed what, by what and from where; and the request that has ordered it."""

from typing import NamedTuple


class RequestKey(NamedTuple):
    """A request that may be repeated: its key is kept in the transaction of the change."""

    principal: str
    """The name that was proved: keys of one are not those of another."""
    key: str
    fingerprint: str
    """Digest of the request: the key of another request is refused."""


class JobRun(NamedTuple):
    """A beginning of a job, whose change is written while it holds or not at all."""

    id: int
    attempt: int


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
    request: RequestKey | None = None
    """Kept beside the line, where the request has a key."""
    job: JobRun | None = None
    """The job that makes the change: its row says so in the same transaction."""
    number: int | None = None
    """Number of a line that was written; later ones are higher."""
