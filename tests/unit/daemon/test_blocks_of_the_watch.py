"""Blocks of the watch over destinations, as the audit shows them."""

import json
from pathlib import Path

import pytest
from doubles.fraud_scene import Scene
from doubles.migrated import migrated

from vosd.billing.spending import SpendAction
from vosd.catalogue.overrides import Override
from vosd.cdr.ports import StoreUnavailable
from vosd.daemon.fraud import WatchBlocks
from vosd.storage.audit import SqlAudit
from vosd.storage.database import Database


class UnansweredOnce(WatchBlocks):
    """Loses the answer of its first commit."""

    answered = 0

    async def block(self, block: Override, now: int) -> None:
        await super().block(block, now)
        self.answered += 1
        if self.answered == 1:
            raise StoreUnavailable("the connection was lost")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return migrated(tmp_path / "vosd.db")


async def test_a_block_whose_commit_was_not_answered_has_one_line_in_the_audit(url: str) -> None:
    scene, database = Scene(minutes=5, action=SpendAction.BLOCK), Database(url)
    try:
        scene.store = store = UnansweredOnce(database)
        scene.answer()
        assert await scene.pass_minutes(5.5) == ["fraud_suspected"]
        assert await scene.pass_minutes(1) == []
        assert store.answered == 2
        assert len(await SqlAudit(database).newest(10)) == len(await store.changes(10)) == 1
        assert scene.blocked == ["acme/premium"]
    finally:
        await database.close()


async def test_a_block_of_the_watch_has_one_line_in_the_audit_also_where_the_database_was_away(url: str) -> None:
    scene, database = Scene(minutes=5, action=SpendAction.BLOCK, block_for_s=600), Database(url)
    try:
        scene.store = WatchBlocks(database)
        scene.answer()
        assert await scene.pass_minutes(4) == []
        scene.calls.is_away = True
        assert await scene.pass_minutes(2) == ["fraud_suspected"]
        blocked_at = scene.clock.now().wall
        assert await SqlAudit(database).newest(10) == []
        scene.calls.is_away = False
        assert await scene.pass_minutes(1) == []
        assert await scene.pass_minutes(1) == []
        (line,) = await SqlAudit(database).newest(10)
        assert (line.at, line.principal, line.means) == (blocked_at, "the fraud watch", "switch")
        assert (line.action, line.subject) == ("BlockAccount", "acme/premium")
        order = {"account": "acme", "destination": "premium", "until": blocked_at + 600_000, "incoming": False}
        assert json.loads(line.detail) == {**order, "memo": "6.0 minutes in an hour, 5.0 allowed"}
        assert scene.blocked == ["acme/premium"]
    finally:
        await database.close()
