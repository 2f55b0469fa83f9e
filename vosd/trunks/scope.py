"""Kinds of objects that have limits of their own."""

from enum import IntEnum
from typing import NamedTuple


class LimitScope(IntEnum):
    """The kind of object that is counted; the same name may exist in each."""

    ACCOUNT = 0
    MAPPING = 1
    ROUTING = 2
    VENDOR = 3
    """The calls that all routing gateways of an account carry together."""
    ROUTE = 4
    """The calls by one line of the routes of a plan."""
    GROUP = 5
    """The calls of all gateways of a group together."""


class SharedLimit(NamedTuple):
    """A limit that the calls of a gateway share with others."""

    scope: LimitScope
    name: str
    max_concurrent: int | None
    max_cps: int | None
