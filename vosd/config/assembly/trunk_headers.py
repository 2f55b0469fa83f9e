"""Header rules and forms of numbers: from keys to the structs of a trunk."""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from vosd.config.assembly.conversion import Conversion, full_conversion, require_all_used
from vosd.config.keys.trunk_headers import CallerFormatKeys, CauseKeys, HeaderKeys, NumberFormatKeys, ResponseHeaderKeys
from vosd.trunks.causes import TrunkCauses
from vosd.trunks.header_rules import HeaderRules, TrunkHeaders
from vosd.trunks.number_format import CallerFormat, NumberFormat

_RULES: Final = {"remove": "removes", "add": "adds", "set": "sets"}
_REQUESTS: Final = Conversion(HeaderKeys, HeaderRules, renamed=_RULES, is_shared=True)
_TRUNK: Final = Conversion(HeaderKeys, TrunkHeaders, by_hand={"responses": "responses"}, is_shared=True)
require_all_used(HeaderKeys, _REQUESTS, _TRUNK)
_RESPONSES: Final = full_conversion(ResponseHeaderKeys, HeaderRules, renamed=_RULES, is_shared=True)
_NUMBERS: Final = full_conversion(NumberFormatKeys, NumberFormat)
_CALLERS: Final = full_conversion(CallerFormatKeys, CallerFormat)
_CAUSES: Final = full_conversion(
    CauseKeys, TrunkCauses, by_hand={"received": "received", "sent": "sent"}, is_shared=True
)
_NO_CAUSES: Final = TrunkCauses()
_NONE: Final[Mapping[str, int]] = {}
_NO_RULES: Final = TrunkHeaders()
_AS_ROUTED: Final = NumberFormat()


def trunk_headers(keys: HeaderKeys) -> TrunkHeaders | None:
    """Return the header rules of a trunk; None if it has none."""
    if not keys.model_fields_set:
        return None
    found = _TRUNK(keys, requests=_REQUESTS(keys), responses=_RESPONSES(keys.responses))
    return None if found == _NO_RULES else found


def number_format(keys: NumberFormatKeys, emergency: frozenset[str]) -> NumberFormat | None:
    """Return the form of numbers that a trunk is sent; None if all are sent as routed, as ``emergency`` is."""
    found = _NUMBERS(keys)
    return None if found == _AS_ROUTED else replace(found, emergency=emergency)


def trunk_causes(keys: CauseKeys) -> TrunkCauses | None:
    """Return the causes of a trunk; None for those of the standard."""
    if not keys.model_fields_set:
        return None
    found = _CAUSES(keys, received=keys.received or _NONE, sent=keys.sent or _NONE)
    return None if found == _NO_CAUSES else found


def caller_format(keys: CallerFormatKeys) -> CallerFormat | None:
    """Return the form that calling numbers must have; None for any."""
    return _CALLERS(keys) if keys.is_given else None
