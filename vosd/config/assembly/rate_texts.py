"""Texts of cells of a rate file: each different one is read once, by the rule of its key."""

from collections.abc import Callable
from typing import Final, TypeVar

from vosd.base.errors import VosError
from vosd.config.keys.rates import RateKeys
from vosd.config.reader.fields import FromText

_REMEMBERED: Final = 200_000
"""Different texts of one column that are remembered."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class UnusualError(VosError):
    """A cell is not accepted, or is in a form that only the reading of whole rows knows."""


class Memory(dict[Key, Value]):
    """Results by argument; a new one is computed, which may raise ``UnusualError``."""

    def __init__(self, compute: Callable[[Key], Value]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, argument: Key) -> Value:
        value = self._compute(argument)
        if len(self) >= _REMEMBERED:
            self.clear()
        self[argument] = value
        return value


def _reader(name: str) -> Callable[[str], None]:
    """Return what checks a cell of a column as its key says; it raises ``UnusualError``."""
    rule = next(each for each in RateKeys.model_fields[name].metadata if isinstance(each, FromText))

    def read(text: str) -> None:
        try:
            rule.read(text)
        except (ValueError, KeyError) as error:
            raise UnusualError from error

    return read


ACCEPT: Final = {name: _reader(name) for name in ("area", "memo", "area_prefix")}
"""Checks of the cells of these columns."""
