"""Checks of changes as bytes: what is read is what was written, and another version of the program is not answered."""

from decimal import Decimal

import pytest

from vosd.billing.accounts import Account, AccountType
from vosd.billing.spending import SpendAction, SpendLimit, SpendPeriod
from vosd.catalogue import asked_changes
from vosd.catalogue.agent_domains import AgentDomains
from vosd.catalogue.agent_numbers import AgentNumbers
from vosd.catalogue.agent_sources import AgentSources
from vosd.catalogue.asked_changes import NOT_UNDERSTOOD, answer_of, asked_in, found_in, question_of
from vosd.catalogue.planned_objects import ChangeCheck, CheckedObjects, ObjectsThen
from vosd.catalogue.problems import ConfigError, DefinitionProblem, Severity, SocketNotOpenError
from vosd.catalogue.stored_objects import ObjectVersion

ENDED = ObjectVersion(
    kind="accounts", name="ä ${X}", version=3, body=None, begins_at=5, made_at=4, operator="ann", memo="why"
)
TRUNK = ObjectVersion(
    kind="mapping_gateways", name="t", version=1, body='{"account":"shop"}', begins_at=5, made_at=4, operator="ann"
)
ASKED = ChangeCheck(
    [ObjectsThen(5, [ENDED, TRUNK], [ENDED]), ObjectsThen(9, [TRUNK], [])],
    sources=AgentSources("reseller", {"t": True}, {"t": ["192.0.2.1"]}),
    opened=["udp:192.0.2.7:5060"],
    numbers=AgentNumbers("reseller", ["7001"], {"7001": ["4420"]}),
    domains=AgentDomains("reseller", ["7001"], ["t"]),
    is_planned=True,
    earlier=[ObjectsThen(3, [TRUNK], [TRUNK])],
)


@pytest.mark.parametrize("asked", [ASKED, ChangeCheck([ObjectsThen(5, [TRUNK], [])])])
def test_a_question_is_read_as_it_was_written(asked: ChangeCheck) -> None:
    assert asked_in(question_of(asked)) == asked._replace(accounts=[], earlier=[*asked.earlier])


def test_the_question_of_another_version_of_the_program_is_not_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    question = question_of(ASKED)
    assert asked_in(question.replace(b'"is_planned"', b'"other"')) is None
    monkeypatch.setattr(asked_changes, "__version__", "0.0.1")
    assert asked_in(question) is None
    assert found_in(NOT_UNDERSTOOD) is None


def test_findings_are_read_as_they_were_written() -> None:
    limits = (SpendLimit(SpendPeriod.DAY, Decimal("1.50"), SpendAction.HANG_UP),)
    shop = Account("shop", AccountType.DIRECT, "sell", Decimal("-1.25000001"), "EUR", spend_limits=limits)
    found = CheckedObjects({"shop": shop}, {"shop": "EUR"}, 7)
    assert found_in(answer_of(found)) == found


@pytest.mark.parametrize("kind", [ConfigError, SocketNotOpenError])
def test_mistakes_are_raised_as_they_were_found(kind: type[ConfigError]) -> None:
    problems = [
        DefinitionProblem("vosd.yaml", 3, "accounts[ä].max_cps", "x", "a number"),
        DefinitionProblem("vosd.yaml", 0, "sip", None, "less", Severity.WARNING),
    ]
    with pytest.raises(ConfigError) as refused:
        found_in(answer_of(kind(problems)))
    assert type(refused.value) is kind
    assert refused.value.problems == tuple(problems)
