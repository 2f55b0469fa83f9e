"""Readings of the state that have time: all with the same rights who ask within a second get one answer."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from doubles.api import ADMINISTRATOR, CUSTOMER, VIEWER, identify
from doubles.asgi import Answered, answered
from doubles.fake_switch import FakeSwitch, status_of
from doubles.migrated import migrated

from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal
from vosd.api import http
from vosd.api.application import Application
from vosd.api.jobs import Jobs
from vosd.api.offices import Offices
from vosd.api.routes import Routes
from vosd.api.table import OPERATIONS
from vosd.control.installation import GetStatus

LOGINS = [f"{VIEWER}-{number}" for number in range(5)]


class Site:
    """The application before a switch that counts what it is asked."""

    def __init__(self, config: Path, offices: Offices, switch: FakeSwitch) -> None:
        self.switch = switch
        self.looked_up: list[str] = []
        self.application = Application(offices, self._identify, Routes(OPERATIONS), Jobs(config, offices))

    async def _identify(self, office: Office, token: str, source: str) -> Principal:
        self.looked_up.append(token)
        return await identify(office, token, source)

    async def read(self, login: str, **head: str) -> Answered:
        return await answered(self.application, "GET", "/status", headers={"authorization": f"Bearer {login}", **head})

    async def patient(self, login: str, **head: str) -> Answered:
        return await self.read(login, prefer="wait=1", **head)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    config = tmp_path / "vosd.yaml"
    config.write_text(
        f"database: {{url: '{migrated(tmp_path / 'vosd.db')}'}}\nstate_dir: {tmp_path}\n"
        f"control_socket: {tmp_path}/vosd.sock\n"
    )
    async with Offices(config) as offices, FakeSwitch(tmp_path / "vosd.sock").answers(GetStatus, status_of()) as switch:
        yield Site(config, offices, switch)


async def test_all_with_the_same_rights_get_one_answer_and_are_looked_up_every_few_seconds(site: Site) -> None:
    await site.patient(LOGINS[0])
    answers = await asyncio.gather(*(site.patient(login) for login in LOGINS))
    assert {each.status for each in answers} == {200}
    assert len({each.content for each in answers}) == 1
    assert len(site.switch.asked) == 2, "the first one, and one for all who came behind it"
    assert sorted(site.looked_up) == sorted(LOGINS)


@pytest.mark.parametrize("head", [{}, {"prefer": "wait=0"}, {"prefer": "respond-async"}])
async def test_who_has_no_time_waits_for_no_other(site: Site, head: dict[str, str]) -> None:
    for _ in range(3):
        assert (await site.read(LOGINS[0], **head)).status == 200
    assert len(site.switch.asked) == len(site.looked_up) == 3


@pytest.mark.parametrize("preference", ["Wait=1", "respond-async, wait = 10", 'WAIT="05"'])
async def test_a_preference_has_any_case_and_stands_beside_others(site: Site, preference: str) -> None:
    answers = await asyncio.gather(*(site.read(login, prefer=preference) for login in LOGINS))
    assert {each.status for each in answers} == {200}
    assert len(site.switch.asked) < len(LOGINS)


async def test_none_gets_the_answer_of_other_rights(site: Site) -> None:
    waiting = (ADMINISTRATOR, VIEWER, f"{CUSTOMER}acme", "unknown")
    answers = await asyncio.gather(*(site.patient(login) for login in waiting))
    assert [each.status for each in answers] == [200, 200, 403, 401]
    assert len(site.switch.asked) == 2


async def test_the_answer_of_all_is_compressed_once_for_those_who_take_it_so(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "COMPRESSED_FROM", 1)
    compressed: list[bytes] = []

    def compress(content: bytes, **_: object) -> bytes:
        compressed.append(content)
        return b"packed"

    monkeypatch.setattr("gzip.compress", compress)
    plain, *packed = await asyncio.gather(
        site.patient(VIEWER), *(site.patient(login, **{"accept-encoding": "gzip"}) for login in LOGINS)
    )
    assert [(each.content, each.header("content-encoding")) for each in packed] == [(b"packed", ["gzip"])] * len(LOGINS)
    assert compressed == [plain.content]
