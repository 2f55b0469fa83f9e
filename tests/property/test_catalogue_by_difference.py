"""A catalogue made by difference equals the one that is built as a whole, whatever was edited between."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from doubles.exploring import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.problems import ConfigError
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import Loaded, load

HEAD = """\
sip: {realm: $realm}
templates:
  big: {max_concurrent: $limit, currency: USD}
rate_groups:
  - {name: sell, rates: [{prefix: "44", billing_rate: "0.012"}]}
  - {name: buy, currency: $currency, rates: [{prefix: "44", billing_rate: "0.008"}]}
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
)


def text_of(items: list[Item], indent: str) -> str:
    lists: dict[str, list[str]] = {}
    for item in items:
        lists.setdefault(item.list_name, []).append(item.text)
    return "".join(f"{name}:\n" + "".join(f"{indent}- {text}\n" for text in texts) for name, texts in lists.items())


def write(directory: Path, edition: Edition) -> None:
    head = HEAD.replace("$realm", edition.realm).replace("$limit", str(edition.limit))
    head = head.replace("$currency", edition.currency)
    (directory / "vosd.yaml").write_text(head + INCLUDE + text_of(edition.main, "  "))
    (directory / "a.yaml").write_text(text_of(edition.other, "") or "# nothing\n")
    (directory / "b.yaml").write_text(edition.odd or "# nothing\n")


def outcome(act: Callable[[], Loaded]) -> object:
    """Return everything that a load gives, to be compared."""
    try:
        loaded = act()
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    catalogue: Catalogue = loaded.catalogue
    return (
        catalogue.version,
        [*catalogue.accounts.items()],
        [*catalogue.mapping_gateways.items()],
        [*catalogue.routing_gateways.items()],
        [*catalogue.phones.items()],
        {domain: [*users] for domain, users in {"": catalogue.users, **catalogue.domains}.items()},
        [str(problem) for problem in loaded.problems],
        dict(loaded.account_places),
        loaded.settings,
        loaded.texts,
    )


SAME = Edition([Item("accounts", "{id: a1, max_cps: 3}")], [], "", "vosd", 5, "USD")


@settings(max_examples=examples(60, 150), deadline=None)
@given(st.lists(EDITIONS, min_size=2, max_size=4))
@example([SAME, SAME._replace(main=[*SAME.main, Item("accounts", "{id: a1, max_cps: 4}")]), SAME])
@example([SAME, SAME._replace(odd="accounts: [{id: a9}]\n"), SAME._replace(odd="accounts: [{id: a1}]\n")])
@example([SAME, SAME._replace(main=[], other=SAME.main), SAME._replace(main=[], other=[])])
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
