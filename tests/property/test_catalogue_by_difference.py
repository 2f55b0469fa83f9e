"""A catalogue made by difference equals the one that is built as a whole, whatever was edited between."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from doubles.exploring import examples
from hypothesis import example, given, settings, strategies as st

from vosd.billing.ports import Rates
from vosd.catalogue.catalogue import Catalogue, Changes
from vosd.catalogue.problems import ConfigError
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import Loaded, load
from vosd.routing.route_table import RouteTable

HEAD = """\
sip: {realm: $realm}
templates:
  big: {max_concurrent: $limit, currency: USD}
rate_groups:
  - {name: sell, rates: [{prefix: "44", billing_rate: "0.012"}]}
  - {name: buy, currency: $currency, rates: [{prefix: "$bought", billing_rate: "0.008"}]}
destination_classes:
  - {name: premium, prefixes: "4490"}
"""
INCLUDE = "include: [a.yaml, b.yaml]\n"


class Item(NamedTuple):
    """An item of a list as written, without hyphen."""

    list_name: str
    text: str


ACCOUNTS = st.builds(
    "{{id: {}, {}}}".format,
    st.sampled_from(["a1", "a2", "a3", "a4"]),
    st.sampled_from(
        [
            "rate_group: sell", "rate_group: buy", "rate_group: gone", "template: big", "max_cps: 3", "max_cps: x",
            "max_cps: '${LIMIT}'", "template: none", "routing_plan: p", "expires: 2030-01-01",
        ]
    ),
)  # fmt: skip
LONG_ACCOUNTS = st.builds(
    'id: {}\n    # a - comment\n    rate_group: "{}\\\n    ll"'.format,
    st.sampled_from(["a1", "a5", "a7", "a8"]),
    st.sampled_from(["se", "sa"]),
)
TRUNKS = st.builds(
    "{{name: {}, account: {}, hosts: {}{}}}".format,
    st.sampled_from(["m1", "m2", "m3"]),
    st.sampled_from(["a1", "a2", "a5"]),
    st.sampled_from(["192.0.2.1", "192.0.2.2", "[192.0.2.3, 192.0.2.4]"]),
    st.sampled_from(["", ", tech_prefix: 99", ", enabled: no", ", auth: {username: u, password: secret}"]),
)
VENDORS = st.builds(
    "{{name: {}, account: {}, address: {}{}}}".format,
    st.sampled_from(["v1", "v2"]),
    st.sampled_from(["a1", "a2", "a5"]),
    st.sampled_from(["192.0.2.8", "'[2001:db8::1]'"]),
    st.sampled_from(["", ", allow_unrated: yes", ", interface: 'udp:192.0.2.77:5060'", ", prefixes: from_rates"]),
)
PHONES = st.builds(
    "{{number: '{}', account: a1, password: {}}}".format,
    st.sampled_from(["1", "+1", "2", "m1"]),
    st.sampled_from(["long-enough-1", "long-enough-2"]),
)
ITEMS = st.one_of(
    st.builds(Item, st.just("accounts"), ACCOUNTS | LONG_ACCOUNTS),
    st.builds(Item, st.just("mapping_gateways"), TRUNKS),
    st.builds(Item, st.just("routing_gateways"), VENDORS),
    st.builds(Item, st.just("phones"), PHONES),
)
ODD = st.sampled_from(
    [
        "", "", "", "", "# only a comment\n", "phones: []\n", "accounts:\n", "accounts: [{id: a9}]\n",
        "accounts:\n  - \"a\n  - {id: a8}\"\n", "accounts:\n  -\n    id: a7\n",
        "node: 'x\naccounts:\n  - {id: a6}\n  '\n", "accounts:\n  - {id: a6, name: 'b\n  - c'}\n",
        "accounts:\n- {id: a6}\n- {id: a7}\n", "accounts:\n  - &x {id: a6}\n", "accounts:\n  - {id: a6}\n - {id: a7}\n",
        "accounts:\n  - [a, b]\n", "accounts:\n  - {id: a6\n", "---\nnode: y\n", "accounts:\n  - id: a6\n\n\nnode: w\n",
        "accounts:  # here\n\n  # there\n  - {id: a6}\n\n  - {id: a7}\nnode: z\n", "accounts:\n  - {id: !x a6}\n",
    ]
)  # fmt: skip


SOUND = {
    "accounts": {
        "a1": ["rate_group: sell", "template: big, rate_group: sell", "max_cps: '${LIMIT}', rate_group: sell"],
        "a2": ["rate_group: sell", "rate_group: sell, denied_prefixes: ['1', '2']", "max_cps: 4, rate_group: sell"],
        "a5": ["rate_group: buy", "rate_group: buy, max_concurrent: 7"],
        "a6": ["max_cps: 3", ""],
    },
    "mapping_gateways": {
        "m1": ["account: a1, hosts: 192.0.2.1", "account: a6, hosts: 192.0.2.1"],
        "m2": ["account: a2, hosts: [192.0.2.2, 192.0.2.12], tech_prefix: 99", "account: a2, hosts: 192.0.2.13"],
        "m3": ["account: a2, auth: {username: u, password: secret-word}", "account: a1, hosts: 192.0.2.0/25"],
    },
    "routing_gateways": {
        "v1": ["account: a5, address: 192.0.2.8", "account: a5, address: '[2001:db8::1]'"],
        "v2": ["account: a5, address: 192.0.2.9, prefixes: from_rates", "account: a5, address: 192.0.2.9, priority: 3"],
    },
    "phones": {"1001": ["account: a1, password: long-enough-1", "account: a2, password: long-enough-2"]},
}
"""Items that go together, in every form of each."""
NEEDED = {"a1", "a2", "a5", "a6"}
NAME_KEYS = {"accounts": "id", "phones": "number"}


def sound_items() -> st.SearchStrategy[list[Item]]:
    """Draw each item in one of its forms, or none where no other needs it."""
    each = [
        st.sampled_from(
            [
                *(Item(kind, f"{{{NAME_KEYS.get(kind, 'name')}: '{name}', {form}}}") for form in forms),
                *([] if name in NEEDED else [None]),
            ]
        )
        for kind, named in SOUND.items()
        for name, forms in named.items()
    ]
    return st.tuples(*each).map(lambda drawn: [item for item in drawn if item is not None]).flatmap(st.permutations)


class Edition(NamedTuple):
    """All files at one time."""

    main: list[Item]
    other: list[Item]
    odd: str
    realm: str
    limit: int
    currency: str
    bought: str = "44"


def few(strategy: st.SearchStrategy[list[Item]]) -> st.SearchStrategy[list[Item]]:
    return st.integers(0, 5).flatmap(lambda number: st.just([]) if number else strategy)


EDITIONS = st.builds(
    lambda items, cut, bad, other_bad, *rest: Edition([*items[:cut], *bad], [*items[cut:], *other_bad], *rest),
    sound_items(),
    st.integers(0, 10),
    few(st.lists(ITEMS, max_size=2)),
    few(st.lists(ITEMS, max_size=1)),
    st.integers(0, 4).flatmap(lambda number: st.just("") if number else ODD),
    st.sampled_from(["vosd", "vosd", "vosd", "vosd", "other"]),
    st.sampled_from([5, 5, 5, 5, 6]),
    st.sampled_from(["USD"] * 9 + ["EUR"]),
    st.sampled_from(["44", "44", "7"]),
)


def text_of(items: list[Item], indent: str) -> str:
    lists: dict[str, list[str]] = {}
    for item in items:
        lists.setdefault(item.list_name, []).append(item.text)
    return "".join(f"{name}:\n" + "".join(f"{indent}- {text}\n" for text in texts) for name, texts in lists.items())


def write(directory: Path, edition: Edition) -> None:
    head = HEAD.replace("$realm", edition.realm).replace("$limit", str(edition.limit))
    head = head.replace("$currency", edition.currency).replace("$bought", edition.bought)
    (directory / "vosd.yaml").write_text(head + INCLUDE + text_of(edition.main, "  "))
    (directory / "a.yaml").write_text(text_of(edition.other, "") or "# nothing\n")
    (directory / "b.yaml").write_text(edition.odd or "# nothing\n")


def outcome(act: Callable[[], Loaded]) -> object:
    """Return everything that a load gives, to be compared."""
    try:
        loaded = act()
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    catalogue = loaded.catalogue
    return (
        {field.name: COMPARED[field.name](getattr(catalogue, field.name)) for field in fields(Catalogue)},
        [str(problem) for problem in loaded.problems],
        dict(loaded.account_places),
        loaded.settings,
        loaded.texts,
    )


def in_order(things: Mapping[str, object]) -> object:
    return [*things.items()]


def as_set(things: Mapping[str, object]) -> object:
    return dict(things)


def rates(things: Mapping[str, Rates]) -> object:
    return {name: (each.name, type(each), price_of(each)) for name, each in things.items()}


def price_of(rates: Rates) -> Decimal | None:
    found = rates.find("4420", 1_800_000_000_000)
    return None if found is None else found.rate.billing_rate


def routes(table: RouteTable) -> object:
    return [[each.gateway for each in table.candidates(number)] for number in ("441", "1001", "771", "9")]


COMPARED: dict[str, Callable[[Any], object]] = {
    "version": str,
    "accounts": as_set,
    "rate_groups": lambda groups: {name: (group.version, price_of(group)) for name, group in groups.items()},
    "mapping_gateways": as_set,
    "routing_gateways": in_order,
    "sources": lambda index: {host: {each.name for each in index.gateways_at(host)} for host in HOSTS},
    "user_sources": lambda index: index and {host: index.knows(host, 5060) for host in HOSTS},
    "routes": routes,
    "parameters": lambda parameters: parameters,
    "phones": in_order,
    "mailboxes": as_set,
    "calendars": list,
    "plans": lambda plans: {name: routes(table) for name, table in plans.items()},
    "users": as_set,
    "domains": as_set,
    "overridden": as_set,
    "called_trunks": as_set,
    "gateway_groups": as_set,
    "dids": lambda table: None if table is None else [table.find(number) for number in ("4420", "1001")],
    "number_lists": list,
    "number_pools": list,
    "incoming": lambda found: {
        name: [rules.objection(each, "") for each in ("4420", "4421", "9")] for name, rules in found.items()
    },
    "outgoing": set,
    "sections": lambda found: {name: [each.owner for each in sections] for name, sections in found.items()},
    "period_rates": as_set,
    "customer_rates": rates,
    "account_rates": rates,
    "vendor_rates": rates,
    "agents": as_set,
    "currencies": lambda currencies: currencies.begins_at("EUR", "USD"),
    "destinations": lambda destinations: [destinations.of(number) for number in ("4490", "44", "9")],
    "limits_codecs": lambda _: None,  # stays when the trunk with codecs is gone
    "typical_prices": lambda _: None,  # kept as they are asked for
    "changes": lambda _: None,  # what this catalogue was made of
}
"""How each field is compared. A new one that depends on accounts or gateways is made in ``by_difference``, too."""


HOSTS = ["192.0.2.1", "192.0.2.2", "192.0.2.12", "192.0.2.13", "192.0.2.77", "198.51.100.7", "198.51.100.8", "10.0.0.1"]
SAME = Edition([Item("accounts", "{id: a1, max_cps: 3}")], [], "", "vosd", 5, "USD")
PAIRED = SAME._replace(
    main=[
        Item("accounts", "{id: a5, rate_group: buy}"),
        Item("routing_gateways", "{name: v2, account: a5, address: 192.0.2.9, prefixes: from_rates}"),
    ]
)


@settings(max_examples=examples(20, 150), deadline=None)
@given(st.lists(EDITIONS, min_size=2, max_size=4))
@example([SAME, SAME._replace(main=[*SAME.main, Item("accounts", "{id: a1, max_cps: 4}")]), SAME])
@example([SAME, SAME._replace(odd="accounts: [{id: a9}]\n"), SAME._replace(odd="accounts: [{id: a1}]\n")])
@example([SAME, SAME._replace(main=[], other=SAME.main), SAME._replace(main=[], other=[])])
@example([PAIRED, PAIRED._replace(bought="7"), PAIRED])
@example([SAME, SAME._replace(odd="node: 'x\naccounts:\n  - {id: a1, max_cps: 3}\n  '\n")])
def test_every_edition_gives_the_same_as_when_it_is_read_alone(tmp_path_factory, editions: list[Edition]) -> None:
    directory = tmp_path_factory.mktemp("edited")
    remembered = Remembered()
    environ = {"LIMIT": "1"}
    for number, edition in enumerate(editions):
        environ["LIMIT"] = str(number + 1)
        write(directory, edition)
        by_difference = outcome(lambda: load(directory / "vosd.yaml", environ, remembered=remembered))
        assert by_difference == outcome(lambda: load(directory / "vosd.yaml", environ))


CUSTOMERS = """\
exchange_rates:
  - {base: EUR, quote: USD, rate: "1.08"}
rate_groups:
  - {name: sell, rates: [{prefix: "44", billing_rate: "$price"}]}
  - {name: other, rates: [{prefix: "44", billing_rate: "0.011"}]}
  - {name: euro, currency: EUR, rates: [{prefix: "44", billing_rate: "0.008"}]}
number_lists:
  - {name: bad, patterns: ["4420*"]}
destination_classes:
  - {name: premium, prefixes: "4490"}
routing_plans:
  - {name: some, gateways: [v1]}
  - {name: none, gateways: [v2]}
  - {name: both, gateways: pair}
gateway_groups:
  - {name: pair, gateways: [v1, v4]}
routing_gateways:
  - {name: v1, account: vendor, address: 192.0.2.8}
  - {name: v2, account: unrated, address: 192.0.2.9}
  - {name: v3, account: vendor, prefixes: "7", dynamic: {username: v3, password: long-enough-3}}
  - {name: v4, account: vendor, prefixes: from_rates, address: 192.0.2.10}
phones:
  - {number: "1001", account: top, password: long-enough-1}
"""
FORMS_OF_ACCOUNTS = [
    "rate_group: sell", "rate_group: sell, max_cps: 3", "rate_group: euro", "currency: USD", "rate_group: gone",
    "rate_group: sell, agent: top", "rate_group: sell, agent: c1", "rate_group: sell, agent: c2, denied_prefixes: '1'",
    "rate_group: sell, denied_prefixes: '7'", "rate_group: sell, private_rate_group: other", "agent: top",
    "rate_group: sell, routing_plan: some", "rate_group: euro, routing_plan: none", "currency: GBP, routing_plan: both",
    "rate_group: sell, fee_precision: 3",
    "rate_group: sell, destination_limits: [{destination: premium}]",
    "rate_group: sell, destination_limits: [{destination: gone}]",
    "rate_group: sell, max_cps: '${LIMIT}'", "type: clearing, rate_group: sell", "rate_group: sell, spend_limits: []",
]  # fmt: skip
FORMS_OF_TRUNKS = [
    "hosts: 198.51.100.7", "hosts: 198.51.100.7, tech_prefix: '99'", "hosts: [198.51.100.8, 192.0.2.77]",
    "hosts: 198.51.100.0/22", "hosts: 10.0.0.0/8", "auth: {username: u1, password: long-enough-1}",
    "auth: {username: u2, password: long-enough-2}, hosts: 198.51.100.7", "hosts: 192.0.2.13, enabled: no",
    "auth: {username: u1, password: long-enough-1, domain: a.example}", "hosts: 192.0.2.12, rate_group: other",
    "hosts: 192.0.2.1, callee_deny: 'list:bad'", "hosts: 192.0.2.2, callee_deny: ['list:bad', '44*']",
    "hosts: 192.0.2.1, routing_plan: some", "hosts: 192.0.2.2, private_rate_group: other",
    "auth: {username: u3, password: '${SECRET}'}", "hosts: 192.0.2.2, gateways_allow: v1",
    "hosts: pbx.example", "hosts: [192.0.2.14, PBX.example.]", "hosts: 'pbx.example:5070'",
]  # fmt: skip
KEPT = [
    "top, rate_group: sell", "vendor, type: clearing, rate_group: sell", "unrated, type: clearing",
    "base, rate_group: sell", "led, rate_group: sell, agent: chief",
]  # fmt: skip
CHIEFS = [
    "rate_group: sell", "rate_group: sell, sub_rate_groups: sell", "rate_group: sell, sub_rate_groups: [sell, other]",
    "rate_group: sell, agent: top", "rate_group: sell, max_cps: 7",
]  # fmt: skip
"""Forms of an agent above ``led``."""


class Customers(NamedTuple):
    """What a carrier changes every day."""

    kept: list[str]
    accounts: dict[str, str]
    """The form of each by name, in the order of the file."""
    trunks: dict[str, tuple[str, str]]
    """The account and the form of each."""
    price: str = "0.012"
    chief: str = CHIEFS[0]


def drawn(names: list[str], forms: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """Draw some names in any order, with a form each."""
    some = st.lists(st.sampled_from(names), unique=True)
    return some.flatmap(lambda those: st.fixed_dictionaries(dict.fromkeys(those, forms)))


NEVER_WRONG = ["rate_group: sell", "rate_group: sell, max_cps: 3", "rate_group: sell, private_rate_group: other"]
DAYS = st.builds(
    Customers,
    st.permutations(KEPT),
    drawn(["c1", "c2", "c3", "c4"], st.sampled_from(NEVER_WRONG) | st.sampled_from(FORMS_OF_ACCOUNTS)),
    drawn(
        ["t1", "t2", "t3", "t4", "1001", "v3"],
        st.tuples(
            st.sampled_from(["base", "base", "base", "led", "c1", "c2", "top"]), st.sampled_from(FORMS_OF_TRUNKS)
        ),
    ),
    st.sampled_from(["0.012", "0.013"]),
    st.sampled_from(CHIEFS),
)


def one_change(days: list[Customers]) -> list[Customers]:
    """Return the days with one account or gateway less on each, and again with it."""
    found = []
    for day in days:
        fewer = day._replace(trunks=dict([*day.trunks.items()][:-1]))
        found += [day, day._replace(accounts=dict([*day.accounts.items()][1:])), fewer, day._replace(price="0.014")]
        found += [day, day._replace(chief=CHIEFS[1])]
    return found


def written(day: Customers) -> str:
    accounts = [*day.kept, f"chief, {day.chief}", *(f"{name}, {form}" for name, form in day.accounts.items())]
    trunks = [f"{name!r}, account: {account}, {form}" for name, (account, form) in day.trunks.items()]
    return (
        CUSTOMERS.replace("$price", day.price)
        + "accounts:\n"
        + "".join(f"  - {{id: {each}}}\n" for each in accounts)
        + ("mapping_gateways:\n" if trunks else "")
        + "".join(f"  - {{name: {each}}}\n" for each in trunks)
    )


BASE = Customers(
    KEPT, {"c1": "rate_group: sell"}, {"t1": ("c1", FORMS_OF_TRUNKS[0]), "t2": ("base", FORMS_OF_TRUNKS[3])}
)
LED = BASE._replace(trunks={"t3": ("led", "hosts: 192.0.2.2, private_rate_group: other")})


@settings(max_examples=15, deadline=None)
@given(st.lists(DAYS, min_size=1, max_size=3).map(one_change))
@example([BASE, BASE._replace(accounts={"c1": FORMS_OF_ACCOUNTS[2]})])
@example([BASE, BASE._replace(accounts={"c2": FORMS_OF_ACCOUNTS[0], **BASE.accounts}), BASE])
@example([BASE, BASE._replace(trunks={"t3": ("c1", FORMS_OF_TRUNKS[5]), **BASE.trunks}), BASE])
@example([BASE, BASE._replace(accounts={"c1": "currency: GBP, routing_plan: both"})])
@example([LED, LED._replace(chief=CHIEFS[1]), LED, LED._replace(chief=CHIEFS[2])])
def test_customers_that_change_give_the_same_as_when_all_is_read(tmp_path_factory, days: list[Customers]) -> None:
    path = tmp_path_factory.mktemp("days") / "vosd.yaml"
    remembered = Remembered()
    for number, day in enumerate(days):
        environ = {"LIMIT": str(1 + number % 2), "SECRET": "long-enough-secret"}
        path.write_text(written(day))
        by_difference = outcome(lambda: load(path, environ, remembered=remembered))  # noqa: B023
        assert by_difference == outcome(lambda: load(path, environ))  # noqa: B023


def test_a_new_account_with_its_trunk_is_all_that_is_looked_at(tmp_path: Path) -> None:
    path, remembered = tmp_path / "vosd.yaml", Remembered()
    path.write_text(written(BASE))
    before = load(path, {}, remembered=remembered).catalogue
    more = BASE._replace(accounts={"c0": "rate_group: sell", **BASE.accounts})
    path.write_text(written(more._replace(trunks={**BASE.trunks, "t9": ("c0", "hosts: 192.0.2.1")})))
    after = load(path, {}, remembered=remembered).catalogue
    assert after.changes == Changes(before.version, {"c0"}, {"t9"})
    assert after.routes is before.routes
    assert after.accounts.keys() == {*(each.split(",")[0] for each in KEPT), "chief", "c0", "c1"}


def test_where_users_may_be_follows_the_trunks_that_change(tmp_path: Path) -> None:
    path, remembered = tmp_path / "vosd.yaml", Remembered()

    def known(*trunks: str) -> list[bool]:
        rates = "rate_groups: [{name: sell, rates: [{prefix: '4', billing_rate: '1'}]}]\n"
        accounts = "accounts: [{id: a, rate_group: sell}]\n"
        phones = "phones: [{number: '1001', account: a, password: long-enough-1, hosts: 10.0.0.0/24}]\n"
        lines = "".join(f"  - {{name: t{number}, account: a, {keys}}}\n" for number, keys in enumerate(trunks))
        path.write_text(f"{rates}{accounts}{phones}mapping_gateways:\n{lines}")
        catalogue = load(path, {}, remembered=remembered).catalogue
        return [catalogue.may_have_user_at(host, 5060) for host in ("10.0.0.1", "192.0.2.1", "192.0.2.2")]

    proof = "auth: {username: u, password: long-enough-2}"
    assert known(f"{proof}, hosts: 192.0.2.1") == [True, True, False]
    assert known(f"{proof}, hosts: 192.0.2.2") == [True, False, True]
    assert known(f"{proof}, hosts: 192.0.2.2", "hosts: 192.0.2.9") == [True, False, True]
    assert known(proof, "hosts: 192.0.2.9") == [True, True, True]
    assert known(proof, "hosts: 192.0.2.8") == [True, True, True]
    assert known(f"{proof}, hosts: 192.0.2.1", "hosts: 192.0.2.8") == [True, True, False]
