"""Keys of capabilities that do not exist yet: writing one is an error that says so."""

from typing import Final

INSTALLATION: Final = frozenset(
    {
        "cards", "live_state", "packages", "registrations", "security", "web", "workers",
    }
)  # fmt: skip
ACCOUNT: Final = frozenset({"packages"})
ROUTING_GATEWAY: Final = frozenset({"health", "loss_guard"})
