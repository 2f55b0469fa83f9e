"""Keys of capabilities that do not exist yet: writing one is an error that says so."""

from typing import Final

INSTALLATION: Final = frozenset(
    {
        "alarms", "api", "live_state", "media", "metrics", "packages", "registrations", "resume_within",
        "routing_plans", "security", "web", "workers",
    }
)  # fmt: skip
ACCOUNT: Final = frozenset(
    {
        "agent", "loss_guard", "minimum_consumption", "packages", "partner", "private_rate_group",
        "rate_selection", "rate_types", "routing_plan", "tax_exempt",
    }
)  # fmt: skip
CALLER: Final = frozenset({"codecs", "dtmf", "encryption", "media", "routing_plan"})
"""Of mapping gateways and phones."""
MAPPING_GATEWAY: Final = CALLER | {"loss_guard", "prefixes"}
PHONE: Final = CALLER | {"local_ring"}
ROUTING_GATEWAY: Final = frozenset(
    {
        "codecs", "denied_prefixes", "dtmf", "encryption", "health", "loss_guard", "media", "partner",
        "rate_group", "valid_from", "valid_to",
    }
)  # fmt: skip
