"""Rates, policies and gateways with sensible defaults, so that a test names only what it is about."""

from decimal import Decimal
from ipaddress import ip_network
from typing import Any

from vosd.base.money import Rounding
from vosd.billing.rates import AppliedRate, Rate, RatingPolicy
from vosd.routing.tables import HostPattern, MappingGateway, RoutingGateway


def rating_policy(
    *,
    hold_time_precision_ms: int = 50,
    free_time_s: int = 0,
    fee_precision: int = 6,
    fee_unit: str | Decimal | None = None,
    rounding: Rounding = Rounding.HALF_UP,
    nonzero_floor: bool = False,
) -> RatingPolicy:
    """Make a policy with vosd's own defaults; the unit follows the precision unless given."""
    unit = Decimal(1).scaleb(-fee_precision) if fee_unit is None else Decimal(fee_unit)
    return RatingPolicy(hold_time_precision_ms, free_time_s, fee_precision, unit, rounding, nonzero_floor)


def applied_rate(
    billing_rate: str | Decimal = "0.60",
    billing_cycle: int = 1,
    *,
    prefix: str = "44",
    per_cycle: bool = False,
    first_rate: str | Decimal | None = None,
    first_duration: int = 0,
    tax_rate: str | Decimal = "0",
    policy: RatingPolicy | None = None,
) -> AppliedRate:
    """Make a rate as a call carries it; the default costs one cent a second."""
    rate = Rate(
        prefix=prefix,
        billing_rate=Decimal(billing_rate),
        billing_cycle=billing_cycle,
        per_cycle=per_cycle,
        first_rate=None if first_rate is None else Decimal(first_rate),
        first_duration=first_duration,
        tax_rate=Decimal(tax_rate),
    )
    return AppliedRate("sell", "v1", "USD", rate, policy or rating_policy())


def host_pattern(text: str) -> HostPattern:
    """Read ``network`` or ``network@port``: ``10.0.0.0/8``, ``10.0.0.1@5062``, ``2001:db8::/32``."""
    network, _, port = text.partition("@")
    return HostPattern(ip_network(network), int(port) if port else None)


def mapping_gateway(name: str, *hosts: str, tech_prefix: str = "", enabled: bool = True) -> MappingGateway:
    """Make a customer's trunk whose account has the trunk's name."""
    patterns = tuple(host_pattern(host) for host in hosts)
    return MappingGateway(name, account=name, hosts=patterns, tech_prefix=tech_prefix, enabled=enabled)


def routing_gateway(name: str, *prefixes: str, **terms: Any) -> RoutingGateway:
    """Make a vendor's trunk whose account has the trunk's name; ``terms`` are any other fields."""
    return RoutingGateway(name, account=name, addresses=(), prefixes=prefixes or ("*",), **terms)
