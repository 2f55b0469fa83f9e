"""Numbers of the inventory: from keys to the definitions of the catalogue."""

from typing import Final

from vosd.config.assembly.conversion import full_conversion
from vosd.config.keys.dids import DidKeys
from vosd.trunks.dids import Did

_DID: Final = full_conversion(DidKeys, Did)


def did_of(keys: DidKeys) -> Did:
    """Return an entry of the inventory."""
    return _DID(keys)
