"""Answers that tests of the console make up are compared with those of the API."""

from http import HTTPStatus
from typing import Any

import pytest

from console.made_answers import faults_of, made_problem
from vosd.api.openapi import document

REPORT: dict[str, Any] = document()["paths"]["/reports/{name}"]["get"]["responses"]["200"]["content"][
    "application/json"
]["example"]
REFUSAL = made_problem(HTTPStatus.SERVICE_UNAVAILABLE, "store_unavailable", "it is away")


@pytest.mark.parametrize(
    ("path", "status", "shown", "fault"),
    [
        ("reports/daily", 200, REPORT, None),
        ("reports/daily", 200, {name: REPORT[name] for name in REPORT if name != "calls"}, "is written as"),
        ("reports/daily", 200, REPORT | {"more": 1}, "is written as"),
        ("reports/daily", 200, REPORT | {"missing": "1"}, "Expected `int`, got `str`"),
        ("accounts?fields=name", 200, {"items": [{"name": "acme"}], "next": None}, None),
        ("accounts?fields=name", 200, {"items": [{"kind": "accounts"}], "next": None}, "a row has ['kind']"),
        ("accounts", 200, {"items": [{"name": "acme"}], "next": None}, "required field `kind`"),
        ("accounts", 200, {"items": []}, "a page has ['items']"),
        ("alarms", 200, {"items": [], "next": None}, "required field `alarms`"),
        ("accounts", 503, REFUSAL, None),
        ("accounts", 503, {"code": "store_unavailable"}, "required field `type`"),
    ],
)
def test_an_answer_that_the_api_would_not_give_has_a_fault(
    path: str, status: int, shown: Any, fault: str | None
) -> None:
    found = faults_of("GET", f"http://switch/api/v1/{path}", status, shown)
    assert (found == []) if fault is None else (fault in found[0]), found
