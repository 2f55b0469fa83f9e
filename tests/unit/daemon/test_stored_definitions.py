"""Definitions in the database: read at a start and when they change; what holds when they cannot be used."""

import asyncio
import gc
import hashlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from doubles.countries import write_countries
from doubles.data.builders import account
from doubles.forked_program import Subprocesses
from doubles.kept_log import log_as_it_was
from doubles.migrated import migrated
from doubles.steps import begin_nothing
from e2e.addresses import NETWORK
from structlog.testing import capture_logs

from vosd.catalogue.decks import DeckVersion
from vosd.catalogue.losses import Busy
from vosd.catalogue.problems import ConfigError
from vosd.catalogue.stored_objects import Objects, ObjectVersion
from vosd.cdr.ports import StoreUnavailable
from vosd.config.assembly import rate_compilers
from vosd.config.kept import KeptCatalogue
from vosd.config.load import load
from vosd.config.reader import whole_files
from vosd.config.stored import Stored, Wanted
from vosd.daemon import bootstrap, definitions
from vosd.daemon.bootstrap import Daemon
from vosd.daemon.definitions import RETRY_S, DefinitionWatch, StoredDefinitions
from vosd.daemon.reload import READERS_MAX
from vosd.daemon.start import load_at_start
from vosd.daemon.systemd import Notifier
from vosd.storage.database import Database
from vosd.storage.schema import CATALOGUE
from vosd.storage.separate_books import SeparateBooks
from vosd.storage.stored_objects import SqlObjects

HEADER = "prefix,billing_rate\n"
NOW = 1_800_000_000_000
_ports = count(19_000)
"""Ports of the switches, one after the other: the socket of a test that fails stays open."""


class Decks:
    """Decks in memory; ``is_away`` as a database that does not answer."""

    def __init__(self) -> None:
        self.number = 0
        self.contents: dict[str, bytes] = {}
        self.is_away = False
        self.are_rows_away = False
        self.fetched = 0
        self.asked = 0

    def put(self, group: str, rows: str) -> None:
        self.number += 1
        self.contents[group] = (HEADER + rows).encode()

    async def version(self) -> int:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailable("cannot reach it")
        return self.number

    async def advance_beyond(self, lost: int) -> None:
        self.number = max(self.number, lost) + 1_000

    async def all_current(self) -> Sequence[DeckVersion]:
        return [
            DeckVersion(group, self.number, hashlib.sha256(content).hexdigest(), content.count(b"\n") - 1)
            for group, content in self.contents.items()
        ]

    async def rows(self, version: DeckVersion) -> AsyncGenerator[bytes, None]:
        self.fetched += 1
        if self.are_rows_away:
            raise StoreUnavailable("cannot reach it")
        yield self.contents[version.group]


class Site:
    """A configuration with a database, and its decks."""

    def __init__(self, directory: Path) -> None:
        self.decks = Decks()
        self.now = NOW
        self.definitions = StoredDefinitions(lambda _database: self.decks, SqlObjects, lambda: self.now)
        self.url = migrated(directory / "vosd.db")
        self.file = directory / "vosd.yaml"
        self._head = (
            f"sip: {{listen: ['udp:{NETWORK}.1:{next(_ports)}']}}\nstate_dir: {directory}/var\n"
            f"database: {{url: '{self.url}'}}\n"
            f"control_socket: {directory}/vosd.sock\naccounts: [{{id: acme, rate_group: sell}}]\n"
        )
        self.write("deck: true")

    def write(self, rates: str, more: str = "") -> None:
        self.file.write_text(f"{self._head}rate_groups: [{{name: sell, {rates}}}]\n{more}")

    def define(
        self, version: int, body: str | None, *, at: int = 0, made_at: int | None = None, name: str = "shop"
    ) -> None:
        """Add a version of an account to the database; ``made_at`` None = it was made when it begins."""
        made = ObjectVersion(
            kind="accounts",
            name=name,
            version=version,
            body=body,
            begins_at=at,
            made_at=at if made_at is None else made_at,
            operator="ann",
        )

        async def run() -> None:
            database = Database(self.url)
            await SqlObjects(database).add([made])
            await database.close()

        self.decks.number += 1
        asyncio.run(run())

    def lose(self, commits: int) -> None:
        """Lose the last versions of objects, as a failover to a replica that lags does; the lease stays as it is."""
        self.decks.number -= commits
        with closing(sqlite3.connect(self.url.partition("///")[2])) as database, database:
            (version,) = database.execute("SELECT value FROM counter WHERE name = ?", [CATALOGUE]).fetchone()
            database.execute("DELETE FROM definition WHERE changed > ?", [version - commits])
            database.execute("UPDATE counter SET value = ? WHERE name = ?", [version - commits, CATALOGUE])

    def daemon(self) -> Daemon:
        daemon = Daemon(self.file, load_at_start(self.file, self.definitions.read), Notifier(None))
        daemon._definitions._now = lambda: self.now
        return daemon


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    site = Site(tmp_path)
    monkeypatch.setattr(bootstrap, "SqlDecks", lambda _database: site.decks)
    monkeypatch.setattr(bootstrap, "DEFINITIONS", site.definitions)
    monkeypatch.setattr(SeparateBooks, "start", begin_nothing)
    # The switch would take a change by itself between two steps of a test, where the machine is busy.
    monkeypatch.setattr(definitions, "POLL_S", 86_400.0)
    for module in (rate_compilers, whole_files):
        monkeypatch.setattr(module, "subprocess", Subprocesses)
    with log_as_it_was():  # a reload configures the log
        yield site


def size_of(daemon: Daemon) -> int:
    return daemon.service.switch.catalogue.rate_groups["sell"].table.size


def stored_of(daemon: Daemon) -> Stored:
    return daemon.configuration.loaded.stored


async def run_to(daemon: Daemon, last: str) -> list[str]:
    """Start up to a step; return the log's events."""
    with capture_logs() as log:
        for step in daemon.steps():
            await step.start()
            if step.name == last:
                break
    return [line["event"] for line in log]


async def stop(daemon: Daemon, first: str) -> None:
    steps = daemon.steps()
    names = [step.name for step in steps]
    for step in reversed(steps[: names.index(first) + 1]):
        await step.stop()


async def _life(site: Site, daemon: Daemon) -> tuple[list[str], int]:
    events = await run_to(daemon, "reloads")
    size = size_of(daemon)
    await stop(daemon, "reloads")
    return events, size


def lived(site: Site) -> tuple[list[str], int, str | None]:
    with capture_logs() as log:
        daemon = site.daemon()
    events, size = asyncio.run(_life(site, daemon))
    return [*(line["event"] for line in log), *events], size, daemon.configuration.last_error


def test_a_start_reads_the_decks_and_fetches_only_what_is_new(site: Site) -> None:
    site.decks.put("sell", "44,0.012\n")
    site.decks.put("unused", "1,1\n")
    assert lived(site)[1:] == (1, None)
    assert lived(site)[1:] == (1, None)
    assert site.decks.fetched == 1
    site.decks.put("sell", "44,0.012\n45,0.012\n")
    assert lived(site)[1:] == (2, None)
    assert site.decks.fetched == 2


def test_a_start_fetches_the_rows_again_that_a_failing_disk_has_damaged(site: Site) -> None:
    site.decks.put("sell", "44,0.01\n4420,0.02\n")
    load_at_start(site.file, site.definitions.read)
    path = KeptCatalogue(site.file.parent / "var").path_of(hashlib.sha256(site.decks.contents["sell"]).hexdigest())
    assert path is not None
    path.write_text(HEADER + "44,0.01\n")  # cut off between two lines
    site.definitions = StoredDefinitions(lambda _database: site.decks, SqlObjects)
    load_at_start(site.file, site.definitions.read)
    assert (path.read_bytes(), site.decks.fetched) == (site.decks.contents["sell"], 2)
    load_at_start(site.file, site.definitions.read)
    assert site.decks.fetched == 2


def test_a_load_with_decks_asks_the_database_once(site: Site) -> None:
    site.decks.put("sell", "44,0.012\n")
    load_at_start(site.file, site.definitions.read)
    assert (site.decks.asked, site.decks.fetched) == (1, 1)


def test_a_change_is_in_force_within_a_poll_and_a_refused_one_is_tried_once(site: Site) -> None:
    async def run() -> None:
        await run_to(daemon, "reloads")
        watch = daemon._definitions
        site.decks.put("sell", "44,0.012\n45,0.012\n")
        await watch.look()
        assert (size_of(daemon), daemon.configuration.last_error) == (2, None)
        site.decks.put("sell", "44,much\n")
        with capture_logs() as log:
            await watch.look()
            await watch.look()
        assert [line["event"] for line in log] == ["reload_refused"]
        assert size_of(daemon) == 2
        assert "44,much" not in str(daemon.configuration.last_error)
        assert "billing_rate" in str(daemon.configuration.last_error)
        site.decks.put("sell", "44,0.01\n")
        await watch.look()
        assert (size_of(daemon), daemon.configuration.last_error) == (1, None), "the import has asked, not the reload"
        await stop(daemon, "reloads")

    site.decks.put("sell", "44,0.012\n")
    daemon = site.daemon()
    asyncio.run(run())


def test_changes_leave_nothing_in_the_switch_that_is_never_freed(site: Site) -> None:
    """Each reads the database by a connection of its own, which refers to itself, and configures the log."""
    out_of_sight: list[int] = []

    async def run() -> None:
        await run_to(daemon, "reloads")
        for number in range(1, 9):
            await asyncio.to_thread(site.define, number, f'{{"rate_group":"sell","overdraft_limit":"{number}"}}')
            gc.collect(0)  # that was no connection of the switch
            await daemon._definitions.look()
            out_of_sight.append(gc.get_freeze_count())
        assert daemon.service.switch.catalogue.accounts["shop"].overdraft_limit == 8
        await stop(daemon, "reloads")

    daemon = site.daemon()
    usual = gc.get_threshold()
    gc.set_threshold(*bootstrap.GC_THRESHOLDS)
    try:
        asyncio.run(run())
    finally:
        gc.set_threshold(*usual)
    assert out_of_sight[-1] - out_of_sight[2] < 700, out_of_sight


def test_an_order_that_ends_an_object_needs_no_confirmation_of_the_switch_and_a_shorter_file_does(site: Site) -> None:
    """A change that was planned, or that the switch sees before the order's own request, is no truncated file."""

    async def run() -> None:
        await run_to(daemon, "reloads")
        watch = daemon._definitions
        assert daemon.service.switch.catalogue.accounts.keys() == {"acme", "shop"}
        await asyncio.to_thread(site.define, 2, None)
        await watch.look()
        assert (daemon.configuration.last_error, daemon.service.switch.catalogue.accounts.keys()) == (None, {"acme"})
        await asyncio.to_thread(site.define, 1, '{"rate_group":"sell"}', name="north")
        site.file.write_text(site.file.read_text().replace("accounts: [{id: acme, rate_group: sell}]", "accounts: []"))
        await watch.look()
        assert "the file removes 1 of 1 accounts: acme" in str(daemon.configuration.last_error)
        await stop(daemon, "reloads")

    site.define(1, '{"rate_group":"sell"}')
    daemon = site.daemon()
    asyncio.run(run())


def test_a_start_while_the_database_is_away_uses_the_decks_of_last_time(site: Site) -> None:
    site.decks.put("sell", "44,0.012\n")
    lived(site)
    site.decks.is_away = True
    events, size, error = lived(site)
    assert (events.count("definitions_outdated"), size, error) == (2, 1, None)
    site.decks.is_away = False
    events, *_ = lived(site)
    assert [each for each in events if each.startswith("definitions_")] == ["definitions_read"]


def test_definitions_that_could_not_be_read_are_read_again_although_their_version_is_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> list[str]:
        await run_to(daemon, "reloads")
        site.decks.is_away = False
        monkeypatch.setattr("vosd.obs.log.configure", lambda _level: None)  # it would end what captures the log
        with capture_logs() as log:
            for _ in range(2):
                await daemon._definitions.look()
        assert stored_of(daemon).unread is None
        await stop(daemon, "reloads")
        return [line["event"] for line in log if line["event"] in {"configuration_loaded", "definitions_read"}]

    site.decks.put("sell", "44,0.012\n")
    lived(site)
    site.decks.is_away = True
    daemon = site.daemon()
    assert asyncio.run(run()) == ["configuration_loaded", "definitions_read"]


def test_a_deck_whose_rows_could_not_be_read_is_not_taken_for_the_new_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        await run_to(daemon, "reloads")
        watch = daemon._definitions
        before = stored_of(daemon).version
        site.decks.put("sell", "44,0.012\n45,0.012\n")
        site.decks.are_rows_away = True
        await watch.look()
        assert (size_of(daemon), stored_of(daemon).version, stored_of(daemon).unread) == (1, before, "cannot reach it")
        assert [deck.number for deck in stored_of(daemon).decks] == [1]
        site.decks.are_rows_away = False
        monkeypatch.setattr(watch, "_tried_at", watch._tried_at - RETRY_S)
        await watch.look()
        assert (size_of(daemon), stored_of(daemon).version, stored_of(daemon).unread) == (2, site.decks.number, None)
        await stop(daemon, "reloads")

    site.decks.put("sell", "44,0.012\n")
    daemon = site.daemon()
    asyncio.run(run())


def test_a_start_while_the_rows_of_a_new_deck_cannot_be_read_uses_those_of_last_time(site: Site) -> None:
    site.decks.put("sell", "44,0.012\n")
    lived(site)
    site.decks.put("sell", "44,0.012\n45,0.012\n")
    site.decks.are_rows_away = True
    events, size, error = lived(site)
    assert ("definitions_outdated" in events, size, error) == (True, 1, None)


def test_definitions_whose_accounts_could_not_be_opened_are_tried_again_after_a_while(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        await run_to(daemon, "reloads")
        watch = daemon._definitions

        async def away(*_: object) -> None:
            raise StoreUnavailable("cannot reach it")

        await asyncio.to_thread(site.define, 1, '{"rate_group":"sell","overdraft_limit":"5"}')
        with monkeypatch.context() as patched:
            patched.setattr(daemon.service.balances, "adopt", away)
            await watch.look()
        await watch.look()
        assert limit_of(daemon) is None
        monkeypatch.setattr(watch, "_tried_at", watch._tried_at - RETRY_S)
        await watch.look()
        assert limit_of(daemon) == "5"
        await stop(daemon, "reloads")

    daemon = site.daemon()
    asyncio.run(run())


def test_a_reload_whose_accounts_could_not_be_opened_leaves_the_countries_of_before(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def run() -> None:
        await run_to(daemon, "reloads")

        async def away(*_: object) -> None:
            raise StoreUnavailable("cannot reach it")

        site.write("deck: true")
        with monkeypatch.context() as patched:
            patched.setattr(daemon.service.balances, "adopt", away)
            with pytest.raises(StoreUnavailable):
                await daemon.configuration.reload()
        assert daemon.service.countries.of("5.0.0.9") == "DE"
        await daemon.configuration.reload()
        assert daemon.service.countries.of("5.0.0.9") == ""
        await stop(daemon, "reloads")

    write_countries(tmp_path / "countries.mmdb")
    site.write("deck: true", f"access: {{database: {tmp_path}/countries.mmdb}}\n")
    daemon = site.daemon()
    asyncio.run(run())


def test_a_version_for_which_the_reader_of_the_files_was_killed_is_tried_again_but_not_for_ever(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        await run_to(daemon, "reloads")
        watch = daemon._definitions

        async def look_after_a_while() -> str | None:
            watch._tried_at -= RETRY_S
            await watch.look()
            return limit_of(daemon)

        def change(version: int, limit: str) -> None:
            site.define(version, f'{{"rate_group":"sell","overdraft_limit":"{limit}"}}')
            site.file.write_text(f"{site.file.read_text()}# {version}\n")  # files as they were are not read again

        with monkeypatch.context() as patched:
            patched.setattr(whole_files, "subprocess", subprocess)  # executes a program
            await asyncio.to_thread(change, 1, "5")
            for executable, said in (("/bin/false", "has ended"), ("/missing", "cannot be started")):
                patched.setattr(sys, "executable", executable)
                assert await look_after_a_while() is None
                assert f"the process that reads it {said}" in (daemon.configuration.last_error or "")
        assert await look_after_a_while() == "5"
        with monkeypatch.context() as patched:
            patched.setattr(whole_files, "subprocess", subprocess)  # executes a program
            patched.setattr(sys, "executable", "/bin/false")
            await asyncio.to_thread(change, 2, "6")
            for _ in range(READERS_MAX):
                assert await look_after_a_while() == "5"
        assert await look_after_a_while() == "5", "a version that kills its reader again and again is refused"
        await asyncio.to_thread(change, 3, "7")
        assert await look_after_a_while() == "7"
        await stop(daemon, "reloads")

    daemon = site.daemon()
    asyncio.run(run())


def test_what_changed_while_the_database_was_away_is_in_force_before_calls_are_taken(site: Site) -> None:
    site.decks.put("sell", "44,0.012\n")
    lived(site)
    site.decks.is_away = True
    daemon = site.daemon()
    assert size_of(daemon) == 1
    site.decks.is_away = False
    site.decks.put("sell", "44,0.012\n45,0.012\n")
    assert asyncio.run(_life(site, daemon))[1] == 2


def test_listeners_open_once_all_is_begun_that_calls_need(site: Site) -> None:
    names = [step.name for step in site.daemon().steps()]
    before = names[: names.index("listeners")]
    needed = {"database", "lease", "bookkeeper", "switch", "watch over destinations", "late database", "definitions"}
    assert needed - {*before} == set()


def test_a_start_with_the_same_rates_in_both_uses_the_last_good_catalogue_with_an_alarm(site: Site) -> None:
    site.decks.put("sell", "44,0.012\n45,0.012\n")
    lived(site)
    site.write("rates: [{prefix: 1, billing_rate: 1}]")
    for _ in range(2):  # the fallback is not kept as good
        events, size, error = lived(site)
        assert ("catalogue_fallback" in events, size) == (True, 2)
        assert "deck sell (version 1) in the database: rate_groups[sell].rates" in str(error)
    site.write("deck: true")
    assert lived(site)[1:] == (2, None)


def test_without_a_last_good_catalogue_the_files_alone_are_in_force(site: Site) -> None:
    site.decks.put("sell", "44,0.012\n45,0.012\n")
    site.write("rates: [{prefix: 1, billing_rate: 1}]")
    events, size, error = lived(site)
    assert ("catalogue_fallback" in events, size) == (True, 1)
    assert error is not None


def test_a_mistake_in_the_files_ends_a_start_as_ever(site: Site) -> None:
    lived(site)
    site.write("deck: maybe")
    with pytest.raises(ConfigError, match="yes or no"):
        load_at_start(site.file, site.definitions.read)


async def test_definitions_that_could_not_be_read_are_tried_again_after_a_while(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    stored = load(site.file).stored._replace(unread="away")

    async def reload() -> bool:
        tried.append(site.decks.number)
        return True

    watch = DefinitionWatch(site.decks, lambda: stored, reload)
    site.decks.number = 5
    await watch.look()
    await watch.look()
    assert tried == [5]
    monkeypatch.setattr(watch, "_tried_at", watch._tried_at - RETRY_S)
    await watch.look()
    assert tried == [5, 5]


def test_a_database_that_gives_no_answer_holds_up_no_start_that_has_kept_definitions(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.decks.put("sell", "44,0.012\n45,0.012\n")
    lived(site)

    async def no_answer() -> int:
        return await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(definitions, "FIRST_ANSWER_S", 0)
    monkeypatch.setattr(site.decks, "version", no_answer)
    daemon = site.daemon()
    assert size_of(daemon) == 2
    assert "did not answer" in str(stored_of(daemon).unread)


@pytest.mark.parametrize(("unread", "is_away"), [(None, False), ("away", False), ("away", True)])
async def test_a_start_waits_only_for_definitions_that_could_not_be_read(
    site: Site, unread: str | None, is_away: bool
) -> None:
    """What changed since the load is read a second later: calls of an earlier run wait for the listeners."""
    tried: list[int] = []
    stored = load(site.file).stored._replace(unread=unread)

    async def reload() -> bool:
        tried.append(site.decks.number)
        return True

    watch = DefinitionWatch(site.decks, lambda: stored, reload)
    site.decks.number = 5
    await watch.begin(is_away=is_away)
    await watch.end()
    assert tried == ([] if unread is None or is_away else [5])


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_change_is_loaded_by_the_switch_itself_only_if_it_is_not_told_of_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, is_told: bool
) -> None:
    """An order to end a gateway is confirmed by its own request: to refuse the end before was a false alarm."""
    tried: list[int] = []
    in_force = [load(site.file).stored._replace(version=0)]

    async def reload() -> bool:
        tried.append(5)
        in_force[0] = in_force[0]._replace(version=5)
        return True

    asked: asyncio.Queue[None] = asyncio.Queue()
    answers: asyncio.Queue[int] = asyncio.Queue()

    async def version() -> int:
        asked.put_nowait(None)
        return await answers.get()

    monkeypatch.setattr(definitions, "POLL_S", 0)
    monkeypatch.setattr(site.decks, "version", version)
    watch = DefinitionWatch(site.decks, lambda: in_force[0], reload)
    await watch.begin()
    for number in (0, 5):
        await asked.get()
        answers.put_nowait(number)
    await asked.get()
    assert tried == []
    if is_told:
        in_force[0] = in_force[0]._replace(version=5)
    answers.put_nowait(5)
    await asked.get()
    await watch.end()
    assert tried == ([] if is_told else [5])


def limit_of(daemon: Daemon) -> str | None:
    account = daemon.service.switch.catalogue.accounts.get("shop")
    return None if account is None else str(account.overdraft_limit)


async def _seen(site: Site, daemon: Daemon, change: Callable[[], None]) -> list[str | None]:
    """Return the limit of the account before and after a change that the switch looks for."""
    await run_to(daemon, "reloads")
    seen = [limit_of(daemon)]
    await asyncio.to_thread(change)
    await daemon._definitions.look()
    seen.append(limit_of(daemon))
    await stop(daemon, "reloads")
    return seen


def test_an_object_of_the_database_is_in_force_from_the_start_and_a_change_within_a_poll(site: Site) -> None:
    site.define(1, '{"rate_group":"sell","overdraft_limit":"5"}')
    daemon = site.daemon()
    changed = '{"rate_group":"sell","overdraft_limit":"7"}'
    assert asyncio.run(_seen(site, daemon, lambda: site.define(2, changed))) == ["5", "7"]


def test_an_object_that_ended_in_the_database_is_gone(site: Site) -> None:
    site.define(1, '{"rate_group":"sell","overdraft_limit":"5"}')
    site.define(1, '{"rate_group":"sell"}', name="others-1")
    site.define(1, '{"rate_group":"sell"}', name="others-2")
    site.define(1, '{"rate_group":"sell"}', name="others-3")
    site.define(1, '{"rate_group":"sell"}', name="others-4")
    assert asyncio.run(_seen(site, site.daemon(), lambda: site.define(2, None))) == ["5", None]


def test_a_planned_version_begins_by_itself(site: Site) -> None:
    site.define(1, '{"rate_group":"sell","overdraft_limit":"5"}')
    site.define(2, '{"rate_group":"sell","overdraft_limit":"9"}', at=NOW + 60_000, made_at=NOW)
    daemon = site.daemon()

    async def run() -> list[str | None]:
        await run_to(daemon, "reloads")
        seen = []
        for now in (NOW + 59_999, NOW + 60_000):
            site.now = now
            await daemon._definitions.look()
            seen.append(limit_of(daemon))
        await stop(daemon, "reloads")
        return seen

    assert asyncio.run(run()) == ["5", "9"]


def test_a_planned_version_that_a_clock_was_ahead_for_has_not_begun_once_it_is_right(site: Site) -> None:
    """With a price, calls would be charged by it until the switch is started again."""
    site.define(1, '{"rate_group":"sell","overdraft_limit":"5"}')
    site.define(2, '{"rate_group":"sell","overdraft_limit":"9"}', at=NOW + 3_600_000, made_at=NOW)
    daemon = site.daemon()
    command = StoredDefinitions(lambda _database: site.decks, SqlObjects, lambda: site.now, trusts_switch=True)

    async def run() -> list[tuple[str | None, str]]:
        await run_to(daemon, "reloads")
        seen = []
        for ahead_ms in (0, 7_200_000, 1_000, 0, 3_599_999, 3_600_000, 0, 7_200_000, 5_400_000, 0):
            site.now = NOW + ahead_ms
            await daemon._definitions.look()
            shown = await asyncio.to_thread(command.read, Wanted(site.file.with_name("var"), site.url, frozenset()))
            seen.append((limit_of(daemon), str(shown.objects["accounts"]["shop"].version)))
        await stop(daemon, "reloads")
        return seen

    of_first, of_second = ("5", "1"), ("9", "2")
    assert asyncio.run(run()) == [
        of_first, of_second, of_first, of_first, of_first, of_second, of_first, of_second, of_second, of_first
    ]  # fmt: skip


def test_orders_that_were_given_while_a_clock_was_ahead_hold_once_it_is_right(site: Site) -> None:
    site.define(1, '{"rate_group":"sell","overdraft_limit":"5"}')
    daemon = site.daemon()

    async def run() -> None:
        await run_to(daemon, "reloads")
        site.now = NOW + 600_000
        await asyncio.to_thread(site.define, 2, '{"rate_group":"sell","overdraft_limit":"9"}', at=site.now)
        await asyncio.to_thread(site.define, 1, '{"rate_group":"sell"}', at=site.now, name="north")
        for now in (site.now, NOW + 30_000):
            site.now = now
            await daemon._definitions.look()
            accounts = daemon.service.switch.catalogue.accounts.keys()
            assert (limit_of(daemon), accounts) == ("9", {"acme", "north", "shop"})
        await stop(daemon, "reloads")

    asyncio.run(run())
    assert limit_of(site.daemon()) == "9", "behind a new start, too"


@pytest.mark.parametrize("in_use", [set(), {"north"}])
def test_objects_that_a_clock_was_ahead_for_are_taken_back_without_a_question(site: Site, in_use: set[str]) -> None:
    """As if they were taken away by files: each later order would be refused, too."""
    site.define(1, '{"rate_group":"sell","overdraft_limit":"5"}')
    site.define(2, '{"rate_group":"sell","overdraft_limit":"9"}', at=NOW + 3_600_000, made_at=NOW)
    for name in ("north", "west"):
        site.define(1, '{"rate_group":"sell"}', name=name, at=NOW + 3_600_000, made_at=NOW)
    daemon = site.daemon()
    daemon.configuration._busy = lambda: Busy(in_use, frozenset())

    async def run() -> None:
        await run_to(daemon, "reloads")
        for ahead_ms, limit, accounts in (
            (7_200_000, "9", {"acme", "north", "shop", "west"}),
            (0, "5", {"acme", "shop"}),
        ):
            site.now = NOW + ahead_ms
            await daemon._definitions.look()
            assert daemon.configuration.last_error is None
            assert (limit_of(daemon), daemon.service.switch.catalogue.accounts.keys()) == (limit, accounts)
        await stop(daemon, "reloads")

    asyncio.run(run())


def test_a_planned_end_of_an_object_that_calls_use_begins_by_itself_with_all_that_was_planned_beside(
    site: Site,
) -> None:
    site.define(1, '{"rate_group":"sell"}')
    site.define(1, '{"rate_group":"sell","overdraft_limit":"5"}', name="north")
    site.define(2, None, at=NOW + 60_000, made_at=NOW)
    site.define(2, '{"rate_group":"sell","overdraft_limit":"9"}', name="north", at=NOW + 60_000, made_at=NOW)
    daemon = site.daemon()
    daemon.configuration._busy = lambda: Busy({"shop"}, frozenset())

    async def run() -> None:
        await run_to(daemon, "reloads")
        site.now = NOW + 60_000
        await daemon._definitions.look()
        accounts = daemon.service.switch.catalogue.accounts
        assert (daemon.configuration.last_error, accounts.keys()) == (None, {"acme", "north"})
        assert str(accounts["north"].overdraft_limit) == "9"
        await stop(daemon, "reloads")

    asyncio.run(run())


def test_agents_above_the_customer_of_a_running_call_are_in_use(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    request = SimpleNamespace(account=account("shop"), agents=[SimpleNamespace(account="reseller")], mapping=None)
    call = SimpleNamespace(call_request=request, call=SimpleNamespace(journey=SimpleNamespace(choice=None)))
    daemon = site.daemon()

    async def run() -> None:
        await run_to(daemon, "reloads")
        monkeypatch.setattr(daemon.service.switch, "calls", lambda: (call,))
        assert daemon._busy() == Busy({"shop", "reseller"}, set())
        monkeypatch.undo()
        await stop(daemon, "reloads")

    site.define(1, '{"rate_group":"sell"}')
    asyncio.run(run())


def test_an_end_without_confirmation_is_tried_again_until_no_call_uses_the_object(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        await run_to(daemon, "reloads")
        watch, in_use = daemon._definitions, {"shop"}
        daemon.configuration._busy = lambda: Busy(in_use, frozenset())
        await asyncio.to_thread(site.define, 2, None)
        for _ in range(2):
            await watch.look()
            assert "accounts that running calls use: shop" in str(daemon.configuration.last_error)
            monkeypatch.setattr(watch, "_tried_at", watch._tried_at - RETRY_S)
        in_use.clear()
        await watch.look()
        assert (daemon.configuration.last_error, daemon.service.switch.catalogue.accounts.keys()) == (None, {"acme"})
        await stop(daemon, "reloads")

    site.define(1, '{"rate_group":"sell"}')
    daemon = site.daemon()
    asyncio.run(run())


def test_a_database_that_has_lost_commits_is_followed_although_its_version_went_back(site: Site) -> None:
    async def run() -> None:
        await run_to(daemon, "reloads")
        watch = daemon._definitions
        await asyncio.to_thread(site.define, 2, '{"rate_group":"sell","overdraft_limit":"9"}')
        await asyncio.to_thread(site.define, 1, '{"rate_group":"sell"}', name="ghost")
        await watch.look()
        assert limit_of(daemon) == "9"
        assert daemon.service.switch.catalogue.accounts.keys() == {"acme", "shop", "a", "b", "c", "ghost"}
        await asyncio.to_thread(site.lose, 2)
        with capture_logs() as log:
            await watch.look()
        assert limit_of(daemon) == "5"
        assert daemon.service.switch.catalogue.accounts.keys() == {"acme", "shop", "a", "b", "c"}
        assert [line["before"] for line in log if line["event"] == "definitions_read_anew"] == [site.decks.number + 2]
        await stop(daemon, "reloads")

    site.define(1, '{"rate_group":"sell","overdraft_limit":"5"}')
    for name in ("a", "b", "c"):
        site.define(1, '{"rate_group":"sell"}', name=name)
    daemon = site.daemon()
    asyncio.run(run())


def test_a_database_that_has_lost_a_fifth_of_the_accounts_has_to_be_confirmed(site: Site) -> None:
    async def run() -> None:
        await run_to(daemon, "reloads")
        for name in ("ghost", "shade"):
            await asyncio.to_thread(site.define, 1, '{"rate_group":"sell"}', name=name)
        await daemon._definitions.look()
        await asyncio.to_thread(site.lose, 2)
        await daemon._definitions.look()
        assert "the file removes 2 of 4 accounts: ghost, shade" in str(daemon.configuration.last_error)
        assert "if that is meant, say vosd reload --yes" in str(daemon.configuration.last_error)
        daemon.configuration.doubt_stored()
        await daemon.configuration.reload_on_signal()
        assert "put it back, or vosd restore FILE" in str(daemon.configuration.last_error)
        assert "if that is meant" not in str(daemon.configuration.last_error)
        await daemon.configuration.reload(is_confirmed=True)
        assert daemon.service.switch.catalogue.accounts.keys() == {"acme", "shop"}
        await stop(daemon, "reloads")

    site.define(1, '{"rate_group":"sell","overdraft_limit":"5"}')
    daemon = site.daemon()
    asyncio.run(run())


def test_a_mended_database_is_followed_although_its_version_is_that_of_before(site: Site) -> None:
    """As many changes were made since the loss as were lost."""

    async def run() -> None:
        await run_to(daemon, "reloads")
        await asyncio.to_thread(site.define, 2, '{"rate_group":"sell","overdraft_limit":"9"}')
        await daemon._definitions.look()
        await asyncio.to_thread(site.lose, 1)
        await asyncio.to_thread(site.define, 1, '{"rate_group":"sell"}', name="north")
        await daemon._definitions.look()
        assert limit_of(daemon) == "9"
        known = daemon.configuration.loaded.stored.version
        assert known == site.decks.number
        await daemon.service._mend_the_rest()
        assert site.decks.number > known, "other programs know the version by itself"
        await daemon._definitions.look()
        assert (limit_of(daemon), daemon.service.switch.catalogue.accounts.keys()) == ("5", {"acme", "shop", "north"})
        with capture_logs() as log:
            await daemon._definitions.look()
        assert log == [], "all was read once"
        await stop(daemon, "reloads")

    site.define(1, '{"rate_group":"sell","overdraft_limit":"5"}')
    daemon = site.daemon()
    asyncio.run(run())


def test_a_start_while_the_database_is_away_uses_the_objects_of_last_time(site: Site) -> None:
    site.define(1, '{"rate_group":"sell","overdraft_limit":"5"}')
    lived(site)
    site.decks.is_away = True
    assert limit_of(site.daemon()) == "5"


def test_an_object_that_the_files_have_too_leaves_the_last_good_catalogue_in_force(site: Site) -> None:
    site.define(1, '{"rate_group":"sell","overdraft_limit":"5"}')
    lived(site)
    site.define(1, '{"rate_group":"sell"}', name="acme")
    site.define(2, '{"rate_group":"sell","overdraft_limit":"6"}')
    with capture_logs() as log:
        daemon = site.daemon()
    assert "catalogue_fallback" in [line["event"] for line in log]
    assert limit_of(daemon) == "5"
    assert "accounts acme (version 1) in the database" in str(daemon.configuration.last_error)


def test_a_mistake_in_the_files_ends_a_start_also_where_the_database_defines_the_rest(site: Site) -> None:
    site.define(1, '{"rate_group":"sell","overdraft_limit":"5"}')
    lived(site)
    site.write("nonsense: 1")
    with pytest.raises(ConfigError, match="a known key"):
        load_at_start(site.file, site.definitions.read)


class LockedObjects(SqlObjects):
    """Objects whose table another session has locked."""

    async def current(self, at: int, since: tuple[int, int] | None = None) -> Objects:
        await asyncio.Event().wait()
        return await super().current(at, since)


def test_a_command_does_not_wait_for_ever_for_the_objects_of_a_locked_table(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.define(1, '{"currency":"EUR"}')
    wanted = Wanted(site.file.with_name("var"), site.url, frozenset())
    known = StoredDefinitions(lambda _database: site.decks, SqlObjects, lambda: site.now, trusts_switch=True)
    before = known.read(wanted)
    assert (before.unread, [*before.objects["accounts"]]) == (None, ["shop"])
    site.define(2, '{"currency":"USD"}')
    monkeypatch.setattr(definitions, "ROWS_S", 0.01)
    locked = StoredDefinitions(lambda _database: site.decks, LockedObjects, lambda: site.now, trusts_switch=True)
    after = locked.read(wanted._replace(known=before))
    assert after.unread == "the database did not give its objects within 0.01 s"
    assert (after.version, after.objects) == (before.version, before.objects)


def test_a_start_describes_no_object_that_it_has_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described: list[int] = []
    site = Site(tmp_path)
    site.define(1, "{}")
    monkeypatch.setattr(Stored, "__repr__", lambda stored: described.append(len(stored.objects)) or "")
    assert threading.current_thread() is threading.main_thread(), "elsewhere no handler of SIGINT is restored"
    assert load_at_start(site.file, site.definitions.read).loaded.catalogue.accounts.keys() == {"acme", "shop"}
    assert described == [], "a hundred thousand objects take a third of a second"


class NotedObjects(SqlObjects):
    """Objects that note each time that all were read."""

    reads: ClassVar[list[int]] = []

    async def current(self, at: int, since: tuple[int, int] | None = None) -> Objects:
        self.reads.append(at)
        return await super().current(at, since)


@pytest.mark.parametrize("is_running", [True, False])
@pytest.mark.parametrize("keeps", [True, False])
def test_a_command_waits_for_a_change_that_a_running_switch_is_about_to_keep(
    site: Site, monkeypatch: pytest.MonkeyPatch, is_running: bool, keeps: bool
) -> None:
    monkeypatch.setattr(definitions, "KEPT_BYTES_MIN", 1)
    monkeypatch.setattr(definitions, "KEPT_LOOK_S", 0.0)
    monkeypatch.setattr(definitions, "KEPT_WITHIN_S", 60.0 if keeps else 0.01)
    monkeypatch.setattr(definitions, "holder_of", lambda _state_dir: 1 if is_running else None)
    monkeypatch.setattr(NotedObjects, "reads", [])
    kept = KeptCatalogue(site.file.with_name("var"))
    wanted = Wanted(site.file.with_name("var"), site.url, frozenset())
    site.define(1, '{"currency":"EUR"}')
    kept.keep(site.definitions.read(wanted), {})
    site.define(2, '{"currency":"USD"}')
    command = StoredDefinitions(lambda _database: site.decks, NotedObjects, lambda: site.now, trusts_switch=True)
    later = site.definitions.read(wanted)
    looks: list[int] = []
    is_kept = command._is_kept

    def looked(kept: KeptCatalogue, version: int, wanted: Wanted) -> bool:
        looks.append(version)
        if len(looks) == 3 and keeps:
            kept.keep(later, {})
        return is_kept(kept, version, wanted)

    monkeypatch.setattr(command, "_is_kept", looked)
    found = command.read(wanted)
    assert found.objects["accounts"]["shop"].version == 2
    assert NotedObjects.reads == ([] if is_running and keeps else [NOW])
