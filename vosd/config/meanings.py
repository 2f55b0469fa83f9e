"""Meanings of keys: the texts below the fields of a model, from its source."""

import ast

from vosd.config.reader.fields import Keys
from vosd.config.sources import statements_of, texts_below


def meanings_of(model: type[Keys]) -> dict[str, str | None]:
    """Return the meaning of each key: its field's description, or the text below the field in the source.

    The sources are read when the reference is written: with ``use_attribute_docstrings`` every start would read them.
    """
    texts = _texts_of(model)
    return {field.alias or name: field.description or texts.get(name) for name, field in model.model_fields.items()}


def sentence(text: str | None) -> str:
    """Return a meaning as one line, with names in single backquotes."""
    return " ".join((text or "").replace("``", "`").split())


def _texts_of(model: type[Keys]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not issubclass(each, Keys):
            continue
        (definition,) = statements_of(each)
        assert isinstance(definition, ast.ClassDef)
        found |= texts_below(definition)
    return found
