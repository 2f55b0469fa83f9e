"""Keys of capabilities that do not exist yet: writing one is an error that says so."""

from typing import Final

INSTALLATION: Final = frozenset(
    {
        "alarms", "api", "calendars", "live_state", "media", "metrics", "number_lists",
        "number_pools", "packages", "registrations", "resume_within", "routing_plans", "security", "web", "workers",
    }
)  # fmt: skip
ACCOUNT: Final = frozenset(
    {
        "agent", "loss_guard", "minimum_consumption", "packages", "partner", "private_rate_group",
        "rate_selection", "rate_types", "routing_plan", "tax_exempt", "work_calendar",
    }
)  # fmt: skip
CALLER: Final = frozenset(
    {
        "callee_allow", "callee_deny", "callee_length", "callee_rewrite", "caller_allow", "caller_deny", "caller_pool",
        "caller_rewrite", "codecs", "dtmf", "encryption", "media", "routing_plan",
    }
)  # fmt: skip
"""Of mapping gateways and phones."""
MAPPING_GATEWAY: Final = CALLER | {
    "black_list", "lists", "loss_guard", "number_rules", "prefixes", "rewrite", "white_list",
}  # fmt: skip
PHONE: Final = CALLER | {"local_ring"}
ROUTING_GATEWAY: Final = frozenset(
    {
        "calendar", "callee_rewrite", "caller_pool", "caller_rewrite", "codecs", "denied_prefixes", "dtmf",
        "encryption", "health", "loss_guard", "media", "number_pool", "partner", "protect", "rate_group", "rewrite",
        "valid_from", "valid_to",
    }
)  # fmt: skip
