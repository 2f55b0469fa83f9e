"""The two forms of a state: that of the running object, and that of the journal.

A dialog, a transaction or a message has its state in one struct. Its type parameters are for what the two forms have
otherwise: text of peers is ``bytes`` in the journal, because it need not be UTF-8, sockets are named, and timers and
other objects are described. So a new field of a state is one line.
"""

from functools import cache
from inspect import get_annotations
from typing import Any, Final, TypeVar

import msgspec

Form = TypeVar("Form", bound=msgspec.Struct)

TextT = TypeVar("TextT")
PeerT = TypeVar("PeerT")
StemT = TypeVar("StemT")
PartsT = TypeVar("PartsT")
DialogT = TypeVar("DialogT")
DraftT = TypeVar("DraftT")
RetryT = TypeVar("RetryT")
TimerT = TypeVar("TimerT")

EMPTY: Final[Any] = ""
"""The default of a text."""
NOT_YET: Final[Any] = None
"""A field that has no value before the object begins, and always one after."""


def in_form(form: type[Form], state: msgspec.Struct, **otherwise: Any) -> Form:
    """Return a state in its other form, with its text turned; ``otherwise`` are fields that the two do not share."""
    texts = _texts_of(form)
    for name in form.__struct_fields__:
        if name not in otherwise and name in state.__struct_fields__:
            value = getattr(state, name)
            otherwise[name] = _turned(value) if name in texts and value is not None else value
    return form(**otherwise)


def _turned(text: str | bytes) -> str | bytes:
    if isinstance(text, str):
        return text.encode("utf-8", "surrogateescape")
    return text.decode("utf-8", "surrogateescape")


@cache
def _texts_of(form: type[msgspec.Struct]) -> frozenset[str]:
    """Return the fields that are declared as ``TextT``."""
    hints = [pair for each in form.__mro__ for pair in get_annotations(each).items()]
    return frozenset(name for name, hint in hints if hint is TextT or TextT in getattr(hint, "__parameters__", ()))
