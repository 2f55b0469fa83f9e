"""A call as tools see it that route or rate the calls of a span again: the columns that this takes, and no others."""

from decimal import Decimal
from typing import Final, NamedTuple


class PastAgent(NamedTuple):
    """The charge of an agent above the customer of a stored call."""

    account: str
    level: int
    fee: Decimal
    tax: Decimal
    currency: str | None
    rate_group: str | None = None


class PastCorrection(NamedTuple):
    """The latest correction of a charge of a stored call."""

    role: str
    level: int
    reference: str


class PastCall(NamedTuple):
    """A stored call; the fields are the columns of the same names, times are UTC milliseconds."""

    call_id: str
    started_at: int
    mapping_gateway: str | None
    routing_gateway: str | None
    customer_account: str | None
    vendor_account: str | None
    currency: str | None
    vendor_currency: str | None
    caller_in: str
    callee_in: str
    caller_out: str | None
    callee_billing: str | None
    forward_prefix: str | None
    routing_number: str | None
    answered_at: int | None
    vendor_answered_at: int | None
    ended_at: int
    hold_time_ms: int
    billing_base_ms: int | None
    vendor_billing_base_ms: int | None
    fee: Decimal
    tax: Decimal
    cost: Decimal
    cost_tax: Decimal
    rate_group: str | None
    rate_prefix: str | None
    rate_area: str | None
    vendor_rate_prefix: str | None
    end_reason: str
    verstat: str | None = None
    caller_privacy: str | None = None
    caller_hidden: int | None = None
    vendor_paid_ms: int | None = None
    fee_breakdown: str = ""
    """Read on request only."""
    tried: tuple[str, ...] = ()
    """The gateways that were called, in order; read on request only."""
    agents: tuple[PastAgent, ...] = ()
    """From the customer's own on; read on request only."""
    corrections: tuple[PastCorrection, ...] = ()
    """One of each charge that was corrected; read on request only."""
    vendor_rate_group: str | None = None
    """By which the vendor is paid, as the charge has it; read on request only."""
    refusal: str = ""
    """The reason for which a call had no gateway, in words; read on request only."""

    @property
    def accounts(self) -> tuple[str | None, ...]:
        """The accounts that pay for the call or are paid: customer, vendor and, where they were read, agents."""
        return self.customer_account, self.vendor_account, *(agent.account for agent in self.agents)

    @property
    def talk_ms(self) -> int | None:
        """The milliseconds from the answer that the caller got; None = it got none."""
        return None if self.answered_at is None else self.hold_time_ms

    @property
    def vendor_talk_ms(self) -> int | None:
        """The milliseconds from the vendor's answer; None = it did not answer."""
        answered = self.vendor_answered_at
        return None if answered is None else max(0, self.ended_at - answered)

    @property
    def customer_ms(self) -> int | None:
        """The milliseconds that the customer is charged for; None = it is not charged."""
        return self.talk_ms if self.billing_base_ms is None else self.billing_base_ms

    @property
    def vendor_ms(self) -> int | None:
        """The milliseconds that the vendor charges; None = it does not."""
        return self.vendor_talk_ms if self.vendor_billing_base_ms is None else self.vendor_billing_base_ms


ALWAYS_READ: Final = PastCall._fields[: PastCall._fields.index("fee_breakdown")]
"""The columns of every call that is read."""
