"""Declarations of the keys of objects, for programs that draw forms: the same models as the reference is made of."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from msgspec.structs import replace
from pydantic.fields import FieldInfo

from vosd.admin.office.ports import KeySheet, ObjectKindSheet
from vosd.catalogue.problems import is_secret
from vosd.catalogue.stored_objects import KINDS
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.keys.rates import RateKeys
from vosd.config.meanings import meanings_of, sentence
from vosd.config.reader.fields import Keys, ValueForm, ValueShape
from vosd.config.reader.reading import reading_of, section_in_list, section_of
from vosd.config.text_values import MODELS_OF

_FORMS: Final[Mapping[object, str]] = {dict: "map", list: "pair", (str, dict): "text_or_map"}
"""Forms of values that are no text."""
_APART: Final[Mapping[str, ValueShape]] = {
    "template": ValueShape(names="templates"),
    "deck": ValueShape(ValueForm.SWITCH, choices=("yes", "no")),
}
"""Shapes of keys that are read before their section is validated."""
_TEMPLATES: Final = "templates"


@cache
def key_sheets(kind: str) -> ObjectKindSheet:
    """Return the keys of a kind of object, as it is in ``stored_objects.KINDS``."""
    if kind == "parameters":
        return ObjectKindSheet(
            kind=kind, meaning=sentence(ParameterKeys.__doc__), named=None, keys=_keys(ParameterKeys)
        )
    models, name_key = MODELS_OF[kind], KINDS[kind]
    if kind == _TEMPLATES:
        names = {KINDS[each] for each in KINDS}
        found: dict[str, KeySheet] = {}
        for model in models:
            for each in _keys(model):
                found.setdefault(each.name, each)
        keys = tuple(replace(each, required=False) for each in found.values() if each.name not in {*names, "template"})
        return ObjectKindSheet(kind=kind, meaning="Keys that objects take by `template`.", named=None, keys=keys)
    (model,) = models
    keys = _keys(model)
    return ObjectKindSheet(
        kind=kind,
        meaning=sentence(model.__doc__),
        named=next(each for each in keys if each.name == name_key),
        keys=tuple(each for each in keys if each.name != name_key),
    )


def _keys(model: type[Keys]) -> tuple[KeySheet, ...]:
    meanings = meanings_of(model)
    declared = (_sheet(name, field, sentence(meanings[name])) for name, field in model.by_key().items())
    return (*declared, *_apart(model))


def _apart(model: type[Keys]) -> Iterator[KeySheet]:
    for name, meaning in model.apart.items():
        if name == "rates":
            yield KeySheet(
                name=name, meaning=sentence(meaning), form="keys", many=True, required=False, keys=_keys(RateKeys)
            )
        else:
            yield _single(name, sentence(meaning), _APART.get(name, ValueShape()))


def _sheet(name: str, field: FieldInfo, meaning: str) -> KeySheet:
    nested, item = section_of(field.annotation), section_in_list(field.annotation)
    model = nested or item
    if model is not None:
        return KeySheet(
            name=name,
            meaning=meaning or sentence(model.__doc__),
            form="keys",
            many=nested is None,
            required=field.is_required(),
            keys=_keys(model),
        )
    many, reading = reading_of(field)
    has_one = field.default_factory is None and not field.is_required() and field.default not in {None, ""}
    values = () if not has_one else field.default if many else (field.default,)
    return _single(
        name,
        meaning,
        reading.shape,
        form=_FORMS.get(reading.kind, ""),
        many=many,
        required=field.is_required(),
        expected=reading.expected,
        default=tuple(map(reading.write, values)),
    )


def _single(
    name: str,
    meaning: str,
    shape: ValueShape,
    *,
    form: str = "",
    many: bool = False,
    required: bool = False,
    expected: str = "",
    default: tuple[str, ...] = (),
) -> KeySheet:
    return KeySheet(
        name=name,
        meaning=meaning,
        form=form or ("secret" if is_secret(name) else shape.form.value),
        many=many,
        required=required,
        expected=expected,
        default=default,
        lowest=shape.lowest,
        highest=shape.highest,
        unit=shape.unit,
        choices=shape.choices,
        names=shape.names,
    )
