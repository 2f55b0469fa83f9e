"""Warnings about some of many objects are the same when only those that have changed are looked at."""

from collections.abc import Mapping
from pathlib import Path

from doubles.exploring import examples
from hypothesis import example, given, settings, strategies as st

from vosd.catalogue.problems import ConfigError
from vosd.config.assembly import setting_checks
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import load

HEAD = """\
rate_groups: [{name: sell, rates: [{prefix: "44", billing_rate: "0.01"}]}]
"""
ACCOUNTS = [
    "rate_group: sell",
    "rate_group: sell, minimum_consumption: 5",
    "rate_group: sell, rate_types: [gold]",
    "rate_group: sell, record: 100",
]
TRUNKS = [
    "hosts: $host", "auth: {username: $name, password: '12345678'}, hosts: $host",
    "auth: {username: $name, password: long-enough-1}", "certificate_names: [$name.example], hosts: $host",
    "transfer_keys: {blind: '*1'}, hosts: $host", "transfer_keys: {blind: '*1'}, media: off, hosts: $host",
    "announcements: {busy: none}, hosts: $host",
]  # fmt: skip
COUNTRIES = ", countries: [DE]"
"""Makes an error of an account or a trunk where there is no file of the countries of addresses."""
RELAY = "media: {engine: relay}\n"
NAMES = ["a1", "a2", "a3", "a4"]
DAYS = st.tuples(
    st.lists(st.sampled_from(NAMES), unique=True).flatmap(
        lambda names: st.fixed_dictionaries(dict.fromkeys(names, st.sampled_from(ACCOUNTS)))
    ),
    st.lists(st.sampled_from(NAMES), unique=True).flatmap(
        lambda names: st.fixed_dictionaries(dict.fromkeys(names, st.sampled_from(TRUNKS)))
    ),
    st.sampled_from(["", "", COUNTRIES]),
    st.sampled_from(["", "", "nightly: {at: '03:00'}\n", RELAY]),
)
Day = tuple[Mapping[str, str], Mapping[str, str], str, str]


def written(day: Day) -> str:
    accounts, trunks, countries, more = day
    items = [f"  - {{id: {name}, {form}{countries if name == 'a1' else ''}}}\n" for name, form in accounts.items()]
    gateways = [
        f"  - {{name: t{name}, account: payer, {form.replace('$name', name).replace('$host', f'192.0.2.{name[1]}')}}}\n"
        for name, form in trunks.items()
    ]
    listed = f"mapping_gateways:\n{''.join(gateways)}" if gateways else ""
    return f"{HEAD}{more}accounts:\n  - {{id: payer, rate_group: sell}}\n{''.join(items)}{listed}"


def found(path: Path, remembered: Remembered | None) -> list[str]:
    try:
        return [*map(str, load(path, {}, remembered=remembered).problems)]
    except ConfigError as error:
        return [*map(str, error.problems)]


@settings(max_examples=examples(24, 300), deadline=None)
@given(st.lists(DAYS, min_size=2, max_size=5))
@example([({}, {}, "", ""), ({"a1": ACCOUNTS[1]}, {"a1": TRUNKS[1]}, "", ""), ({}, {}, "", "")])
@example([({"a2": ACCOUNTS[2]}, {"a2": TRUNKS[3]}, "", ""), ({"a2": ACCOUNTS[0]}, {"a2": TRUNKS[0]}, "", "")])
@example([({"a2": ACCOUNTS[3]}, {"a2": TRUNKS[5]}, "", RELAY), ({"a2": ACCOUNTS[3]}, {"a2": TRUNKS[5]}, "", "")])
@example([({}, {"a2": TRUNKS[5]}, "", RELAY), ({}, {"a1": TRUNKS[4], "a2": TRUNKS[4]}, "", RELAY)])
@example([({"a2": ACCOUNTS[1]}, {}, "", ""), ({"a1": ACCOUNTS[1], "a2": ACCOUNTS[1]}, {}, "", "")])
def test_warnings_about_objects_that_are_known_stay_and_end_with_them(tmp_path_factory, days: list[Day]) -> None:
    path, remembered = tmp_path_factory.mktemp("days") / "vosd.yaml", Remembered()
    for day in days:
        path.write_text(written(day))
        assert found(path, remembered) == found(path, None)


def test_only_what_was_read_is_looked_at(tmp_path: Path, monkeypatch) -> None:
    looked: list[str] = []
    has_minimum = setting_checks.has_minimum

    def counted(definition) -> bool:
        looked.append(definition.value.id)
        return has_minimum(definition)

    monkeypatch.setattr(setting_checks, "has_minimum", counted)
    path, remembered = tmp_path / "vosd.yaml", Remembered()
    path.write_text(written(({"a1": ACCOUNTS[1], "a2": ACCOUNTS[0]}, {}, "", "")))
    first = load(path, {}, remembered=remembered).problems
    assert looked == ["payer", "a1", "a2"]
    path.write_text(written(({"a1": ACCOUNTS[1], "a2": ACCOUNTS[0], "a3": ACCOUNTS[1]}, {}, "", "")))
    assert len(load(path, {}, remembered=remembered).problems) == len(first) == 1
    assert looked[3:] == ["a3"]
