"""Keys of capabilities that do not exist yet: writing one is an error that says so."""

from typing import Final

INSTALLATION: Final = frozenset(
    {
        "live_state", "packages", "registrations", "security", "web", "workers",
    }
)  # fmt: skip
ACCOUNT: Final = frozenset({"packages"})
MEDIA: Final = frozenset({"ice"})
"""Capabilities of all trunks and phones that are not built yet."""
MAPPING_GATEWAY: Final = MEDIA
PHONE: Final = MEDIA
ROUTING_GATEWAY: Final = MEDIA | {"health", "loss_guard"}
