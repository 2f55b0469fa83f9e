"""Sections without mistakes are read key by key: pydantic looks at each key of a model, and few of 76 are given.

Sections with mistakes are left to pydantic, which says what is wrong, and so are those with sections inside.
"""

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple, TypeVar, get_args, get_origin

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from vosd.config.reader.fields import FromText, Keys, ValueForm

Model = TypeVar("Model", bound=Keys)
Kind = type[Any] | tuple[type[Any], ...]
Reads = tuple[Kind, Callable[[Any], object]]
"""Kind of value that is read, and what reads it."""
_COLLECTIONS: Final = (tuple, frozenset)
_FORMS_THAT_DIFFER: Final = {ValueForm.TEXT, ValueForm.MOMENT}
_KEPT_MAX: Final = 64
"""Values of a key that are kept with their texts: most objects have one of few limits, types or prices."""


class _Reading(NamedTuple):
    """Readers of the keys of a model."""

    by_key: Mapping[str, tuple[str, Kind, Callable[[Any], object]]]
    """The field with its reader; the other keys are left to pydantic."""
    required: frozenset[str]
    left_out: dict[str, Any]
    """Each field as it is without a key."""


def read_directly(model: type[Model], values: Mapping[str, Any]) -> Model | None:
    """Return what pydantic would make of the values of a section; None = it has to look at them."""
    reading = _reading_of(model)
    if reading is None or not reading.required <= values.keys():
        return None
    by_key, read_values, given = reading.by_key, reading.left_out.copy(), set[str]()
    try:
        for key, value in values.items():
            field, kind, read = by_key[key]
            if not isinstance(value, kind):
                return None
            read_values[field] = read(value)
            given.add(field)
        keys = model.__new__(model)  # as ``BaseModel.model_construct``, which looks at each value
        keep = object.__setattr__
        keep(keys, "__dict__", read_values)
        keep(keys, "__pydantic_fields_set__", given)
        keep(keys, "__pydantic_extra__", None)
        keep(keys, "__pydantic_private__", None)
        keys.model_post_init(None)
    except (KeyError, ValueError, OverflowError):
        return None
    return keys


@cache
def _reading_of(model: type[Keys]) -> _Reading | None:
    """Return how a model is read; None = not key by key."""
    fields, checked = model.model_fields, model.__pydantic_decorators__
    has_others = checked.validators or checked.field_validators or checked.root_validators or checked.model_validators
    if has_others or model.__private_attributes__ or not all(map(_is_constant, fields.values())):
        return None
    readers = ((each.alias or name, name, _reader_of(each)) for name, each in fields.items())
    return _Reading(
        {key: (name, *reads) for key, name, reads in readers if reads is not None},
        frozenset(each.alias or name for name, each in fields.items() if each.is_required()),
        {name: None if each.is_required() else each.default for name, each in fields.items()},
    )


def _is_constant(field: FieldInfo) -> bool:
    """Return whether a field is the same object wherever it is left out: pydantic copies one without a hash."""
    if field.default_factory is not None or field.validate_default:
        return False
    try:
        hash(field.default)
    except TypeError:
        return False
    return True


def _reader_of(field: FieldInfo) -> Reads | None:
    """Return what reads one value, or a list of them; None = pydantic does."""
    match field.metadata:
        case [FromText(kind=kind, read=read, shape=shape)]:
            # Text is not kept: it may be a secret, and names of objects differ.
            return kind, read if kind is not str or shape.form in _FORMS_THAT_DIFFER else lru_cache(_KEPT_MAX)(read)
        case []:
            return _list_reader(field.annotation, None)
        case [BeforeValidator() as before]:
            return _list_reader(field.annotation, before.func)
    return None


def _list_reader(annotation: object, before: Callable[..., Any] | None) -> Reads | None:
    """Return what reads a list of values of one kind."""
    collection, items = get_origin(annotation), get_args(annotation)
    if collection not in _COLLECTIONS or items[1:] not in {(), (...,)}:
        return None
    match get_args(items[0]):
        case [_, FromText(kind=kind, read=read_one)]:
            pass
        case _:
            return None

    def read(values: object) -> object:
        listed = values if before is None else before(values)
        if not isinstance(listed, list):
            raise ValueError
        for each in listed:
            if not isinstance(each, kind):
                raise ValueError
        return collection(map(read_one, listed))

    return object, read
