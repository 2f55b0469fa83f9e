"""Errors by which the standard library says that compressed content is damaged."""

import lzma
import sys
import zlib
from typing import Final
from zipfile import BadZipFile

if sys.version_info >= (3, 14):  # archives may have Zstandard there
    from compression.zstd import ZstdError

    _LATER: Final = (ZstdError,)
else:
    _LATER: Final = ()

UNZIPPABLE: Final = (BadZipFile, EOFError, ValueError, RuntimeError, lzma.LZMAError, zlib.error, *_LATER)
"""One wrong bit makes a member of an archive one that is encrypted, of a later version or compressed in another way."""
