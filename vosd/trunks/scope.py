"""Kinds of objects that have limits of their own."""

from enum import IntEnum


class Scope(IntEnum):
    """What kind of object is counted; the same name may exist in each."""

    ACCOUNT = 0
    MAPPING = 1
    ROUTING = 2
