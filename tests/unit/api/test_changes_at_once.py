"""Changes of objects that requests make at the same time."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from doubles import forked_child
from doubles.migrated import migrated
from doubles.office import operator

from vosd.admin.office.customers import ProvisionCustomer, provision_customer
from vosd.admin.office.definitions import SetObjects, WantedObject, set_objects
from vosd.api.offices import Offices
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
