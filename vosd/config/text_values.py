"""Numbers of JSON for keys that are text.

The database has every value as text: ``true`` as the name of an account would become ``yes``.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Final, get_args, get_origin

from vosd.base.secret import Secret
from vosd.config.keys.calendars import CalendarKeys
from vosd.config.keys.dids import DidKeys
from vosd.config.keys.groups import AddressGroupKeys, GatewayGroupKeys
from vosd.config.keys.number_lists import NumberListKeys, NumberPoolKeys
from vosd.config.keys.rate_groups import RateGroupKeys
from vosd.config.keys.rates import RateKeys
from vosd.config.keys.routing_plans import RoutingPlanKeys
from vosd.config.keys.scheduled_reports import ScheduledReportKeys
from vosd.config.object_sheets import MODELS
from vosd.config.reader.fields import Keys
from vosd.config.reader.reading import section_in_list, section_of

MODELS_OF: Final[Mapping[str, tuple[type[Keys], ...]]] = {
    **{kind: (model,) for kind, model in MODELS.items()},
    "calendars": (CalendarKeys,),
    "number_lists": (NumberListKeys,),
    "number_pools": (NumberPoolKeys,),
    "dids": (DidKeys,),
    "address_groups": (AddressGroupKeys,),
    "gateway_groups": (GatewayGroupKeys,),
    "rate_groups": (RateGroupKeys,),
    "routing_plans": (RoutingPlanKeys,),
    "reports": (ScheduledReportKeys,),
    "templates": tuple(MODELS.values()),
}
"""Models of the keys of each kind of object that the database may define; a template may have keys of several."""
_TEXTS: Final = frozenset({str, Secret, Path})


def number_for_text(kind: str, keys: Any) -> tuple[str, Any] | None:
    """Return the first key that shall be text and has a number or a boolean, with that; None = there is none."""
    return next(_numbers(MODELS_OF.get(kind, ()), keys, ""), None)


def _numbers(models: tuple[type[Keys], ...], keys: Any, within: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(keys, dict):
        return
    for name, value in keys.items():
        fields = [field for model in models if (field := model.by_key().get(model.aliases.get(name, name))) is not None]
        kinds = [field.annotation for field in fields]
        nested = [each for kind in kinds if (each := section_of(kind) or section_in_list(kind)) is not None]
        if name == "rates" and RateGroupKeys in models:  # read before the other keys of the group
            nested = [RateKeys]
        is_text = bool(kinds) and all(_leaves(kind) <= _TEXTS for kind in kinds)
        for each in _items(value):
            if nested:
                yield from _numbers(tuple(nested), each, f"{within}{name}.")
            elif is_text and isinstance(each, int | float):
                yield within + name, each


def _items(value: Any) -> Iterable[Any]:
    """Return the values of a list, of those in it, too."""
    if not isinstance(value, list):
        return [value]
    return [inner for each in value for inner in _items(each)]


def _leaves(annotation: Any) -> set[Any]:
    """Return the types of single values."""
    if get_origin(annotation) is None:
        return {annotation} - {NoneType, Ellipsis}
    inner = get_args(annotation)
    return set().union(*map(_leaves, inner[:1] if get_origin(annotation) is Annotated else inner))
