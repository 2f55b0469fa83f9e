"""Sums, calls and unread rows of ``PriceDifferences`` as results of orders have them; amounts are text."""

import msgspec


class UnreadRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of a file that could not be read."""

    line: int
    reason: str


class AccountDifference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sums of the charges of an account in a role and a currency."""

    account: str
    role: str
    currency: str | None
    calls: int
    differ: int
    without_rate: int
    before: str
    before_without_rate: str
    """Part of ``before`` that is of calls without a rate."""
    after: str
    difference: str
    """Difference of the charges that have a rate."""


class PrefixDifference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sums of the charges of a prefix in a role and a currency."""

    role: str
    prefix: str | None
    currency: str | None
    calls: int
    differ: int
    without_rate: int
    before: str
    before_without_rate: str
    """Part of ``before`` that is of calls without a rate."""
    after: str
    difference: str
    """Difference of the charges that have a rate."""


class CallDifference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A charge that differs much."""

    call: str
    """The id of the call, or the line of a file."""
    started_at: str
    """RFC 3339."""
    callee: str
    account: str
    role: str
    prefix: str | None
    currency: str | None
    before: str
    after: str | None
    """None = there is no rate, or one in another currency."""
