"""Names of the lists of objects that may be long: a reader that does not need one of them leaves it out."""

from collections.abc import Mapping
from typing import Final

ACCOUNTS: Final = "accounts"
RATE_GROUPS: Final = "rate_groups"
GATEWAYS: Final[Mapping[str, str]] = {"mapping_gateways": "name", "routing_gateways": "name", "phones": "number"}
"""Lists of gateways and phones, and the key with the name in each."""
LISTS: Final = frozenset({ACCOUNTS, RATE_GROUPS, *GATEWAYS})
"""Lists that may be long."""
