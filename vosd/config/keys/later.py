"""Keys of capabilities that do not exist yet: writing one is an error that says so."""

from typing import Final

INSTALLATION: Final = frozenset(
    {
        "live_state", "media", "packages", "registrations", "security", "web", "workers",
    }
)  # fmt: skip
ACCOUNT: Final = frozenset({"packages"})
CALLER: Final = frozenset({"codecs", "dtmf", "encryption", "media"})
"""Capabilities of mapping gateways and phones that are not built yet."""
MAPPING_GATEWAY: Final = CALLER
PHONE: Final = CALLER | {"local_ring"}
ROUTING_GATEWAY: Final = frozenset(
    {"codecs", "dtmf", "encryption", "health", "loss_guard", "media"}
)  # fmt: skip
