"""Errors of the office as answers of the API."""

import json
import time
from http import HTTPStatus
from pathlib import Path

import msgspec
import pytest

from vosd.admin.office.jobs import JobKind
from vosd.admin.office.principal import Means, Principal, Role
from vosd.api import job_process
from vosd.api.http import RequestError
from vosd.api.job import JobOpening
from vosd.api.problems import COMMANDS, problem_of, problem_of_request, without_commands
from vosd.base.errors import VosError
from vosd.catalogue.problems import ConfigError, DefinitionProblem, Severity
from vosd.cli.main import VERBS
from vosd.storage.database import Database
from vosd.storage.driver_errors import DatabaseGone


@pytest.mark.parametrize(
    ("status", "renamed", "title"),
    [
        (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Content Too Large", "Request Entity Too Large"),
        (HTTPStatus.UNPROCESSABLE_ENTITY, "Unprocessable Content", "Unprocessable Entity"),
    ],
)
def test_a_later_python_changes_no_title(
    status: HTTPStatus, renamed: str, title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "phrase", renamed)
    answer = problem_of_request(RequestError(status, "body_too_large", "too much"))
    assert json.loads(answer.content)["title"] == title


def test_a_warning_is_neither_a_mistake_nor_the_field_that_is_wrong() -> None:
    doubt = DefinitionProblem("", 0, "mapping_gateways[cafe-pbx]", None, "a rate group", Severity.WARNING)
    wrong = DefinitionProblem("", 0, "accounts[cafe].currency", "EUR", "USD")
    answer = json.loads(problem_of(ConfigError([doubt, wrong])).content)
    assert (answer["field"], [each["field"] for each in answer["errors"]]) == (wrong.key, [wrong.key])
    assert [each["field"] for each in answer["warnings"]] == [doubt.key]
    assert answer["detail"] == str(wrong), "a client shows it as the reason"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("no accounts beta: see vosd definitions list accounts", "no accounts beta"),
        ("there is no invoice 7: vosd invoice list has them", "there is no invoice 7"),
        ("make it again (vosd invoice run)", "make it again"),
        ("no account 'vosd' here, on vosd.example.org", "no account 'vosd' here, on vosd.example.org"),
        ("vosd ledger verify finds more", "Not Found"),
        ("end it behind its close (vosd account close), or confirm", "end it behind its close, or confirm"),
        ("look at vosd account show; the customer has to pay", "the customer has to pay"),
        ("the token is unknown: send one that vosd token add has printed", "the token is unknown"),
        ("a owes 5 EUR: book its payment, or vosd payment add --type zero", "a owes 5 EUR: book its payment"),
        ("no number 49: vosd did list has all, vosd did import FILE adds others", "no number 49"),
        ("no account 'vosd calls' of yours", "no account 'vosd calls' of yours"),
        (
            "the month's invoice 'a, b' is there: see the month's `vosd invoice list`",
            "the month's invoice 'a, b' is there",
        ),
        ("no deck. vosd rates import FILE adds one. Nothing was changed", "no deck. Nothing was changed"),
        ("vosd rates import FILE adds one. Rates are in 1.5 EUR", "Rates are in 1.5 EUR"),
        ("./acme.yaml has no account 49.5: see vosd account list", "./acme.yaml has no account 49.5"),
        ("version 2 of deck a: install the newer vosd again", "version 2 of deck a: install the newer vosd again"),
    ],
)
def test_commands_are_left_out_for_those_who_have_no_terminal(said: str, shown: str) -> None:
    answer = problem_of_request(RequestError(HTTPStatus.NOT_FOUND, "absent", said, remedy="vosd account list"))
    found = json.loads(without_commands(answer).content)
    assert (found["detail"], found["code"], "remedy" in found) == (shown, "absent", False)


async def test_a_database_that_is_gone_is_to_be_put_back(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/gone.db", was_used=lambda: True)
    with pytest.raises(DatabaseGone) as gone:
        await database.check_schema()
    await database.close()
    assert json.loads(without_commands(problem_of(gone.value)).content)["detail"].endswith("is gone. Put it back")


@pytest.mark.parametrize(
    ("means", "account", "shown"),
    [
        (Means.TOKEN, "shop", "no call of shop"),
        (Means.PAGE, "shop", "no call of shop: vosd cdr list has all"),  # the console leaves it out itself
        (Means.TOKEN, None, "no call of shop: vosd cdr list has all"),
    ],
)
async def test_a_job_fails_with_the_problem_that_its_request_would_have_got(
    monkeypatch: pytest.MonkeyPatch, means: Means, account: str | None, shown: str
) -> None:
    async def refused(*_: object) -> None:
        raise VosError("no call of shop: vosd cdr list has all")

    monkeypatch.setattr(job_process, "_carried_out", refused)
    who = Principal(
        role=Role.OPERATOR if account is None else Role.CUSTOMER,
        name="ann", login="ann", means=means, permissions=frozenset(), account=account,
    )  # fmt: skip
    opening = JobOpening("", 1, 1, JobKind.CDR_EXPORT, msgspec.json.encode(who).decode(), "", None, "")
    outcome = await job_process._outcome(opening, lambda _part: None)
    assert json.loads(outcome.problem or "")["detail"] == shown


@pytest.mark.parametrize("blank", [" ", "'", ": ", ", '", "(vosd ", "' ;"])
def test_long_texts_of_senders_keep_the_api_busy_for_no_time(blank: str) -> None:
    """One with 20,000 blanks took 17 s, in which no other request was answered."""
    said = f"no agent 'x{blank * 20_000}y': see vosd account list"
    answer = problem_of_request(RequestError(HTTPStatus.NOT_FOUND, "absent", said))
    before = time.process_time()
    without_commands(answer)
    assert time.process_time() - before < 2


def test_the_verbs_that_are_left_out_are_those_of_the_command_line() -> None:
    assert set(COMMANDS) == VERBS.keys()


def test_commands_are_left_out_of_each_mistake() -> None:
    mistakes = [DefinitionProblem("", 0, "accounts[a].agent", "b", "an account: see vosd account list")]
    found = json.loads(without_commands(problem_of(ConfigError(mistakes))).content)
    assert "vosd" not in found["errors"][0]["detail"]
