"""Verbs of an installation with many accounts in its database: they read what they show, and no more."""

import asyncio
import os
import shutil
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from doubles.installation import Installation

from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.kept import KeptCatalogue
from vosd.config.load import load
from vosd.daemon.definitions import StoredDefinitions
from vosd.storage.database import Database
from vosd.storage.decks import SqlDecks
from vosd.storage.stored_objects import SqlObjects

FEW, MANY = 1_100, 3_100
"""Accounts of the database: a list reads a thousand at once."""
CALLS_MAX = 1_000
"""Function calls by which a verb may differ: half a call for each further account."""
OF_ONE = (
    "account show a00007",
    "account set a00007 --overdraft-limit 7",
    "account list",
    "account list --limit 9",
    "definitions show accounts a00007",
    "definitions list --limit 9",
    "ledger list --account a00007",
    "payment add --account a00008 --amount 1",  # not of a00007, whose ledger would be longer each time
    "rate explain --account a00007 --callee 4412 --duration 60",
    "why --account a00007",
    "overrides list",
    "audit",
)
OF_ALL = {"account groups": 25, "rates groups": 15}
"""Verbs that add up all accounts, and the calls that each account may cost."""


@pytest.fixture
def installation(tmp_path: Path, migrated: Path) -> Installation:
    installation = Installation(tmp_path)
    shutil.copy(migrated, installation.database)
    state = tmp_path / "state"
    state.mkdir()
    installation.config.write_text(f"state_dir: {state}\n{installation.config.read_text()}")
    return installation


def define(installation: Installation, first: int, beyond: int) -> None:
    """Define accounts, and keep the definitions as a running switch does."""
    objects = [
        ObjectVersion(
            kind="accounts", name=f"a{number:05}", version=1, body='{"currency":"USD","rate_group":"sell"}',
            begins_at=1, made_at=1, operator="ann",
        )
        for number in range(first, beyond)
    ]  # fmt: skip

    async def add() -> None:
        database = Database(installation.url)
        await SqlObjects(database).add(objects)
        await database.close()

    asyncio.run(add())
    loaded = load(installation.config, os.environ, definitions=StoredDefinitions(SqlDecks, SqlObjects).read)
    assert len(loaded.catalogue.accounts) == beyond + 2
    KeptCatalogue(loaded.settings.state_dir).keep(loaded.stored, loaded.texts)


def calls_of(installation: Installation, verb: str) -> int:
    """Return how many functions a verb calls, in all threads."""
    number = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal number
        number += event in {"call", "c_call"}

    threading.setprofile(count)
    sys.setprofile(count)
    try:
        result = installation.vosd(*verb.split())
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output
    return number


def test_the_work_of_a_verb_does_not_grow_with_the_accounts_that_it_does_not_show(installation: Installation) -> None:
    define(installation, 0, FEW)
    for verb in (*OF_ONE, *OF_ALL):
        installation.vosd(*verb.split())  # the first one imports
    few = {verb: calls_of(installation, verb) for verb in (*OF_ONE, *OF_ALL)}
    define(installation, FEW, MANY)
    grown = {verb: calls_of(installation, verb) - few[verb] for verb in few}
    assert {verb: more for verb, more in grown.items() if more > OF_ALL.get(verb, 0) * (MANY - FEW) + CALLS_MAX} == {}
