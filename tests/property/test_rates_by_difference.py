"""Where only rates change, every price and route is that of a catalogue that is put together as a whole."""

from pathlib import Path
from typing import NamedTuple

from doubles.exploring import examples
from hypothesis import example, given, settings, strategies as st

from vosd.billing.ports import Rates
from vosd.catalogue.catalogue import Catalogue
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import load
from vosd.routing.route_table import RouteTable

GROUPS = {
    "sell": "", "buy": "", "own": "", "night": "", "euro": "currency: EUR, ", "missing": "",
    "derived": "derive: {from: sell, factor: '1.2'}, ",
    "named": "area_names: own, ",
    "by_caller": "origins: [{name: none, callers: missing, rate_group: missing}], ",
}  # fmt: skip
"""By name, what a rate group has beside its rates."""
REST = """\
exchange_rates: [{base: EUR, quote: USD, rate: "1.08"}]
calendars: [{name: office, entries: [{weekdays: [mon, tue, wed, thu, fri], from: "08:00", to: "18:00"}]}]
period_rates:
  - name: tariff
    periods:
      - {name: day, calendar: office, rate_group: night}
      - {name: rest, calendar: office, when: rest, multiplier: "0.5"}
routing_plans: [{name: cheap, gateways: [v1, v2, v4], order: [cost, priority]}]
accounts:
  - {id: plain, rate_group: sell}
  - {id: private, rate_group: sell, private_rate_group: own}
  - {id: first, rate_group: sell, private_rate_group: own, rate_selection: priority}
  - {id: periods, rate_group: sell, period_rates: tariff}
  - {id: dollars, rate_group: euro, currency: USD}
  - {id: derived, rate_group: derived, fee_precision: 3}
  - {id: by_caller, rate_group: by_caller}
  - {id: vendor, type: clearing, rate_group: buy}
  - {id: changing, type: clearing, rate_group: buy, period_rates: tariff}
  - {id: $name, rate_group: $group}
mapping_gateways:
  - {name: t1, account: plain, hosts: 192.0.2.1}
  - {name: t2, account: periods, hosts: 192.0.2.2, private_rate_group: own}
  - {name: t3, account: plain, hosts: 192.0.2.3, rate_group: by_caller}
  - {name: t4, account: $name, hosts: 192.0.2.4, private_rate_group: euro}
phones:
  - {number: "1001", account: private, password: long-enough-1, private_rate_group: night}
routing_gateways:
  - {name: v1, account: vendor, address: 198.51.100.1}
  - {name: v2, account: vendor, address: 198.51.100.2, prefixes: from_rates}
  - {name: v3, account: vendor, address: 198.51.100.3, private_rate_group: night}
  - {name: v4, account: changing, address: 198.51.100.4, prefixes: from_rates, private_rate_group: own}
  - {name: v5, account: changing, address: 198.51.100.5, rate_group: euro}
"""
ROWS = [
    '{prefix: "44", billing_rate: "0.012"}', '{prefix: "44", billing_rate: "0.013", area: UK}',
    '{prefix: "4420", billing_rate: "0.02"}', '{prefix: "7", billing_rate: "0.03"}',
    '{prefix: "7", billing_rate: "0.03", locked: yes}', '{prefix: "*", billing_rate: "0.04"}',
    '{prefix: "44", billing_rate: "0.001", effective_from: "2026-07-01T00:00:00Z"}',
    '{prefix: "77", billing_rate: "0.05", effective_to: "2026-06-30T23:59:59Z"}',
]  # fmt: skip
FROM_JULY = 1_782_864_000_000
MOMENTS = [FROM_JULY - 1, FROM_JULY, FROM_JULY + 12 * 3_600_000]
"""The second is midnight, the third is in a working hour."""
NUMBERS = ["4420", "441", "77", "70", "9", "1001"]


class Edition(NamedTuple):
    rows: dict[str, frozenset[str]]
    """Of each rate group."""
    name: str = "new"
    group: str = "sell"
    """The account whose name or rate group may differ."""


def one_of_a_prefix(rows: frozenset[str]) -> frozenset[str]:
    return frozenset({(row.split(",")[0], "effective" in row): row for row in sorted(rows)}.values())


EDITIONS = st.builds(
    Edition,
    st.fixed_dictionaries(
        dict.fromkeys(GROUPS, st.frozensets(st.sampled_from(ROWS), min_size=1, max_size=4).map(one_of_a_prefix))
    ),
    st.sampled_from(["new", "new", "newer"]),
    st.sampled_from(["sell", "sell", "derived"]),
)


def text_of(edition: Edition) -> str:
    groups = "".join(
        f"  - {{name: {name}, {GROUPS[name]}rates: [{', '.join(sorted(rows))}]}}\n"
        for name, rows in edition.rows.items()
    )
    return "rate_groups:\n" + groups + REST.replace("$name", edition.name).replace("$group", edition.group)


def prices(rates: Rates) -> object:
    found = [rates.find(number, moment, caller) for number in NUMBERS for moment in MOMENTS for caller in ("", "49171")]
    return rates.name, [table.version for table in rates.tables_at(0)], found


def routes(table: RouteTable) -> object:
    return [
        [(each.gateway, each.prefix) for each in table.candidates(number, at)] for number in NUMBERS for at in MOMENTS
    ]


def seen(catalogue: Catalogue) -> dict[str, object]:
    choices = {
        name: getattr(catalogue, name) for name in ("rate_groups", "customer_rates", "account_rates", "vendor_rates")
    }
    return {
        "version": catalogue.version,
        "routes": [routes(catalogue.routes), *({name: routes(table)} for name, table in catalogue.plans.items())],
        **{kind: {name: prices(each) for name, each in named.items()} for kind, named in choices.items()},
    }


SAME = Edition(dict.fromkeys(GROUPS, frozenset(ROWS[:1])))


def dearer(name: str) -> Edition:
    """Return the edition with another price and prefix in one rate group."""
    return SAME._replace(rows={**SAME.rows, name: frozenset(ROWS[1:4])})


@settings(max_examples=examples(8, 100), deadline=None)
@given(st.lists(EDITIONS, min_size=2, max_size=3))
@example([SAME, *(dearer(name) for name in GROUPS), SAME])
def test_prices_and_routes_are_those_of_the_whole(tmp_path_factory, editions: list[Edition]) -> None:
    path: Path = tmp_path_factory.mktemp("rates") / "vosd.yaml"
    remembered = Remembered()
    for number, edition in enumerate(editions):
        path.write_text(text_of(edition))
        catalogue = load(path, {}, remembered=remembered).catalogue
        assert bool(number) is (catalogue.changes is not None)
        assert seen(catalogue) == seen(load(path, {}).catalogue)
