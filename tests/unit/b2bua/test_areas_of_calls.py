"""The area of a call whose rate has none: that of another rate group, while its price is its own."""

from decimal import Decimal

import pytest
from doubles.data.builders import applied_rate, catalogue, mapping_gateway, rate_group, rating_policy
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway

from vosd.billing.named_areas import NamedTable
from vosd.billing.rate_group import RateGroup


@pytest.mark.parametrize(
    ("callee", "area", "prefix"),
    [("442079460000", "United Kingdom", "44"), ("447700900000", "UK mobile", "44"), ("4930901820", None, "*")],
)
def test_the_cdr_has_the_area_of_the_number_and_the_price_of_its_rate(callee, area, prefix):
    named = applied_rate("9", area="United Kingdom"), applied_rate("9", prefix="447", area="UK mobile")
    own = rate_group("sell", applied_rate("0.60"), applied_rate("1.20", prefix="*")).table
    table = NamedTable(own, rate_group("list", *named).table, "named")
    sell = RateGroup("sell", "USD", rating_policy(), table, table.version)
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, prefixes=("*",), allow_unrated=True)]
    scene = Scene(catalogue(gateways, rate_groups=[sell]))
    call = scene.caller.call(callee, Intent(hang_up_after_ms=60_000))
    scene.wire.run_until(lambda: call.is_over)
    record = scene.close()
    assert (record.rate_area, record.rate_prefix, record.rate_group) == (area, prefix, "sell")
    assert record.fee == (Decimal("0.60") if prefix == "44" else Decimal("1.20"))
