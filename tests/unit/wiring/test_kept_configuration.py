"""A front that keeps running reads the configuration again when it has changed, and only then."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from doubles.migrated import migrated

from vosd.base.secret import Secret
from vosd.catalogue.problems import ConfigError
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.kept import KeptCatalogue
from vosd.config.load import load
from vosd.config.places import installation_of
from vosd.daemon.claim import StateDirectory
from vosd.storage.database import Database
from vosd.storage.decks import SqlDecks
from vosd.storage.schema import CATALOGUE
from vosd.storage.stored_objects import SqlObjects
from vosd.wiring import kept_configuration
from vosd.wiring.configured_switch import ConfiguredSwitch
from vosd.wiring.kept_configuration import KeptConfiguration
from vosd.wiring.last_good import in_force
from vosd.wiring.office import definitions_of

VERSION = 1


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "partners").mkdir()
    (tmp_path / "rates.csv").write_text("prefix,billing_rate\n44,0.1\n")
    file = tmp_path / "vosd.yaml"
    file.write_text(
        f"node: sw1\ndatabase: {{url: 'sqlite+aiosqlite:///{tmp_path}/vosd.db'}}\nstate_dir: {tmp_path}/state\n"
        "accounts: [{id: acme, rate_group: sell}]\ninclude: ['partners/*.yaml']\n"
        "rate_groups: [{name: sell, rates_file: rates.csv}]\n"
    )
    for each in (file, tmp_path / "rates.csv"):
        os.utime(each, (1_700_000_000, 1_700_000_000))
    return file


@pytest.fixture
def kept(config: Path) -> Iterator[KeptConfiguration]:
    kept = KeptConfiguration(config)
    yield kept
    kept.close()


@pytest.fixture
def url(config: Path) -> str:
    return migrated(config.parent / "vosd.db")


def accounts(switch: ConfiguredSwitch) -> list[str]:
    return [*switch.excerpt.accounts()]


def test_a_configuration_is_read_once_while_nothing_changes(kept: KeptConfiguration) -> None:
    first = kept.current(VERSION)
    assert accounts(first) == ["acme"]
    catalogue = first.load().catalogue
    again = kept.current(VERSION)
    assert (again, again.excerpt, again.load().catalogue) == (first, first.excerpt, catalogue)
    assert again.load().catalogue is catalogue
    assert again.excerpt.hierarchy() is first.excerpt.hierarchy()


def test_two_threads_that_want_a_configuration_load_it_once(kept: KeptConfiguration) -> None:
    switch = kept.current(VERSION)
    with ThreadPoolExecutor(2) as threads:
        first, second = (threads.submit(switch.load) for _ in range(2))
    assert first.result() is second.result()


def test_files_may_be_read_for_another_request_while_they_are_looked_at(
    kept: KeptConfiguration, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread reads them: with a file more meanwhile, the request that looked got 500."""
    switch = kept.current(VERSION)
    switch.load()
    state_of, further = kept_configuration._state_of, iter(range(100))

    def read_another(name: str) -> Any:
        switch.texts.watch(config.parent / f"{next(further)}.yaml")  # type: ignore[union-attr]
        return state_of(name)

    monkeypatch.setattr(kept_configuration, "_state_of", lambda name: monkeypatch.undo() or read_another(name))
    assert kept.current(VERSION) is switch


def test_a_changed_file_is_read_again(kept: KeptConfiguration, config: Path) -> None:
    first = kept.current(VERSION)
    accounts(first)
    config.write_text(config.read_text().replace("id: acme", "id: zeta"))
    assert accounts(kept.current(VERSION)) == ["zeta"]


def test_a_file_of_the_same_size_and_time_is_another_one_when_it_was_replaced(
    kept: KeptConfiguration, config: Path
) -> None:
    accounts(kept.current(VERSION))
    before = config.stat()
    other = config.with_name("other.yaml")
    other.write_text(config.read_text().replace("id: acme", "id: zeta"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(config)
    assert accounts(kept.current(VERSION)) == ["zeta"]


def test_a_file_that_changes_within_the_tick_of_its_clock_is_read_again(kept: KeptConfiguration, config: Path) -> None:
    os.utime(config)
    before = config.stat()
    accounts(kept.current(VERSION))
    config.write_text(config.read_text().replace("id: acme", "id: zeta"))
    os.utime(config, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert accounts(kept.current(VERSION)) == ["zeta"]


def test_a_new_file_that_fits_a_pattern_and_one_that_goes_are_noticed(kept: KeptConfiguration, config: Path) -> None:
    accounts(kept.current(VERSION))
    partner = config.parent / "partners" / "new.yaml"
    partner.write_text("accounts: [{id: beta}]\n")
    assert accounts(kept.current(VERSION)) == ["acme", "beta"]
    partner.unlink()
    assert accounts(kept.current(VERSION)) == ["acme"]


def test_a_changed_file_of_rates_makes_another_catalogue(kept: KeptConfiguration, config: Path) -> None:
    first = kept.current(VERSION)
    first.load()
    (config.parent / "rates.csv").write_text("prefix,billing_rate\n44,0.25\n49,0.1\n")
    again = kept.current(VERSION)
    assert again is not first
    assert again.load().catalogue.rate_groups["sell"].table.size == 2


def test_another_version_of_the_database_is_read_and_one_that_is_not_known_changes_nothing(
    kept: KeptConfiguration,
) -> None:
    first = kept.current(VERSION)
    assert kept.current(None) is first
    assert kept.current(VERSION + 1) is not first


async def test_objects_of_the_database_are_read_again_when_one_changes_and_when_a_planned_one_begins(
    url: str, kept: KeptConfiguration, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(url)
    objects, decks = SqlObjects(database), SqlDecks(database)
    assert accounts(kept.current(await decks.version())) == ["acme"]
    made = ObjectVersion(kind="accounts", name="beta", version=1, body="{}", begins_at=0, made_at=0, operator="ann")
    await objects.add([made])
    switch = kept.current(await decks.version())
    assert accounts(switch) == ["acme", "beta"]
    assert kept.current(await decks.version()) is switch
    later = 4_000_000_000_000
    await objects.add(
        [ObjectVersion(kind="accounts", name="beta", version=2, body=None, begins_at=later, made_at=0, operator="ann")]
    )
    planned = kept.current(await decks.version())
    assert accounts(planned) == ["acme", "beta"]
    assert kept.current(await decks.version()) is planned
    monkeypatch.setattr("time.time_ns", lambda: later * 1_000_000)
    assert kept.current(await decks.version()) is not planned
    await database.close()


async def test_what_a_database_has_lost_is_not_kept_when_the_switch_has_noticed_the_loss(
    url: str, kept: KeptConfiguration
) -> None:
    """As many changes were made since as were lost: the version by itself is that of before."""
    database = Database(url)
    objects, decks = SqlObjects(database), SqlDecks(database)

    async def define(name: str) -> None:
        made = ObjectVersion(kind="accounts", name=name, version=1, body="{}", begins_at=0, made_at=0, operator="ann")
        await objects.add([made])

    await define("lost")
    known = await decks.version()
    assert accounts(kept.current(known)) == ["acme", "lost"]
    with closing(sqlite3.connect(url.partition("///")[2])) as file, file:
        file.execute("DELETE FROM definition")
        file.execute("UPDATE counter SET value = ? WHERE name = ?", [known - 1, CATALOGUE])
    await define("made-since")
    assert await decks.version() == known
    await decks.advance_beyond(known)
    assert accounts(kept.current(await decks.version())) == ["acme", "made-since"]
    await database.close()


def test_what_was_read_while_the_database_was_away_is_read_again(kept: KeptConfiguration, config: Path) -> None:
    (config.parent / "vosd.db").write_bytes(b"no database")
    first = kept.current(None)
    accounts(first)
    assert kept.current(None) is not first


def test_a_mistake_is_an_error_until_it_is_mended(kept: KeptConfiguration, config: Path) -> None:
    good = config.read_text()
    config.write_text(good.replace("include:", "nonsense: ["))
    with pytest.raises(ConfigError):
        accounts(kept.current(VERSION))
    with pytest.raises(ConfigError):
        accounts(kept.current(VERSION))
    config.write_text(good)
    assert accounts(kept.current(VERSION)) == ["acme"]


def test_the_one_before_is_handed_out_until_a_file_changes_that_cannot_be_read(
    kept: KeptConfiguration, config: Path
) -> None:
    good = config.read_text()
    more = config.parent / "partners" / "more.yaml"
    more.write_text("accounts: [{id: more, rate_group: sell}]\n")
    os.utime(more, (1_700_000_000, 1_700_000_000))
    known = kept.current(VERSION)
    assert known.database_url
    kept.accept(known)
    config.write_text(good.replace("include:", "nonsense: ["))
    os.utime(config, (1_700_000_001, 1_700_000_001))
    broken = kept.current(VERSION)
    with pytest.raises(ConfigError):
        accounts(broken)
    assert kept.refuse(broken)
    assert kept.current(VERSION) is known
    assert accounts(known) == ["acme", "more"], "by the texts that were read then"

    config.write_text(good.replace("acme", "later"))
    os.utime(config, (1_700_000_002, 1_700_000_002))
    later = kept.current(VERSION)
    assert (later is known, accounts(later)) == (False, ["later", "more"])
    kept.refuse(broken)
    assert kept.current(VERSION) is later, "the broken one is not the latest any more"


def refuse_to_open(monkeypatch: pytest.MonkeyPatch, refused: Path, error: int) -> None:
    """Refuse to open a file: the rights of root, who may run the tests, cannot be taken away."""
    opened = Path.open

    def opening(path: Path, *how: Any, **more: Any) -> Any:
        if path == refused:
            raise OSError(error, os.strerror(error), str(path))
        return opened(path, *how, **more)

    monkeypatch.setattr(Path, "open", opening)


def one_before_a_change(kept: KeptConfiguration, config: Path) -> ConfiguredSwitch:
    """Return a configuration that was read and accepted, after which its file was changed."""
    known = kept.current(VERSION)
    assert accounts(known) == ["acme"]
    kept.accept(known)
    config.write_text(config.read_text().replace("id: acme", "id: zeta"))
    os.utime(config, (1_700_000_001, 1_700_000_001))
    return known


def test_a_file_that_could_not_be_read_is_read_when_its_rights_have_changed(
    kept: KeptConfiguration, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 1_800_000_000 * 10**9)
    known = one_before_a_change(kept, config)
    with monkeypatch.context() as rights:
        refuse_to_open(rights, config, errno.EACCES)
        refused = kept.current(VERSION)
        with pytest.raises(ConfigError):
            accounts(refused)
        kept.refuse(refused)
        assert kept.current(VERSION) is known
    config.chmod(0o640)
    assert accounts(kept.current(VERSION)) == ["zeta"]


def test_a_file_that_could_not_be_read_once_is_tried_again_after_a_second(
    kept: KeptConfiguration, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1_800_000_000
    monkeypatch.setattr("time.time_ns", lambda: now_s * 10**9)
    known = one_before_a_change(kept, config)
    with monkeypatch.context() as descriptors:
        refuse_to_open(descriptors, config, errno.EMFILE)
        refused = kept.current(VERSION)
        with pytest.raises(ConfigError):
            accounts(refused)
        kept.refuse(refused)
    assert kept.current(VERSION) is known, "no request of this second opens it again"
    now_s += 1
    assert accounts(kept.current(VERSION)) == ["zeta"]


def test_a_file_that_stays_unreadable_is_read_ever_more_seldom(
    kept: KeptConfiguration, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s, tried = 1_800_000_000, list[int]()
    monkeypatch.setattr("time.time_ns", lambda: now_s * 10**9)
    known = one_before_a_change(kept, config)
    with monkeypatch.context() as descriptors:
        refuse_to_open(descriptors, config, errno.EMFILE)
        for second in range(250):
            found = kept.current(VERSION)
            if found is not known:
                tried.append(second)
                with pytest.raises(ConfigError):
                    accounts(found)
                kept.refuse(found)
            now_s += 1
        assert tried == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]
        config.chmod(0o640)  # it is tried at once, and a second later
        for _ in range(2):
            found = kept.current(VERSION)
            with pytest.raises(ConfigError):
                accounts(found)
            kept.refuse(found)
            assert kept.current(VERSION) is known
            now_s += 1
    now_s += 1
    assert accounts(kept.current(VERSION)) == ["zeta"]


def keep_as_good(config: Path, state_dir: Path) -> None:
    """Keep the configuration as the last good one of its switch."""
    loaded = load(config)
    KeptCatalogue(state_dir).keep(loaded.stored, loaded.texts)


def test_before_one_could_be_read_the_last_good_one_of_the_switch_is_handed_out(
    kept: KeptConfiguration, config: Path, tmp_path: Path
) -> None:
    partner = tmp_path / "partners" / "more.yaml"
    partner.write_text(
        "accounts: [{id: more, agent: acme}]\nrouting_gateways: [{name: carrier, account: acme, address: 192.0.2.9}]\n"
    )
    good = config.read_text()
    switch = StateDirectory(tmp_path / "state", installation_of(config, "sw1"))
    switch.claim()
    keep_as_good(config, tmp_path / "state")
    config.write_text(good.replace("include:", "nonsense: ["))
    os.utime(config, (1_700_000_001, 1_700_000_001))
    partner.unlink()
    broken = kept.current(VERSION)
    with pytest.raises(ConfigError):
        accounts(broken)
    before = kept.refuse(broken)
    assert before is not None
    assert kept.current(VERSION) is before
    assert (accounts(before), before.excerpt.hierarchy().above("more")) == (["acme", "more"], ("acme",))
    assert before.database_url == f"sqlite+aiosqlite:///{tmp_path}/vosd.db"
    assert before.load().catalogue.accounts.keys() == {"acme", "more"}
    assert before.load() is before.load()
    (carrier,) = definitions_of(before).written_gateways("carrier")
    assert carrier.keys["address"] == "192.0.2.9"
    other = tmp_path / "other.yaml"
    other.write_text("accounts: [{id: other}]\n")
    assert accounts(before.with_file(other)) == ["other"]

    config.write_text(good)
    keep_as_good(config, tmp_path / "state")
    config.write_text(good.replace("include:", "nonsense: [["))
    os.utime(config, (1_700_000_002, 1_700_000_002))
    later = kept.refuse(kept.current(VERSION))
    assert later is not None
    assert accounts(later) == ["acme"], "a good one was in force meanwhile, and no request has come"
    assert kept.refuse(kept.current(VERSION)) is later

    switch.release()
    with closing(KeptConfiguration(config)) as fresh:
        assert fresh.refuse(fresh.current(VERSION)) is None, "a switch that was stopped needs good files"
        assert in_force(config).config == config


def test_another_database_than_that_of_the_running_switch_is_a_mistake_of_the_files_until_its_next_start(
    kept: KeptConfiguration, config: Path, tmp_path: Path
) -> None:
    url, other = (Secret(f"sqlite+aiosqlite:///{tmp_path}/{name}") for name in ("vosd.db", "other.db"))
    switch = StateDirectory(tmp_path / "state", installation_of(config, "sw1", database_url=url))
    switch.claim()
    keep_as_good(config, tmp_path / "state")
    assert kept.current(VERSION).database_url == url.reveal()
    config.write_text(config.read_text().replace("vosd.db", "other.db"))
    changed = kept.current(VERSION)
    with pytest.raises(ConfigError, match=f"the running switch works \\({tmp_path}/vosd.db\\) until vosd restart"):
        _ = changed.database_url
    with closing(in_force(config)) as good:
        assert good.database_url == url.reveal()
    switch.release()
    assert kept.current(VERSION) is not changed, "the lock has changed"
    assert kept.current(VERSION).database_url == other.reveal()

    switch = StateDirectory(tmp_path / "state", installation_of(config, "sw1", database_url=other))
    switch.claim()
    assert kept.current(VERSION).database_url == other.reveal()
    assert in_force(config).database_url == other.reveal()
    switch.release()


def test_without_one_that_could_be_read_nothing_is_handed_out_in_its_place(
    kept: KeptConfiguration, config: Path
) -> None:
    config.write_text("accounts: [")
    assert kept.refuse(kept.current(VERSION)) is None
