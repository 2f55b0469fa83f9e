"""Text of peers as data: SIP headers need not be UTF-8, and bytes that are not stand in a text as lone surrogates.

No encoder takes lone surrogates. ``escaped`` is for what people read, ``portable`` for what is to come back unchanged.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

Thing = TypeVar("Thing")

REORDERING: Final = r"\u202a-\u202e\u2066-\u2069"
"""Characters by which a terminal shows the text behind them in another order, for the brackets of a pattern."""
_encode: Final = msgspec.json.Encoder().encode


def escaped(thing: object) -> Any:
    r"""Return a struct or what it consists of, as builtins, with everything escaped that is not UTF-8 (``\udcff``)."""
    return _escaped(msgspec.to_builtins(thing, builtin_types=(bytes, Decimal)))


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list | tuple) else value


def portable(thing: Thing) -> Thing:
    """Return a struct or tuple with text that every encoder takes; ``as_received`` returns it as it was.

    Text in ASCII stays as it is; any other is replaced by one character for each of its bytes.
    """
    if _is_ascii(thing):
        return thing
    changed: Thing = _with_text(thing, _as_bytes)
    return changed


def as_received(thing: Thing) -> Thing:
    """Return what was passed to ``portable``."""
    if _is_ascii(thing):
        return thing
    text: Thing = _with_text(thing, _as_text)
    return text


def _is_ascii(thing: object) -> bool:
    """Return whether all text in a thing is ASCII, as in nearly all calls: JSON leaves other text as it is."""
    try:
        return _encode(thing).isascii()
    except (UnicodeEncodeError, TypeError):
        return False


def _as_bytes(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _as_text(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", "surrogateescape")


def _with_text(value: Any, change: Callable[[str], str]) -> Any:
    """Return ``value`` with all text changed that is not ASCII; the same object where there is none."""
    if isinstance(value, str):
        return value if value.isascii() else change(value)
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        changes = {name: _with_text(each, change) for name, each in fields.items()}
        changes = {name: each for name, each in changes.items() if each is not fields[name]}
        return msgspec.structs.replace(value, **changes) if changes else value
    if isinstance(value, tuple):
        items = [_with_text(each, change) for each in value]
        if all(item is each for item, each in zip(items, value, strict=True)):
            return value
        return type(value)._make(items) if hasattr(value, "_make") else tuple(items)
    return value
