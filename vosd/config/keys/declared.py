"""Models whose keys are declared by the fields of the gateways' structs (``vosd.trunks.keys``)."""

from typing import Annotated, Any, ClassVar

import msgspec
from pydantic import Field
from pydantic.fields import FieldInfo

from vosd.config.reader.fields import FromText, Keys, choice, limit, milliseconds, switch, whole
from vosd.trunks.keys import DeclaredKey, KeyForm, keys_of


class DeclaredKeys(Keys):
    """A model that has, behind its own keys, those that the fields of structs declare, then those of its bases."""

    declared_by: ClassVar[tuple[type[msgspec.Struct], ...]] = ()

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Add the declared keys; raises TypeError where the model and a struct declare the same key."""
        fields = dict(cls.model_fields)
        declared = {each.name: _field(each) for each in keys_of(*cls.declared_by)}
        if twice := fields.keys() & declared.keys():
            raise TypeError(f"key {min(twice)!r} of {cls.__name__} is declared twice")
        models = (each for each in cls.__mro__ if issubclass(each, Keys))
        own, *bases = ({name: fields[name] for name in each.__annotations__ if name in fields} for each in models)
        cls.model_fields.clear()
        for part in (own, declared, *bases):
            cls.model_fields.update(part)


def _field(declared: DeclaredKey) -> FieldInfo:
    annotation: Any = Annotated[declared.kind, _reading(declared)]
    default: Any = ... if declared.default is msgspec.NODEFAULT else declared.default
    return FieldInfo.from_annotated_attribute(annotation, Field(default, description=declared.key.meaning))


def _reading(declared: DeclaredKey) -> FromText:
    key = declared.key
    match key.form:
        case KeyForm.SWITCH:
            return switch()
        case KeyForm.WORD:
            return choice(declared.kind)
        case KeyForm.WHOLE:
            return whole(key.lowest, key.highest)
        case KeyForm.SECONDS:
            return milliseconds(key.lowest, key.highest)
        case KeyForm.LIMIT:
            return limit()
