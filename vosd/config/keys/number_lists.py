"""``number_lists[]``: named lists of numbers, which trunks and phones refer to as ``list:NAME``."""

from pathlib import Path
from typing import Annotated

from vosd.config.reader.fields import KeyProblemError, Keys, choice, object_name, whole
from vosd.config.reader.files import file_path
from vosd.config.reader.number_rules import COMMA_SEPARATED, pattern
from vosd.config.reader.numbers import telephone_number
from vosd.routing.pools import EmptyPool, PoolMode


class NumberListKeys(Keys):
    """A named list of numbers and prefixes."""

    name: Annotated[str, object_name()]
    """Unique among the lists; it is used as ``list:NAME``."""
    patterns: Annotated[tuple[Annotated[str, pattern()], ...], COMMA_SEPARATED] = ()
    """Numbers, and prefixes with ``*`` at the end."""
    file: Annotated[Path | None, file_path()] = None
    """Instead of ``patterns``: a text file with one of them a line, relative to the file that names it. Empty lines and
    lines that begin with ``#`` are left out. It may have tens of millions of numbers: each takes 8 bytes of memory."""

    def _judge(self) -> None:
        if ("patterns" in self.model_fields_set) is (self.file is not None):
            raise KeyProblemError("patterns", "either patterns or file")


class NumberPoolKeys(Keys):
    """Numbers that calls show instead of the caller's own."""

    name: Annotated[str, object_name()]
    """Unique among the pools."""
    mode: Annotated[PoolMode, choice(PoolMode)] = PoolMode.POLL
    """``poll``: one after the other, then from the first again. ``random``: any."""
    numbers: Annotated[tuple[Annotated[str, telephone_number()], ...], COMMA_SEPARATED] = ()
    """The numbers, sent as they stand here."""
    file: Annotated[Path | None, file_path()] = None
    """Instead of ``numbers``: a text file with one number a line, relative to the file that names it."""
    reuse: Annotated[int, whole(1, 1_000_000, "calls")] = 1
    """Calls in a row that show the same number."""
    when_empty: Annotated[EmptyPool, choice(EmptyPool)] = EmptyPool.ORIGINAL
    """Without numbers, a call keeps its own calling number, or is refused; a routing gateway is left out then."""

    def _judge(self) -> None:
        if ("numbers" in self.model_fields_set) is (self.file is not None):
            raise KeyProblemError("numbers", "either numbers or file")
