"""Messages about mistakes have an end, however many names or mistakes there are."""

from vosd.catalogue.problems import ConfigError, DefinitionProblem, Severity, suggestion


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
