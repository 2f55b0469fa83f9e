"""Models whose keys are declared by the fields of the gateways' structs (``vosd.trunks.keys``)."""

from typing import Annotated, Any, ClassVar

import msgspec
from pydantic import Field
from pydantic.fields import FieldInfo

from vosd.config.reader.fields import FromText, choice, limit, milliseconds, switch, whole
from vosd.config.reader.model import Keys
from vosd.trunks.keys import DeclaredKey, KeyForm, keys_of


class DeclaredKeys(Keys):
    """A model that has, behind its own keys, those that the fields of structs declare, and those of other models."""

    declared_by: ClassVar[tuple[type[msgspec.Struct], ...]] = ()
    shared: ClassVar[tuple[type[Keys], ...]] = ()
    """Models whose keys several others have."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Add the declared keys; raises TypeError where the model and a struct declare the same key."""
        for declared in keys_of(*cls.declared_by):
            if declared.name in cls.model_fields:
                raise TypeError(f"key {declared.name!r} of {cls.__name__} is declared twice")
            cls.model_fields[declared.name] = _field(declared)
        for name, field in ((name, field) for model in cls.shared for name, field in model.model_fields.items()):
            if name in cls.model_fields:
                raise TypeError(f"key {name!r} of {cls.__name__} is declared twice")
            cls.model_fields[name] = field


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
