"""Digests of what a catalogue is made of beside accounts, gateways and phones: has any of it changed (ADR 60)?"""

from dataclasses import fields
from typing import NamedTuple

from vosd.billing.rate_group import RateGroup
from vosd.catalogue.source import CHANGING, CatalogueSource, Definitions
from vosd.catalogue.versions import version_of
from vosd.routing.number_lists import NumberList


class Rest(NamedTuple):
    """Everything but accounts, gateways and phones, in two parts."""

    frame: str
    """Digest of everything that definitions may name and are checked by; of rate groups all but the rates."""
    rates: str
    """The rates."""


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
