"""JSON documents of calls in their stored form: packed, because the steps of two charges are half of a call's bytes.

The steps repeat the same names in every call. They are deflated against a text that has those names, and written as
base64, so the column stays text (ADR 72). Text that is not packed is read as it is: short documents, those of earlier
versions, and those that are damaged.
"""

import zlib
from binascii import Error as NotBase64, a2b_base64, b2a_base64
from typing import Final

MARK: Final = "z1:"
"""Beginning of a packed document, with which no JSON document begins: the number of the text below, which never
changes."""
_SHORTEST: Final = 80
"""Characters below which a document is stored as it is."""
_LEVEL: Final = 3
"""Level 2 takes 2 % more bytes and as much time; level 6 saves 5 % of the bytes and takes a fifth more time."""
_WINDOW: Final = -11
"""Raw deflate with a window of 2 kB, which is more than the text below."""
_MEMORY: Final = 3

_USUAL: Final = (
    b'{"plan":"","refusal":"","chosen":{"routing_gateway":"","reason":""},"left":[{"routing_gateway":"","reason":""}],'
    b'"more_left":"dead_call_billing":"noticed_at":"candidate","source":"account","total":"section_cap":false,"sections":'
    b'{"step":"section_cap","raw":"{"step":"sections","seconds":{"step":"minimum_charge","raw":"{"step":"exchange","from":'
    b'"EUR","to":"USD","rate":"{"step":"connection_fee","raw":"0.01"},{"step":"first_period","seconds":60,"raw":"0.0'
    b'"price_per":"cycle","billing_cycle":"first_rate":"0.0","first_duration":60,"tax_rate":"19","connection_fee":"0.01",'
    b'"minimum_charge":"0.0"rounding":"half_even""rounding":"up""rounding":"down""nonzero_floor":true,"amount":"0.0'
    b'"precision":2,"unit":"0.01"precision":4,"unit":"0.0001"currency":"EUR","prefix":"49"agent":['
    b'"vendor":[{"step":"rate","group":"buy","version":"","currency":"USD","prefix":"44","billing_rate":"0.01",'
    b'"price_per":"minute","billing_cycle":60,"first_rate":null,"first_duration":0,"tax_rate":"0"},{"step":"hold_time",'
    b'"precision_ms":50,"seconds":120},{"step":"free_time","free_s":0,"seconds":6},{"step":"cycles","cycles":1,"cycle":6,'
    b'"raw":"0.0"},{"step":"fee","raw":"0.0","precision":6,"unit":"0.000001","rounding":"half_up","nonzero_floor":false,'
    b'"amount":"0.0"},{"step":"tax","raw":"0","amount":"0.00"}]}{"customer":[{"step":"rate","group":"sell","version":"'
)

_PREPARED: Final = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW, _MEMORY, zlib.Z_DEFAULT_STRATEGY, _USUAL)
"""Knows the text already; each document takes a copy."""


def packed(document: str) -> str:
    """Return the stored form of a document that UTF-8 can encode; ``unpacked`` returns it unchanged."""
    if len(document) < _SHORTEST and not document.startswith(MARK):
        return document
    deflate = _PREPARED.copy()
    short = deflate.compress(document.encode()) + deflate.flush()
    return MARK + b2a_base64(short, newline=False).decode()


def unpacked(stored: str) -> str:
    """Return the document of a stored form; one that is damaged is returned as it is stored."""
    if not stored.startswith(MARK):
        return stored
    try:
        inflate = zlib.decompressobj(_WINDOW, _USUAL)
        document = inflate.decompress(a2b_base64(stored[len(MARK) :], strict_mode=True)).decode()
    except (NotBase64, zlib.error, ValueError):
        return stored  # it must not hide the call
    return document if inflate.eof else stored
