"""Messages about mistakes have an end, however many names or mistakes there are."""

import time

import pytest

from vosd.catalogue.problems import ConfigError, DefinitionProblem, ProblemList, Severity, SourceLine, suggestion


def test_of_many_known_words_the_first_are_shown():
    assert suggestion("zzz", ["b", "a"]) == "one of a, b"
    many = suggestion("zzz", [f"account{number:05}" for number in range(30_000)])
    assert many.startswith("one of account00000, account00001, ")
    assert many.endswith(", account00049, …")


def test_mistakes_are_shown_before_warnings():
    warnings = [DefinitionProblem("a.yaml", line, "key", None, "b", Severity.WARNING) for line in range(1, 31)]
    error = ConfigError([*warnings, DefinitionProblem("a.yaml", 40, "key", None, "c")])
    assert error.in_brief().splitlines()[0] == "a.yaml:40: key: expected c"
    assert error.in_brief().splitlines()[-1] == "and 11 more: vosd check lists them"
    assert ConfigError(warnings[:20]).in_brief() == str(ConfigError(warnings[:20]))


def test_a_mistake_without_a_place_begins_with_its_key():
    assert str(DefinitionProblem("", 0, "accounts[a].agent", None, "b")) == "accounts[a].agent: expected b"
    assert str(DefinitionProblem("", 0, "", None, "b")) == "expected b"


@pytest.mark.parametrize("part", ["a:", ":", "[", "token", "[a", "@:"])
def test_long_keys_and_values_of_senders_take_no_time(part):
    """A value of 60 kB kept the check of all changes busy for 25 s, a key of 40 kB for 4 s each time."""
    found, text = ProblemList(), part * 50_000
    before = time.process_time()
    found.error(SourceLine("", 0), f"accounts[a].{text}", "a key")
    found.error(SourceLine("", 0), "accounts[a].currency", "a currency", text)
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("a.b", "mysql://u:p@ss@host/x and http://v:w@y", "mysql:…@host/x and http:…@y"),
        ("a.b", "12:30 at x@y", "12:30 at x@y"),
        ("a.b", "a@b:c", "a@b:c"),
        ("trunks[token].name", "x", "x"),
        ("trunks[a.token", "x", None),
    ],
)
def test_values_are_shown_without_passwords(key, value, shown):
    found = ProblemList()
    found.error(SourceLine("", 0), key, "another", value)
    assert found.in_order()[0].value == shown


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("a.password:x", "a.password…"),
        ("a.password", "a.password"),
        ("a.API-Token-2:x:y", "a.API-Token-2…"),
        ("rates[a:token:x].price", "rates[a:token:x].price"),
        ("name:x token:y", "name:x token…"),
        ("a.[password:x", "a.[password…"),
    ],
)
def test_keys_are_shown_without_text_that_is_attached_to_secrets(key, shown):
    found = ProblemList()
    found.error(SourceLine("", 0), key, "another")
    assert found.in_order()[0].key == shown


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("parameters.SS_AUTHENTICATION_FAILED_SUSPEND", "59"),
        ("parameters.ss_authentication_failed_suspend", None),
        ("trunks.AUTH_TOKEN", None),
        ("phones.password", None),
    ],
)
def test_values_of_parameters_are_shown_although_their_names_have_words_of_secrets(key, shown):
    found = ProblemList()
    found.error(SourceLine("", 0), key, "another", "59")
    assert found.in_order()[0].value == shown
