"""Several files as one: lists are appended, contradictions named with both places."""

import os

import pytest

from vosd.catalogue.problems import ConfigError
from vosd.config.load import load
from vosd.config.reader import includes

NOT_UTF_8 = "expected a path in UTF-8: rename what has another encoding, file or directory"


def test_lists_of_included_files_are_appended_in_the_order_of_their_names(site):
    site.write("partners/b.yaml", "accounts: [{id: b}]")
    site.write("partners/a.yaml", "accounts: [{id: a}]")

    loaded = site.load("include: partners/*.yaml\naccounts: [{id: main}]\n")

    assert list(loaded.catalogue.accounts) == ["main", "a", "b"]


def test_mappings_are_merged_and_an_empty_one_stands_back(site):
    site.write("more.yaml", "sip: {server: hidden}\naccounts: [{id: acme}]\n")

    loaded = site.load("include: [more.yaml]\nsip: {unknown_source: reject}\naccounts:\n")

    assert loaded.settings.sip.answers_unknown_sources
    assert loaded.settings.sip.product is None
    assert "acme" in loaded.catalogue.accounts


def test_the_same_value_in_two_files_is_named_with_both(site):
    site.write("more.yaml", "\nlimits: {max_call_seconds: 60}\n")

    assert site.errors("include: more.yaml\nlimits:\n  max_call_seconds: 90\n") == [
        "more.yaml:1: limits.max_call_seconds: expected each value once; vosd.yaml:3 sets it too"
    ]


def test_names_of_files_are_relative_to_the_file_that_names_them(site):
    site.write("partners/a/rates.csv", "prefix,billing_rate\n44,0.01\n")
    site.write("partners/a/rates.yaml", "rate_groups: [{name: a, rates_file: rates.csv}]")
    site.write("partners/a.yaml", "include: a/rates.yaml")

    loaded = site.load("include: partners/a.yaml\n")

    assert list(loaded.catalogue.rate_groups["a"].table.prefixes()) == ["44"]


def test_a_pattern_that_fits_nothing_is_a_warning_but_a_name_must_exist(site):
    (warning,) = site.warnings("include: partners/*.yaml\n")
    assert warning == (
        "vosd.yaml:1: warning: include: value 'partners/*.yaml': expected a pattern that fits at least one file;"
        " nothing is included by it"
    )
    assert site.errors("include: partners/a.yaml\n") == [
        "vosd.yaml:1: include: value 'partners/a.yaml': expected a readable file: no such file or directory"
    ]


def test_a_file_that_is_missing_comes_before_the_mistakes_that_follow_from_it(site):
    site.write("a.yaml", "accounts: [{id: acme, rate_group: sell}]\n")
    text = "mapping_gateways: [{name: x, account: none, hosts: 192.0.2.1}]\ninclude: [a.yaml, rates.yaml]\n"
    assert site.errors(text) == [
        "vosd.yaml:2: include: value 'rates.yaml': expected a readable file: no such file or directory",
        "a.yaml:1: accounts[acme].rate_group: value 'sell': expected the name of a rate group; there is none yet",
        "vosd.yaml:1: mapping_gateways[x].account: value 'none': expected the name of an account; one of acme",
    ]


def test_an_included_file_may_hold_comments_only_but_not_be_empty(site):
    site.write("partners/b.yaml", "# accounts: [{id: b}]\n")

    assert site.load("include: partners/*.yaml\n").problems == ()

    site.write("partners/a.yaml", "")
    assert site.errors() == ["partners/a.yaml: expected keys and values; the file is empty"]


def test_files_that_include_each_other_are_an_error(site):
    site.write("b.yaml", "include: vosd.yaml")

    assert site.errors("include: b.yaml\n") == [
        "b.yaml:1: include: value 'vosd.yaml': expected no file that includes itself"
    ]


def test_a_file_that_is_included_twice_is_an_error(site):
    site.write("b.yaml", "accounts: [{id: acme}]")

    assert site.errors("include: [b.yaml, '*b.yaml']\n") == [
        "vosd.yaml:1: include: value 'b.yaml': expected each file once; vosd.yaml:1 includes it too"
    ]


def test_more_files_than_the_stack_holds_that_include_each_other_in_a_row_are_an_error(site):
    for number in range(1_200):
        site.write(f"{number}.yaml", f"include: {number + 1}.yaml")
    site.write("1200.yaml", "accounts: [{id: acme}]")

    assert site.errors("include: 0.yaml\n") == [
        "98.yaml:1: include: value '99.yaml': expected at most 100 files of which each includes the next"
    ]


def test_a_file_whose_name_is_not_utf_8_is_an_error(site):
    site.write("partners/a.yaml", "accounts: [{id: acme}]")
    site.write(os.fsdecode(b"partners/m\xfcller.yaml"), "accounts: [{id: m}]")

    assert site.errors("include: partners/*.yaml\n") == [
        f"vosd.yaml:1: include: value 'partners/m\ufffdller.yaml': {NOT_UTF_8}"
    ]


def test_a_directory_of_the_configuration_whose_name_is_not_utf_8_is_an_error(site):
    main = site.write(os.fsdecode(b"b\xfcro/vosd.yaml"), "accounts: [{id: acme}]")

    with pytest.raises(ConfigError) as refused:
        load(main, {})

    assert [site.shown(str(problem)) for problem in refused.value.problems] == [f"b\ufffdro/vosd.yaml: {NOT_UTF_8}"]


def test_mistakes_in_every_file_are_named_at_once(site):
    site.write("b.yaml", "\n\naccounts: [{id: acme, max_cps: many}]")
    site.write("c.yaml", "node: [unclosed")

    errors = site.errors("include: [b.yaml, c.yaml]\nnoed: sw1\n")

    assert [error.partition(": ")[0] for error in errors] == ["b.yaml:1", "c.yaml:2", "vosd.yaml:2"]


@pytest.mark.parametrize("include", ["{a: b}", "[[a]]", "''", "['']"])
def test_what_cannot_name_a_file_is_an_error(site, include):
    (error,) = site.errors(f"include: {include}\n")

    assert error.startswith("vosd.yaml:1: include: ")
    assert error.endswith("expected a file, or a pattern such as partners/*.yaml")


@pytest.mark.parametrize("name", ['"\\0/*.yaml"', '"\\0"'])
def test_a_name_that_no_file_can_have_is_an_error(site, name):
    (error,) = site.errors(f"include: {name}\n")

    assert error.startswith("vosd.yaml:1: include: ")
    assert "embedded null" in error


def test_the_number_of_files_is_bounded(site, monkeypatch):
    monkeypatch.setattr(includes, "FILES_MAX", 2)
    for name in "abc":
        site.write(f"{name}.yaml", f"accounts: [{{id: {name}}}]")

    assert site.errors("include: [a.yaml, b.yaml, c.yaml]\n") == [
        f"vosd.yaml:1: include: value '{name}.yaml': expected at most 2 files" for name in "bc"
    ]


def test_an_anchor_that_grows_by_an_include_does_not_change_its_aliases(site):
    site.write("more.yaml", "templates: {big: {hosts: [192.0.2.2]}}")

    loaded = site.load(
        """
        include: more.yaml
        accounts: [{id: acme}]
        templates: {big: {hosts: &hosts [192.0.2.1]}}
        mapping_gateways:
          - {name: pbx, account: acme, hosts: *hosts}
        """
    )

    assert [str(host.network) for host in loaded.catalogue.mapping_gateways["pbx"].hosts] == ["192.0.2.1/32"]


def test_a_pipe_is_an_error_and_is_not_waited_for(site):
    site.write("partners/shop.yaml", "accounts: [{id: shop}]")
    os.mkfifo(site.directory / "partners/pipe.yaml")

    for include in ("partners/pipe.yaml", "partners/*.yaml"):
        (mistake,) = site.errors(f"accounts: [{{id: acme}}]\ninclude: {include}\n")
        expected = "expected a readable file: no pipe, socket or device"
        assert mistake == f"vosd.yaml:2: include: value 'partners/pipe.yaml': {expected}"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("rate_groups: [{name: g, rates_file: pipe}]", "rate_groups[g].rates_file"),
        ("number_lists: [{name: bad, file: pipe}]", "number_lists[bad].file"),
        ("phones: [{number: 1001, account: acme, password_file: pipe}]", "phones[1001].password_file"),
    ],
)
def test_a_pipe_that_is_named_elsewhere_is_an_error_and_is_not_waited_for(site, text, key):
    os.mkfifo(site.directory / "pipe")
    (mistake,) = site.errors(f"accounts: [{{id: acme}}]\n{text}\n")
    assert mistake.startswith(f"vosd.yaml:2: {key}: ")
    assert "expected a readable file: no pipe, socket or device" in mistake
