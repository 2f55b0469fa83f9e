"""Processor time of a change among many objects of the database, by stage: ``python -m bench.stored [NUMBER]``.

One trunk is changed, one account is added, ten accounts are deleted, among as many accounts as trunks. The definitions
are read and put together as the switch does, in its own process, without calls beside it; also how long a first load
takes, which a start has to wait for.
"""

import asyncio
import gc
import sys
import tempfile
import time
from pathlib import Path

from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config import load as loading, reload as reloading
from vosd.config.assembly.remembered import Remembered
from vosd.config.kept import KeptCatalogue
from vosd.config.reader.collector import without_collector
from vosd.config.reader.whole_files import read_by_a_process
from vosd.daemon.definitions import StoredDefinitions
from vosd.storage.database import Database
from vosd.storage.decks import SqlDecks
from vosd.storage.migrate import migrate
from vosd.storage.stored_objects import SqlObjects

from .reload import Stages
from .targets import configuration

NUMBER = 100_000
TURNS = 6
DELETED = 10


def account(name: str, version: int = 1) -> ObjectVersion:
    """Return an account."""
    body = '{"type":"direct","rate_group":"sell"}'
    return ObjectVersion(kind="accounts", name=name, version=version, body=body, begins_at=1, made_at=1, operator="ann")


def trunk(number: int, version: int = 1) -> ObjectVersion:
    """Return the trunk of an account, with a limit that says its version."""
    host = f"12.{number >> 16}.{(number >> 8) & 255}.{number & 255}/32"
    body = f'{{"account":"s{number}","hosts":["{host}"],"max_cps":{version}}}'
    return ObjectVersion(
        kind="mapping_gateways", name=f"u{number}", version=version, body=body, begins_at=1, made_at=1, operator="ann"
    )


def gone(name: str) -> ObjectVersion:
    """Return the end of an account."""
    return ObjectVersion(
        kind="accounts", name=name, version=2, body=None, begins_at=1, made_at=1, operator="ann"
    )  # fmt: skip


def add(url: str, objects: list[ObjectVersion]) -> None:
    """Write versions of objects."""

    async def run() -> None:
        database = Database(url)
        await SqlObjects(database).add(objects)
        await database.close()

    asyncio.run(run())


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else NUMBER
    definitions, remembered, stages = StoredDefinitions(SqlDecks, SqlObjects), Remembered(), Stages()
    remembered.reads = read_by_a_process
    stages.watch(Remembered, "files")
    stages.watch(StoredDefinitions, "read")
    for name in ("source_of", "assemble"):
        stages.watch(loading, name)
    stages.watch(reloading, "losses")
    stages.watch(Remembered, "renew")
    stages.watch(KeptCatalogue, "keep")
    with tempfile.TemporaryDirectory() as directory:
        path, url = Path(directory, "vosd.yaml"), f"sqlite+aiosqlite:///{directory}/vosd.db"
        path.write_text(configuration(url, 10))
        migrate(url)
        spare = [f"x{turn}-{each}" for turn in range(TURNS) for each in range(DELETED)]
        add(url, [*(account(f"s{each}") for each in range(number)), *map(account, spare)])
        add(url, [trunk(each) for each in range(number)])
        began, wall = time.process_time(), time.monotonic()
        with without_collector():
            loaded = loading.load(path, definitions=definitions.read, remembered=remembered)
            gc.freeze()  # as a start does
        print(
            f"{number:,} accounts and trunks: a first load {time.process_time() - began:.1f} s of processor time, "
            f"{time.monotonic() - wall:.1f} s"
        )
        KeptCatalogue(loaded.settings.state_dir).keep(loaded.stored, loaded.texts)
        for turn in range(TURNS):
            gc.collect()
            gc.freeze()
            deleted = [gone(name) for name in spare[turn * DELETED : (turn + 1) * DELETED]]
            add(url, [trunk(number // 2, turn + 2), account(f"n{turn}"), *deleted])
            stages.seconds.clear()
            began = time.process_time()
            outcome = reloading.reload(path, loaded, definitions=definitions.read, remembered=remembered)
            assert outcome.is_accepted, outcome.problems
            KeptCatalogue(outcome.in_force.settings.state_dir).keep(outcome.in_force.stored, outcome.in_force.texts)
            taken = time.process_time() - began
            loaded = outcome.in_force
            shown = ", ".join(f"{name} {1_000 * seconds:.1f}" for name, seconds in stages.seconds.items())
            print(f"{1_000 * taken:8.1f} ms  {shown}")


if __name__ == "__main__":
    main()
