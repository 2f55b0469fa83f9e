"""The review of agents: rights in force and suspended, and the people and programs that act for each."""

import asyncio
from typing import Any

import msgspec
import pytest
from doubles.data import builders
from doubles.office import agent, office_on, operator

from vosd.admin.office.agent_rights import ListAgents, list_agents
from vosd.admin.office.people import AddPerson, DisablePerson, add_person, disable_person
from vosd.admin.office.principal import OperatorsOnlyError
from vosd.admin.office.tokens import AddToken, RevokeToken, add_token, revoke_token
from vosd.billing.accounts import Account
from vosd.billing.rights import Right
from vosd.storage.database import Database

NOW = 1_790_000_000_000
TOP = builders.account("top", rights=frozenset({Right.SUB_PAYMENTS, Right.ACCOUNTS, Right.PHONES}))
ACCOUNTS = (
    msgspec.structs.replace(TOP, name="Top Ltd"),
    builders.account("mid", agent="top", rights=frozenset({Right.ACCOUNTS, Right.GATEWAYS})),
    builders.account("leaf", agent="mid"),
    builders.account("later", rights=frozenset({Right.OWN_PAYMENTS})),
    builders.account("plain"),
)


async def test_each_agent_has_its_rights_and_those_who_use_them(database: Database) -> None:
    office, boss = office_on(database, *ACCOUNTS, now=NOW), operator("ann")
    for name, role, account in (
        ("jane", "agent", "mid"), ("gone", "agent", "mid"), ("joe", "customer", "mid"), ("ann", "administrator", None),
    ):  # fmt: skip
        await add_person(office, boss, AddPerson(name=name, role=role, account=account))
    await disable_person(office, boss, DisablePerson("gone"))
    kept = await add_token(office, boss, AddToken(name="portal", role="agent", account="top"))
    old = await add_token(office, boss, AddToken(name="old", role="agent", account="top"))
    await add_token(office, boss, AddToken(name="short", role="agent", account="top", expires_at=NOW + 1))
    await revoke_token(office, boss, RevokeToken(old.id))
    office = office_on(database, *ACCOUNTS, now=NOW + 1)
    found = {each.account: each for each in await list_agents(office, boss, ListAgents())}
    assert [*found] == ["later", "mid", "top"]
    top, mid, later = found["top"], found["mid"], found["later"]
    assert (top.name, top.agent, top.accounts) == ("Top Ltd", None, 2)
    assert top.rights == (Right.ACCOUNTS, Right.PHONES, Right.SUB_PAYMENTS)
    assert (top.suspended, top.people, top.tokens) == ((), (), (f"portal ({kept.id})",))
    assert (mid.agent, mid.rights, mid.suspended) == ("top", (Right.ACCOUNTS,), (Right.GATEWAYS,))
    assert (mid.accounts, mid.people, mid.tokens) == (1, ("jane",), ())
    assert (later.rights, later.accounts) == ((Right.OWN_PAYMENTS,), 0)
    with pytest.raises(OperatorsOnlyError):
        await list_agents(office, agent("top"), ListAgents())


class _Counted(dict[str, Account]):
    """Accounts that count how often one is looked up."""

    looked_up = 0

    def __getitem__(self, name: str) -> Account:
        self.looked_up += 1
        return super().__getitem__(name)


async def test_the_review_of_many_accounts_lets_others_have_their_turns(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [TOP, *(builders.account(f"a{number:04}") for number in range(1_500))]
    office, accounts = office_on(database, *made, now=NOW), _Counted({each.id: each for each in made})
    monkeypatch.setattr(office.definitions, "accounts", lambda: accounts)
    listing: asyncio.Task[Any] = asyncio.create_task(list_agents(office, operator(), ListAgents()))
    of_turns = []
    while not listing.done():
        of_turns.append(accounts.looked_up)
        accounts.looked_up = 0
        await asyncio.sleep(0)
    assert [each.account for each in listing.result()] == ["top"]
    assert max(of_turns) <= 250
