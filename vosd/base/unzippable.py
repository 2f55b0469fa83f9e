"""Errors by which the standard library says that compressed content is damaged."""

import lzma
import zlib
from typing import Final
from zipfile import BadZipFile

UNZIPPABLE: Final = (BadZipFile, EOFError, ValueError, RuntimeError, lzma.LZMAError, zlib.error)
"""One wrong bit makes a member of an archive one that is encrypted, of a later version or compressed in another way."""
