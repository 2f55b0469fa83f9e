"""Numbers of the inventory: from keys to the definitions of the catalogue."""

from typing import Final

from vosd.config.assembly.conversion import full_conversion
from vosd.config.keys.dids import DidKeys
from vosd.trunks.dids import Did

did_of: Final = full_conversion(DidKeys, Did)
"""Returns an entry of the inventory."""
