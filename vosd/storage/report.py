"""The columns of the view ``cdr_report``, which a migration has made: their order, and what they mean."""

from collections.abc import Mapping
from typing import Final

AGENTS: Final = 3
"""Levels of agents that have columns."""

_OF_CALL: Final = (
    "call_id", "export_seq", "node", "started_at", "ringing_at", "answered_at", "acknowledged_at", "vendor_answered_at",
    "ended_at", "mapping_gateway", "routing_gateway", "caller_in", "callee_in", "caller_out", "callee_out",
    "callee_billing", "forward_prefix", "routing_number", "source_address", "destination_address", "codec", "pdd_ms",
    "hold_time_ms", "hold_time_s", "hangup_source", "end_reason", "sip_code", "q850_cause", "reason_text",
    "customer_account", "currency", "billing_base_ms", "billed_seconds", "fee", "tax", "rate_group", "rate_prefix",
    "rate_area",
)  # fmt: skip
_OF_AGENT: Final = {
    "account": "account of the agent of level {level}",
    "currency": "currency of its charge",
    "rate_group": "rate group that it pays by",
    "rate_prefix": "prefix of that rate",
    "unit_price": "its billing rate",
    "price_per": "`minute` or `cycle`",
    "billed_seconds": "seconds that its charge covers",
    "fee": "its charge without tax",
    "tax": "tax on it",
}

REPORT: Final[Mapping[str, str | None]] = {
    **dict.fromkeys(_OF_CALL),
    "customer_unit_price": "the customer's billing rate, of a minute or of a cycle, in the currency of its rate group",
    "customer_price_per": "what that is the price of: `minute` or `cycle`",
    **dict.fromkeys(("vendor_account", "vendor_currency", "vendor_billing_base_ms", "vendor_paid_ms")),
    **dict.fromkeys(("vendor_billed_seconds", "cost", "cost_tax")),
    "vendor_rate_group": "rate group of the vendor's rate",
    "vendor_rate_prefix": None,
    "vendor_unit_price": "the vendor's billing rate",
    "vendor_price_per": "`minute` or `cycle`",
    "vendor_earned": "1 = `cost` was added to the balance of a partner that carried the call",
    **{
        f"agent{level}_{name}": meaning.format(level=level)
        for level in range(1, AGENTS + 1)
        for name, meaning in _OF_AGENT.items()
    },
    "attempts": "number of gateways tried; of earlier versions also those that were left out as too dear",
    "corrected": "how often a charge of the call was corrected; 0 = as rated",
}
"""Meanings by column; None = the meaning of the column of the same name in the CDR."""
