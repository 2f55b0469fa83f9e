"""Errors by which msgspec says that JSON cannot be decoded: it is damaged, or of another form than was expected."""

from typing import Final

import msgspec

UNDECODABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""The last two are errors of Python: of a text that is no UTF-8, and of too many brackets."""
