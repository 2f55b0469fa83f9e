"""Versions of content: a digest, so that equal content has an equal version."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from ipaddress import IPv4Network
from itertools import islice
from operator import itemgetter
from typing import Final, NamedTuple

import msgspec

from vosd.base.secret import Secret
from vosd.billing.rate_group import RateGroup
from vosd.catalogue.source import CHANGING, CatalogueSource, Definitions
from vosd.routing.number_lists import NumberList

_AT_ONCE: Final = 200
"""Entries of a mapping that are encoded at once."""


class Rest(NamedTuple):
    """Everything but accounts, gateways and phones, in two parts."""

    frame: str
    """Digest of everything that definitions may name and are checked by; of rate groups all but the rates."""
    rates: str


def rest_of(source: CatalogueSource) -> Rest:
    """Return the digests of what is defined."""
    frame: list[object] = []
    for field in fields(source):
        defined = getattr(source, field.name)
        if isinstance(defined, Definitions):
            values = {} if field.name in CHANGING else defined.values()
            frame.append({name: _content(each) for name, each in values.items()})
        else:
            frame.append(None if defined is None else defined.value)
    rates = {name: [each.version, each.rate_version] for name, each in source.rate_groups.values().items()}
    return Rest(version_of(*frame), version_of(rates))


def _content(thing: object) -> object:
    """Return what identifies the content of something that may be large."""
    if isinstance(thing, RateGroup):
        return [thing.currency, thing.policy, thing.period_rates, thing.origins]
    return thing.version if isinstance(thing, NumberList) else thing


def version_of(*content: object) -> str:
    """Return the version of structs, mappings and sequences; a change of any value changes it.

    A changed password is a change, too; the digest does not disclose it. Large mappings are encoded in parts, because
    an encoder does not let another thread run: a reload would delay calls by the whole of it.
    """
    digest = hashlib.sha256()
    for each in content:
        for part in _parts(each) if isinstance(each, Mapping) else (each,):
            written = encoded(part)
            digest.update(b"%d:" % len(written) + written)
        digest.update(b";")
    return digest.hexdigest()[:16]


def _parts(mapping: Mapping[str, object]) -> Iterator[object]:
    items = iter(sorted(mapping.items(), key=itemgetter(0)))
    while part := list(islice(items, _AT_ONCE)):
        yield part


def _plain(value: object) -> object:
    """Return a value of which JSON has a form."""
    if isinstance(value, IPv4Network):  # in a third of the time of its text
        return int(value.network_address), value.prefixlen
    return value.reveal() if isinstance(value, Secret) else str(value)


encoded: Final = msgspec.json.Encoder(enc_hook=_plain, order="deterministic").encode
"""Write a value as bytes: equal values as equal bytes."""
