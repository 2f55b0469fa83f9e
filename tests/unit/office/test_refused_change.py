"""Mistakes of a refused change in brief: who uses what would end, and the same mistake of many objects once."""

from typing import Final

from vosd.admin.office.refused_change import in_brief
from vosd.catalogue.problems import ConfigError, DefinitionProblem, Severity
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.key_sheets import key_sheets

UNKNOWN: Final = "the name of a rate group; did you mean 'promo2'?"
CURRENCY: Final = "USD, the currency of rate group 'promo'"


def version(kind: str, name: str, body: str | None) -> ObjectVersion:
    return ObjectVersion(kind=kind, name=name, version=2, body=body, begins_at=0, made_at=0, operator="ann")


def problem(key: str, value: str, expected: str, severity: Severity = Severity.ERROR) -> DefinitionProblem:
    kind, _, behind = key.partition("[")
    return DefinitionProblem(f"{kind} {behind.partition(']')[0]}", 0, key, value, expected, severity)


def brief(versions: list[ObjectVersion], *problems: DefinitionProblem) -> list[str]:
    return str(in_brief(ConfigError(problems), versions, key_sheets)).splitlines()


def test_an_object_that_would_end_is_named_once_with_the_first_of_those_that_use_it() -> None:
    accounts = [problem(f"accounts[t{number:03}].rate_group", "promo", UNKNOWN) for number in range(1000)]
    others = (
        problem("rate_groups[night].derive.from", "promo", UNKNOWN),
        problem("rate_groups[weekend].origins[1].rate_group", "promo", UNKNOWN),
        problem("phones[7001].rate_group", "promo", UNKNOWN),
        problem("phones[7001].private_rate_group", "promo", UNKNOWN),
    )
    warning = problem("accounts[t000].record", "100", "media.engine as well", Severity.WARNING)
    used = "1,000 accounts (t000, t001, t002, t003, t004, …), 2 rate groups (night, weekend), phone 7001"
    said = f"expected that nothing uses it any more; it is used by {used}"
    assert brief([version("rate_groups", "promo", None)], *accounts, *others, warning) == [
        f"rate_groups promo (version 2) in the database: {said}",
        str(warning),
    ]


def test_a_name_that_was_mistyped_and_one_of_another_kind_keep_their_sentences() -> None:
    mistyped = problem("accounts[acme].rate_group", "promo", UNKNOWN)
    of_partner = problem("teams[promo].rate_group", "promo", UNKNOWN)
    for changed in (version("accounts", "acme", "{}"), version("calendars", "promo", None)):
        assert brief([changed], mistyped, of_partner) == [str(mistyped), str(of_partner)]


def test_a_mistake_of_many_objects_is_said_once_unless_they_are_changed_themselves() -> None:
    accounts = [problem(f"accounts[t{number}].currency", "EUR", CURRENCY) for number in range(7)]
    other = problem("accounts[other].currency", "GBP", CURRENCY)
    assert brief([version("templates", "gold", "{}")], *accounts, other) == [
        str(accounts[0]),
        "accounts t0: accounts[t0].currency: expected the same of 6 more accounts: t1, t2, t3, t4, …",
        str(other),
    ]
    changed = [version("accounts", f"t{number}", "{}") for number in range(7)]
    assert brief(changed, *accounts, other) == [str(each) for each in (*accounts, other)]
