"""Errors of the office as answers of the API."""

import json

from vosd.api.problems import problem_of
from vosd.catalogue.problems import ConfigError, DefinitionProblem, Severity


def test_a_warning_is_neither_a_mistake_nor_the_field_that_is_wrong() -> None:
    doubt = DefinitionProblem("", 0, "mapping_gateways[cafe-pbx]", None, "a rate group", Severity.WARNING)
    wrong = DefinitionProblem("", 0, "accounts[cafe].currency", "EUR", "USD")
    answer = json.loads(problem_of(ConfigError([doubt, wrong])).content)
    assert (answer["field"], [each["field"] for each in answer["errors"]]) == (wrong.key, [wrong.key])
    assert [each["field"] for each in answer["warnings"]] == [doubt.key]
