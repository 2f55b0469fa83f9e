"""From the keys of a model to the struct that the switch uses: fields of the same name and type are copied.

Adding a key is adding a field with its documentation to the model and a field of the same name to the struct. A key
that no struct has, or that has another type there, must be named in a table of exceptions; ``require_all_used`` makes
a forgotten key an error when the module is imported.
"""

from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter, signature
from operator import is_, itemgetter
from types import UnionType
from typing import Any, Final, Generic, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import structs
from pydantic.fields import FieldInfo

from vosd.config.reader.fields import Keys

Target = TypeVar("Target")
StructTarget = TypeVar("StructTarget", bound=msgspec.Struct)

UNITS: Final = ("", "_ms", "_s")
"""Endings of the name of a struct's field, behind that of the key: durations name their unit in structs."""
_NOTHING: Final[Mapping[str, str]] = {}


class Conversion(Generic[Target]):
    """Makes a struct of a model's keys."""

    def __init__(
        self,
        model: type[Keys],
        target: Callable[..., Target],
        *,
        renamed: Mapping[str, str] = _NOTHING,
        by_hand: Mapping[str, str] = _NOTHING,
        is_shared: bool = False,
    ) -> None:
        """Find the field of each key.

        Args:
            model: the keys.
            target: a struct, dataclass or NamedTuple.
            renamed: fields of another name and the same type, by key.
            by_hand: by key, the fields whose values are passed to each call.
            is_shared: items of which nearly all have the same values, as where a part has its defaults, have one struct
                in common, which never changes.

        Raises:
            TypeError: a table names a key or a field that does not exist, or a field has another type than its key.
        """
        self.target: Final = target
        keys, fields = _types(model), get_type_hints(target)
        _require("key", (*renamed, *by_hand), keys, model)
        _require("field", (*renamed.values(), *by_hand.values()), fields, target)
        copied: dict[str, str] = {}
        """Key by field."""
        for key, kind in keys.items():
            names = [renamed[key]] if key in renamed else [f"{key}{unit}" for unit in UNITS]
            field = next((name for name in names if name in fields), None)
            if key in by_hand or field is None:
                continue
            if not _fits(kind, fields[field]):
                message = f"key {key!r} of {model.__name__} is {kind}, but field {field!r} is {fields[field]}"
                raise TypeError(f"{message}: give both one type, or name the key in by_hand")
            copied[field] = key
        self._model = model
        self._fields, self._keys = tuple(copied), tuple(copied.values())
        self._field_of = {key: field for field, key in copied.items()}
        self._read = _reader(tuple(copied.values()))
        self._by_hand = frozenset(by_hand.values())
        self._is_shared = is_shared
        self._last: tuple[tuple[Any, ...], tuple[object, ...], Target] | None = None
        """Values of the struct that was made last, if it is shared."""
        self._placed: dict[tuple[str, ...], _Placing | None] = {}
        """By the names of the values that are passed."""
        self._defaults = _constant_defaults(model, copied.values())
        self.used: Final = frozenset({*copied.values(), *by_hand})
        """The keys that end in a field."""
        self.fields: Final = frozenset({*copied, *self._by_hand})
        """The fields that keys end in."""

    def __call__(self, keys: Keys, **by_hand: object) -> Target:
        """Return the struct; ``by_hand`` are the values of fields that are not copied.

        Raises:
            TypeError: a value of the table is missing.
        """
        defaults = self._defaults
        is_left_out = defaults is not None and defaults.keys.isdisjoint(keys.__pydantic_fields_set__)
        values = defaults.values if defaults is not None and is_left_out else self._read(keys.__dict__)
        if not self._is_shared:
            return self._made(values, by_hand)
        others = (*by_hand, *by_hand.values())
        last = self._last
        # The same objects, not equal ones: Decimal("1") equals Decimal("1.0"), and True equals 1.
        if (
            last is not None
            and (values is last[0] or all(map(is_, values, last[0])))
            and len(others) == len(last[1])
            and all(map(is_, others, last[1]))
        ):
            return last[2]
        made = self._made(values, by_hand)
        self._last = values, others, made
        return made

    def usual(self, **by_hand: object) -> Target:
        """Return the struct of keys that are all left out, for ``varied``; a required one is None in it.

        Raises:
            TypeError: a key that is left out has not the same value each time, or a value of the table is missing.
        """
        fields = [self._model.model_fields[name] for name in self._keys]
        if not all(each.is_required() or _is_constant(each) for each in fields):
            raise TypeError(f"{self._model.__name__} has keys without constant defaults")
        return self._made(tuple(None if each.is_required() else each.default for each in fields), by_hand)

    def varied(self: "Conversion[StructTarget]", usual: StructTarget, keys: Keys, **by_hand: Any) -> StructTarget:
        """Return a struct of ``usual`` with the values that keys have, in a third of the time of making all anew."""
        values, field_of = keys.__dict__, self._field_of
        for key in keys.__pydantic_fields_set__:
            if key in field_of:
                by_hand[field_of[key]] = values[key]
        return structs.replace(usual, **by_hand)

    def _made(self, values: tuple[Any, ...], by_hand: dict[str, object]) -> Target:
        names = tuple(by_hand)
        try:
            placed = self._placed[names]
        except KeyError:
            if not self._by_hand <= by_hand.keys():
                missing = ", ".join(sorted(self._by_hand - by_hand.keys()))
                raise TypeError(f"values are missing: {missing}") from None
            placed = self._placed[names] = _placing(self.target, (*self._fields, *names))
        if placed is not None:
            order, left_out = placed
            return self.target(*order((*values, *by_hand.values(), *left_out)))
        by_hand.update(zip(self._fields, values, strict=True))
        return self.target(**by_hand)


def by_name(keys: str) -> dict[str, str]:
    """Return keys for ``by_hand``, which blanks separate and whose fields have their names."""
    return {each: each for each in keys.split()}


def require_all_used(model: type[Keys], *conversions: Conversion[Any], elsewhere: Mapping[str, str] = _NOTHING) -> None:
    """Check that every key of a model has an effect.

    Args:
        model: the keys.
        conversions: those that its keys pass through.
        elsewhere: keys that no conversion uses, and what they are used for.

    Raises:
        TypeError: a key has no field, or is named in ``elsewhere`` without need.
    """
    used = frozenset[str]().union(*(each.used for each in conversions))
    _require("key", elsewhere, _types(model), model)
    for key in model.model_fields:
        if key not in used and key not in elsewhere:
            message = f"key {key!r} of {model.__name__} has no effect: no struct has a field of that name"
            raise TypeError(f"{message}; add one, or name the key in a table of exceptions")
        if key in used and key in elsewhere:
            raise TypeError(f"key {key!r} of {model.__name__} is copied and named in elsewhere")


def full_conversion(
    model: type[Keys],
    target: Callable[..., Target],
    *,
    renamed: Mapping[str, str] = _NOTHING,
    by_hand: Mapping[str, str] = _NOTHING,
    elsewhere: Mapping[str, str] = _NOTHING,
    is_shared: bool = False,
) -> Conversion[Target]:
    """Return the only conversion of a model, whose keys all have an effect; arguments and errors as above."""
    made = Conversion(model, target, renamed=renamed, by_hand=by_hand, is_shared=is_shared)
    require_all_used(model, made, elsewhere=elsewhere)
    return made


class _Defaults(NamedTuple):
    """Values of keys that are all left out."""

    keys: frozenset[str]
    values: tuple[Any, ...]


def _constant_defaults(model: type[Keys], names: Iterable[str]) -> _Defaults | None:
    """Return what some keys are without a value; None = one has no default, or not the same object each time."""
    fields = [model.model_fields[name] for name in names]
    if any(each.is_required() or not _is_constant(each) for each in fields):
        return None
    return _Defaults(frozenset(names), tuple(each.default for each in fields))


def _is_constant(field: FieldInfo) -> bool:
    """Return whether a key that is left out has the same object each time: pydantic copies one without a hash."""
    if field.default_factory is not None:
        return False
    try:
        hash(field.default)
    except TypeError:
        return False
    return True


def _reader(names: tuple[str, ...]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """Return what reads values by name into a tuple."""
    if len(names) < 2:
        return lambda values: tuple(values[name] for name in names)
    return itemgetter(*names)


class _Placing(NamedTuple):
    """Order in which a struct takes its values without names, in a fraction of the time."""

    order: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    """Returns values in the order of the fields."""
    left_out: tuple[Any, ...]
    """Values of the fields that keep their defaults, behind those that are given."""


def _placing(target: Callable[..., object], given: tuple[str, ...]) -> _Placing | None:
    """Return how values of fields are passed in their order; None = they have to be passed by name."""
    parameters = [*signature(target).parameters.values()]
    while parameters and parameters[-1].name not in given:
        parameters.pop()
    order = [each.name for each in parameters]
    defaults = {name: default for name, default in _constants(target).items() if name in order and name not in given}
    names = [*given, *defaults]
    is_by_order = all(each.kind is Parameter.POSITIONAL_OR_KEYWORD for each in parameters)
    if len(names) < 2 or not is_by_order or sorted(names) != sorted(order):
        return None
    return _Placing(itemgetter(*map(names.index, order)), tuple(defaults.values()))


def _constants(target: Callable[..., object]) -> dict[str, Any]:
    """Return the defaults of a struct's fields that are one object for all structs."""
    if not (isinstance(target, type) and issubclass(target, msgspec.Struct)):
        return {}
    return {each.name: each.default for each in msgspec.structs.fields(target) if each.default is not msgspec.NODEFAULT}


def _types(model: type[Keys]) -> dict[str, Any]:
    """Return the types of the keys, without what says how each is read."""
    annotations = {name: field.annotation for name, field in model.model_fields.items()}
    return get_type_hints(type(model.__name__, (), {"__annotations__": annotations}))


def _fits(kind: Any, field: Any) -> bool:
    """Return whether every type of a key is one of its field."""
    return kind == field or _members(kind) <= _members(field)


def _members(kind: Any) -> set[Any]:
    return set(get_args(kind)) if get_origin(kind) in {Union, UnionType} else {kind}


def _require(what: str, names: Iterable[str], known: Iterable[str], owner: Callable[..., object]) -> None:
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise TypeError(f"no {what} {', '.join(unknown)} in {owner.__name__}")
