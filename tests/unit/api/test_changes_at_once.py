"""Changes of objects that requests make at the same time."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from doubles import forked_child
from doubles.migrated import migrated
from doubles.office import agent, operator

from vosd.admin.agents import MayNotActError
from vosd.admin.office.customers import ProvisionCustomer, provision_customer
from vosd.admin.office.definitions import SetObjects, set_objects
from vosd.admin.office.planned_change import WantedObject
from vosd.admin.office.rates import ExplainRate, explain_rate
from vosd.api.offices import Offices
from vosd.billing.authority import OutOfScopeError, RightLackingError
from vosd.catalogue.stored_objects import DefinitionsMoved
from vosd.config.excerpt import Excerpt
from vosd.daemon import checks


@pytest.fixture
async def offices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Offices]:
    monkeypatch.setattr(checks, "started", forked_child.started)
    migrated(tmp_path / "vosd.db")
    config = tmp_path / "vosd.yaml"
    config.write_text(
        f"database: {{url: 'sqlite+aiosqlite:///{tmp_path}/vosd.db'}}\n"
        f"state_dir: {tmp_path}\ncontrol_socket: {tmp_path}/vosd.sock\n"
    )
    async with Offices(config) as offices:
        yield offices


async def test_changes_and_customers_of_many_requests_at_once_are_all_made(offices: Offices) -> None:
    async def change(name: str) -> None:
        office = await offices.open(needs_database=True)
        wanted = WantedObject("accounts", name, {"currency": "USD"})
        await set_objects(office, operator(), SetObjects(objects=(wanted,)))

    async def provide(name: str) -> None:
        office = await offices.open(needs_database=True)
        await provision_customer(office, operator(), ProvisionCustomer(account=name, keys={"currency": "USD"}))

    names = [f"changed{number}" for number in range(5)], [f"new{number}" for number in range(3)]
    await asyncio.gather(*map(change, names[0]), *map(provide, names[1]))
    office = await offices.open(needs_database=True)
    assert office.definitions.accounts().keys() == {*names[0], *names[1]}


_ACCOUNT: Final = WantedObject("accounts", "acme", {"max_cps": "5"}, is_merged=True)
_PHONE: Final = WantedObject("phones", "7001", {"account": "acme", "password": "long-Enough-1"})
_NO_ACCOUNTS: Final = {"rights": ["phones"]}


@pytest.mark.parametrize(
    ("before", "wanted", "refused"),
    [
        ({"south": _NO_ACCOUNTS}, _ACCOUNT, RightLackingError),
        ({"top": _NO_ACCOUNTS, "south": _NO_ACCOUNTS}, _ACCOUNT, RightLackingError),
        ({"acme": {"agent": "top"}}, _PHONE, OutOfScopeError),
        ({"top": {"enabled": "no"}}, _PHONE, MayNotActError),
        ({"acme": {"agent": "other"}}, _PHONE, DefinitionsMoved),
        ({"south": {"agent": "new"}}, _ACCOUNT, DefinitionsMoved),
        ({"south": _NO_ACCOUNTS}, _PHONE, None),
        ({"top": {"max_cps": "7"}}, _ACCOUNT, None),
    ],
)
async def test_a_change_of_an_agent_is_made_by_what_the_change_before_it_has_left_to_the_agent(
    offices: Offices, before: dict[str, Any], wanted: WantedObject, refused: type[Exception] | None
) -> None:
    rights = {"currency": "USD", "rights": ["accounts", "phones"]}
    tree = {"top": rights, "new": rights, "south": rights | {"agent": "top"}}
    tree |= {name: {"currency": "USD", "agent": "south"} for name in ("acme", "other")}
    first = tuple(WantedObject("accounts", name, keys) for name, keys in tree.items())
    await set_objects(await offices.open(needs_database=True), operator(), SetObjects(objects=first))
    office = await offices.open(needs_database=True)
    assert office.definitions.hierarchy().above("acme") == ("south", "top")
    changes = tuple(WantedObject("accounts", name, keys, is_merged=True) for name, keys in before.items())
    turns = office.changing
    await turns.take(None)
    of_operator = asyncio.create_task(set_objects(office, operator(), SetObjects(objects=changes)))
    of_agent = asyncio.create_task(set_objects(office, agent("south"), SetObjects(objects=(wanted,))))
    while not (turns._operators and turns._accounts):
        assert {of_operator.done(), of_agent.done()} == {False}
        await asyncio.sleep(0)
    turns.leave()
    await of_operator
    if refused is None:
        await of_agent
        return
    with pytest.raises(refused):
        await of_agent


async def test_an_agent_makes_an_account_and_puts_another_one_below_it_at_once(offices: Offices) -> None:
    south = WantedObject("accounts", "south", {"currency": "USD", "rights": ["accounts"]})
    acme = WantedObject("accounts", "acme", {"currency": "USD", "agent": "south"})
    await set_objects(await offices.open(needs_database=True), operator(), SetObjects(objects=(south, acme)))
    made = WantedObject("accounts", "made", {"currency": "USD"})
    moved = WantedObject("accounts", "acme", {"agent": "made"}, is_merged=True)
    office = await offices.open(needs_database=True)
    await set_objects(office, agent("south"), SetObjects(objects=(made, moved)))
    assert (await offices.open(needs_database=True)).definitions.hierarchy().above("acme")[0] == "made"


async def test_a_price_is_explained_by_trunks_that_no_thread_reads_beside_other_requests(
    offices: Offices, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold = WantedObject("rate_groups", "sell", {"currency": "USD", "rates": [{"prefix": "44", "billing_rate": "0.1"}]})
    acme = WantedObject("accounts", "acme", {"currency": "USD", "rate_group": "sell"})
    await set_objects(await offices.open(needs_database=True), operator(), SetObjects(objects=(sold, acme)))
    office, readers, read = await offices.open(needs_database=True), set[threading.Thread](), Excerpt._read

    def note(self: Excerpt, lists: frozenset[str]) -> Any:
        readers.add(threading.current_thread())
        return read(self, lists)

    monkeypatch.setattr(Excerpt, "_read", note)
    await explain_rate(office, operator(), ExplainRate(account="acme", callee="4420", duration_ms=1_000))
    assert readers == {threading.current_thread()}
