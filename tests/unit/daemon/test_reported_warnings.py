"""Warnings of a configuration in the log: calls wait while they are written."""

import pytest
from structlog.testing import capture_logs

from vosd.catalogue.problems import DefinitionProblem, Severity
from vosd.daemon.start import WARNINGS_MAX, report_warnings


@pytest.mark.parametrize(("number", "more"), [(0, []), (WARNINGS_MAX, []), (WARNINGS_MAX + 20_000, ["20000 more"])])
def test_a_load_logs_a_bounded_number_of_them_and_how_many_there_are_more(number, more):
    found = [DefinitionProblem("vosd.yaml", line, "key", None, "another", Severity.WARNING) for line in range(number)]
    with capture_logs() as log:
        report_warnings(found)
    assert [each["problem"] for each in log] == [*map(str, found[:WARNINGS_MAX]), *more]
    assert {each["log_level"] for each in log} <= {"warning"}
