"""Orders to the compiler: one rate file, and the settings of its group that decide what its rows mean.

The name of the compiled file follows from the content of the source and from these settings, so a file that exists is
the one that is needed, whichever process compiled it (ADR 49).
"""

import hashlib
import os
import sys
import time
from array import array
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from vosd import __version__
from vosd.billing.currencies import FeeDecimals
from vosd.billing.rate_layout import FORMAT
from vosd.billing.rates import RatingPolicy
from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.config.assembly.rate_groups import rating_policy, read_group_keys
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.keys.rates import PricePer
from vosd.config.reader.document import Scalar, Section

SUFFIX: Final = ".rates"
SMALL_BYTES: Final = 32 * 1024
"""A file of at most this size is read on the spot: its rates stay objects in memory."""
_FIRST_YEAR: Final = 2020
_DAYS: Final = 17 * 366
"""Days whose beginnings tell zones apart: those up to 2036, which takes 4 ms."""


class RateOrder(msgspec.Struct, frozen=True):
    """One rate file to be compiled."""

    file: str
    named_at: SourceLine
    """Place at which the configuration names the file."""
    group_at: SourceLine
    group: str
    label: str
    """Name of the group in messages."""
    price_per: PricePer
    billing_unit: int
    """Seconds of one increment of rates that have none of their own."""
    policy: RatingPolicy
    """The report on rounding depends on it."""
    may_be_empty: bool = False
    """Whether the file may have no rate, as a deck whose prefixes were all taken out."""

    @property
    def key(self) -> str:
        """Name of the file in messages."""
        return f"{self.label}.rates_file"

    def name_for(self, digest: str) -> str:
        """Return the name of the compiled file for a source of this SHA-256 digest."""
        days = _days_of(time.tzname, os.environ.get("TZ"))  # a day without zone is one of the machine's
        settings = msgspec.json.encode(
            (FORMAT, __version__, sys.byteorder, self.price_per, self.billing_unit, self.policy, time.tzname, days)
        )
        return f"{hashlib.sha256(digest.encode() + settings).hexdigest()[:40]}{SUFFIX}"


@lru_cache(maxsize=1)
def _days_of(_names: tuple[str, str], _zone: str | None) -> str:
    """Return a digest of when days of the machine's zone begin.

    Its names say too little: Chicago and Havana have the same, and so have rules of before an update. They and ``TZ``
    are given as the key of the cache.
    """
    begins = (time.mktime((_FIRST_YEAR, 1, day, 0, 0, 0, 0, 0, -1)) for day in range(1, _DAYS + 1))
    return hashlib.sha256(array("d", begins).tobytes()).hexdigest()


def order_of(
    section: Section, label: str, parameters: ParameterKeys, decimals: Mapping[str, FeeDecimals]
) -> RateOrder | None:
    """Return what is to be compiled for a rate group; None where that is nothing, or the group has mistakes.

    Mistakes are reported where the group is read.
    """
    entry = section.entries.get("rates_file")
    if entry is None or not isinstance(entry.node, Scalar) or not entry.node.text or "rates" in section.entries:
        return None
    path = Path(entry.node.place.file).parent / entry.node.text
    try:
        if path.stat().st_size <= SMALL_BYTES:
            return None
    except (OSError, ValueError):
        return None
    keys = read_group_keys(section, label, ProblemList())
    if keys is None:
        return None
    unit = keys.billing_unit or parameters.billing_unit
    return RateOrder(
        str(path),
        entry.place,
        section.place,
        keys.name,
        label,
        keys.price_per,
        unit,
        rating_policy(keys, parameters, decimals),
        may_be_empty="deck" in section.entries,
    )
