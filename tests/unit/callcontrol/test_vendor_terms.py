"""Terms of vendors: what they are, how often they are looked up, and that a call is booked by those of its choice."""

from decimal import Decimal

import pytest
from doubles.data import builders
from doubles.data.builders import account, applied_rate, mapping_gateway, rating_policy, routing_gateway
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import SILENT, answers, refuses
from msgspec.structs import replace

from vosd.b2bua.snapshot.callee import ChoiceSnapshot
from vosd.base.clock import Instant
from vosd.billing.accounts import AccountType
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.callcontrol.explain import PassedOver, explain_routes
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.vendor_terms import LiveVendors, buy_rate
from vosd.catalogue.catalogue import Catalogue
from vosd.routing import pipeline
from vosd.routing.pipeline import RouteChoice, RouteRequest
from vosd.trunks.announcements import GatewaySound
from vosd.trunks.dialect import CalleeDialect, Redirects

NOW = 1_790_000_000_000
OTHER = "442071111111"


class CountedTable(RateRows):
    """A table that notes the numbers it is asked for."""

    def __init__(self, name: str, price: str) -> None:
        super().__init__([applied_rate(price).rate], f"{name}-1")
        self.name = name
        self.asked: list[str] = []

    def find(self, number, wall_ms):
        self.asked.append(number)
        return super().find(number, wall_ms)

    @property
    def group(self) -> RateGroup:
        return RateGroup(self.name, "USD", rating_policy(), self, self.version)


@pytest.fixture
def sell() -> CountedTable:
    return CountedTable("sell", "0.60")


@pytest.fixture
def buy() -> CountedTable:
    return CountedTable("buy", "0.30")


def content(*tables: CountedTable, redirects: Redirects = Redirects.REFUSE) -> Catalogue:
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    vendors = [vendor_gateway(index, dialect=CalleeDialect(redirects=redirects)) for index in range(3)]
    return builders.catalogue([customer, *vendors], rate_groups=[table.group for table in tables])


def call_of(scene: Scene):
    scene.whole_call(Intent(hang_up_after_ms=10_000))
    return scene.close()


def test_a_rate_is_looked_up_once_for_the_customer_and_for_each_vendor_that_is_tried(sell, buy):
    scene = Scene(content(sell, buy))
    scene.vendor.script, scene.vendors[1].script = refuses(503), answers(0)
    record = call_of(scene)
    assert [row.gateway for row in record.attempts] == ["vendor-0", "vendor-1"]
    assert (sell.asked, buy.asked) == ([CALLEE], [CALLEE, CALLEE])
    assert record.cost == Decimal("0.05")


def test_a_redirect_looks_up_the_number_that_it_leads_to_and_books_the_terms_of_the_dialled_one(sell, buy):
    scene = Scene(content(sell, buy, redirects=Redirects.FOLLOW))
    contact = f"Contact: <sip:{OTHER}@{VENDORS[1].host}:{VENDORS[1].port}>"
    scene.vendor.script, scene.vendors[1].script = refuses(302, headers=(contact,)), answers(0)
    record = call_of(scene)
    assert (record.callee_out, record.vendor_rate_prefix, record.cost) == (OTHER, "44", Decimal("0.05"))
    assert buy.asked == [CALLEE, OTHER]


def test_a_number_that_routing_rewrites_is_no_redirect_and_its_price_is_not_compared(sell, buy, monkeypatch):
    """A technical prefix for the vendor, which no rate of his begins with, may not make every attempt fail."""
    found = pipeline._search

    def rewritten(*given):
        return (replace(choice, callee_out=f"99{choice.callee_out}") for choice in found(*given))

    monkeypatch.setattr(pipeline, "_search", rewritten)
    scene = Scene(content(sell, buy))
    record = call_of(scene)
    assert (record.callee_out, record.sip_code, record.cost) == (f"99{CALLEE}", 200, Decimal("0.05"))
    assert buy.asked == [CALLEE]


@pytest.mark.parametrize("flag", ["is_redirected", "denies_prefix", "is_at_rest"])
@pytest.mark.parametrize("is_set", [False, True])
def test_a_restored_choice_has_the_flags_that_it_had(flag, is_set):
    gateway = routing_gateway("carrier")
    choice = RouteChoice(gateway, "44", "4420", "1000", applied_rate(), **{flag: is_set})
    assert ChoiceSnapshot.of(choice).restored({"carrier": gateway}) == choice


def test_a_vendor_that_is_tried_after_a_reload_is_paid_by_the_terms_of_the_catalogue_that_admitted_the_call(sell, buy):
    scene = Scene(content(sell, buy))
    scene.vendor.script, scene.vendors[1].script = SILENT, answers(0)
    call = scene.begun_call(Intent(hang_up_after_ms=10_000), after_ms=100)
    dearer = CountedTable("buy", "3.00")
    scene.exchange.switch.terms.swap(content(sell, dearer))
    record = scene.end_of(call)
    assert (record.routing_gateway, record.cost) == ("vendor-1", Decimal("0.05"))
    assert dearer.asked == []


def vendors_with(*rates, **terms) -> LiveVendors:
    group = builders.rate_group("buy", *(rates or (applied_rate(),)))
    accounts = [account("carrier", **{"rate_group": "buy", **terms})]
    catalogue = builders.catalogue([routing_gateway("carrier")], accounts=accounts, rate_groups=[group])
    return LiveVendors(catalogue, LiveState())


def test_a_phone_and_an_account_without_rate_group_have_no_terms():
    phone = routing_gateway("1001", account=None)
    assert vendors_with().terms(phone, "4420", NOW, "") is None
    assert vendors_with(rate_group=None).terms(routing_gateway("carrier"), "4420", NOW, "") is None


def test_vendors_are_compared_by_the_terms_by_which_they_are_booked():
    """Also where a gateway has rates of its own, and where there are none, as for an announcement."""
    groups = [builders.rate_group("buy", applied_rate("0.60")), builders.rate_group("own", applied_rate("0.30"))]
    usual = routing_gateway("usual", account="carrier")
    special = routing_gateway("special", account="carrier", rate_group="own")
    catalogue = builders.catalogue(
        [usual, special], accounts=[account("carrier", rate_group="buy")], rate_groups=groups
    )
    vendors = LiveVendors(catalogue, LiveState())
    tape = replace(usual, name="tape", sound=GatewaySound("other", 1, 480))
    gateways = [usual, routing_gateway("1001", account=None), special, tape]
    assert vendors.costs(gateways, "4420", NOW, lambda _gateway: "", catalogue.typical_prices.price, 60) == [
        Decimal("0.60"),
        None,
        Decimal("0.30"),
        None,
    ]
    halved = vendors.costs(gateways, "4420", NOW, lambda _gateway: "", lambda rate, _: rate.price_per_minute / 2, 60)
    assert halved == [Decimal("0.30"), None, Decimal("0.15"), None]  # as where prices are converted
    booked = [vendors.terms(each, "4420", NOW, "") for each in gateways]
    assert [each and each.group for each in booked] == ["buy", None, "own", None]


@pytest.mark.parametrize(
    ("price", "is_alike"),
    [
        ({"billing_rate": "0.60"}, True),
        ({"billing_rate": "0.60", "area": "Germany", "rate_type": "net"}, True),
        ({"billing_rate": "0.61"}, False),
        ({"billing_cycle": 6}, False),
    ],
)
def test_two_numbers_cost_alike_when_their_rates_differ_in_nothing_but_the_destination(price, is_alike):
    vendors = vendors_with(applied_rate("0.60", prefix="44"), applied_rate(prefix="49", **price))
    gateway = routing_gateway("carrier")
    redirected = RouteChoice(gateway, "*", "4930", "1000", vendors.terms(gateway, "4420", NOW, ""))
    assert vendors.charges_alike(redirected, NOW, "1000") is is_alike


def test_two_numbers_do_not_cost_alike_where_the_exchange_rate_is_another_one_by_now():
    vendors, gateway = vendors_with(applied_rate("0.60", prefix="4")), routing_gateway("carrier")
    then = replace(vendors.terms(gateway, "4420", NOW, ""), exchange_rate=Decimal("1.1"))
    assert not vendors.charges_alike(RouteChoice(gateway, "*", "4930", "1000", then), NOW, "1000")


@pytest.mark.parametrize(("callee", "is_alike"), [("4930", True), ("+4930", True), ("49,30", False), ("49+30", False)])
def test_a_number_that_the_vendor_may_read_otherwise_costs_what_no_rate_says(callee, is_alike):
    gateway = routing_gateway("carrier")
    for vendors, is_as_rated in (
        (vendors_with(applied_rate(prefix="4")), is_alike),
        (vendors_with(rate_group=None), True),
    ):
        redirected = RouteChoice(gateway, "*", callee, "1000", vendors.terms(gateway, "4420", NOW, ""))
        assert vendors.charges_alike(redirected, NOW, "1000") is is_as_rated


def test_a_number_without_rate_does_not_cost_what_a_rated_one_does():
    vendors = vendors_with(applied_rate(prefix="44"))
    gateway = routing_gateway("carrier")
    redirected = RouteChoice(gateway, "*", "3312", "1000", vendors.terms(gateway, "4420", NOW, ""))
    assert not vendors.charges_alike(redirected, NOW, "1000")


def test_a_choice_is_booked_by_its_terms_and_without_any_by_none():
    rate = applied_rate()
    assert buy_rate(RouteChoice(routing_gateway("carrier"), "*", "44", "1000", rate)) is rate
    assert buy_rate(RouteChoice(routing_gateway("carrier"), "*", "44", "1000")) is None
    assert buy_rate(None) is None


@pytest.mark.parametrize(
    ("callee", "rated", "allow_unrated", "why"),
    [
        ("331", "", True, ""),
        ("449012", "331", True, ""),
        ("449012", "", True, "the prefix is locked"),
        ("9449012", "449012", True, "the prefix is locked"),
        ("9449012", "449012", False, "the prefix is locked"),
        ("449012", "331", False, "vendor account carriers has none for 331"),
    ],
)
def test_no_call_is_sent_to_a_prefix_that_the_rates_of_the_vendor_have_locked(callee, rated, allow_unrated, why):
    """The number counts by which the call is rated."""
    vendor = routing_gateway("vendor", account="carriers", allow_unrated=allow_unrated)
    carriers = account("carriers", type=AccountType.CLEARING, rate_group="buy")
    rates = builders.rate_group("buy", applied_rate("0.30"), applied_rate("9.00", prefix="4490", locked=True))
    made = builders.catalogue([vendor], accounts=[carriers], rate_groups=[rates])
    live = LiveState(addresses_of=lambda gateway: gateway.addresses)
    request = RouteRequest(callee=callee, caller="", callee_rated=rated, at=Instant(60_000, NOW))
    found = explain_routes(request, made.routes, live.occupancy, live.rests, LiveVendors(made, live))
    assert bool(found.candidates) is not bool(why)
    assert found.left == ((PassedOver("vendor", f"no buy rate: {why}"),) if why else ())
