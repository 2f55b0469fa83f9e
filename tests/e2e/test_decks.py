"""Decks of rates, through the daemon: an import is in force by itself, not for running calls; a rollback undoes it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from doubles.daemon import Daemon

from vosd.config.kept import KeptCatalogue

from .addresses import DECK_SWITCH
from .conditions import eventually
from .conversation import Conversation, conversing
from .stage import Stage, configuration

SHEET = "prefix,area,billing_rate,billing_cycle\n44,United Kingdom,{price},60\n4479,Closed,,\n"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Daemon(tmp_path_factory.mktemp("decks"), configuration("decks.yaml", DECK_SWITCH)) as daemon:
        stage = Stage(daemon, DECK_SWITCH)
        stage.pay("acme", "100")
        yield stage
        stage.expect_nothing_left()
        stage.expect_books_in_order()
        assert daemon.interrupt() == 0


def sheet(stage: Stage, price: str) -> str:
    path = stage.daemon.directory / "rates.csv"
    path.write_text(SHEET.format(price=price), encoding="utf-8")
    return str(path)


def imported(stage: Stage, price: str) -> int:
    """Import a deck and wait until the switch has it; return its version."""
    version: int = stage.daemon.ask("rates", "import", "sell", sheet(stage, price))["version"]
    in_force(stage, version)
    return version


def in_force(stage: Stage, version: int) -> None:
    def is_kept() -> bool:
        decks = KeptCatalogue(stage.daemon.directory / "var").manifest().decks
        return [deck.number for deck in decks] == [version]

    eventually(is_kept, f"version {version} of the deck in force")


def rated(stage: Stage, conversation: Conversation) -> tuple[str, str]:
    """Return the price of a minute of a call, and the version of the deck, as its breakdown has them."""
    record: dict[str, Any] = stage.record_of(conversation.callee)
    rate = record["fee_breakdown"]["customer"][0]
    return rate["billing_rate"], rate["version"].partition("-")[0]


def test_a_call_has_the_rate_of_the_deck_in_force_when_it_began(stage: Stage) -> None:
    callees = "4410", "4411", "4412", "4413", "4414", "4479"
    with conversing(stage, *callees) as (refused, first, second, third, fourth, closed):
        refused.call.invite()
        assert refused.call.refused().status == 403  # nothing was imported yet
        assert imported(stage, "0.60") == 1
        first.establish()
        assert imported(stage, "0.90") == 2
        second.establish()
        for conversation in (first, second):
            conversation.hang_up()
        assert rated(stage, first) == ("0.60", "1")
        assert rated(stage, second) == ("0.90", "2")

        tried = stage.daemon.ask("rates", "import", "sell", sheet(stage, "1.20"), "--dry-run", "--traffic", "1")
        assert (tried["version"], tried["changes"]["up"]) == (None, 1)
        margin = tried["margin"]
        assert (margin["calls"], margin["refused"]) == (2, 0)
        assert 3 * Decimal(margin["fee_after"]) == 4 * Decimal(margin["fee_before"])

        bad = stage.daemon.verb("rates", "import", "sell", sheet(stage, "0,70"))
        assert bad.code == 1
        assert stage.daemon.ask("rates", "rollback", "sell")["version"] == 3
        in_force(stage, 3)
        third.establish()
        third.hang_up()
        assert rated(stage, third) == ("0.60", "3")
        closed.call.invite()
        assert closed.call.refused().status == 403

        assert stage.daemon.ask("rates", "rollback", "sell", "--to", "0", "--force")["rates"] == 0
        in_force(stage, 4)
        fourth.call.invite()
        assert fourth.call.refused().status == 403  # as before the first import
    modes = [each["mode"] for each in stage.daemon.ask("rates", "versions", "sell")]
    assert modes == ["rollback", "rollback", "full", "full"]
