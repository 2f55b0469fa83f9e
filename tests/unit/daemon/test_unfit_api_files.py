"""Files of ``api.tls`` that do not belong together, as between the renewal of both: the API waits, calls do not."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner
from doubles.certificates import Authority
from doubles.kept_log import log_as_it_was
from doubles.migrated import migrated
from doubles.office import operator
from structlog.testing import capture_logs

from vosd.admin.office.installation import CheckConfiguration, check_configuration
from vosd.api import process
from vosd.api.offices import Offices
from vosd.catalogue.losses import Busy
from vosd.catalogue.planned_objects import ChangeCheck, states_of
from vosd.catalogue.problems import ConfigError
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.cli.main import main
from vosd.config.load import Loaded
from vosd.config.reader.whole_files import read_here
from vosd.daemon import reload
from vosd.daemon.definitions import DefinitionWatch, StoredDefinitions
from vosd.daemon.reload import Configuration
from vosd.daemon.start import Started, load_at_start
from vosd.daemon.systemd import Notifier
from vosd.engine.clock import SystemClock
from vosd.processes import entry
from vosd.processes.entry import search_path
from vosd.storage.database import Database
from vosd.storage.decks import SqlDecks
from vosd.storage.stored_objects import SqlObjects
from vosd.wiring.change_check import check_here
from vosd.wiring.configured_switch import ConfiguredSwitch

SITE: Final = """\
database: {{url: '{url}'}}
state_dir: {directory}/var
control_socket: {directory}/vosd.sock
rate_groups: [{{name: sell, rates: [{{prefix: "44", billing_rate: "1"}}]}}]
api:
  listen: '127.0.0.1:8080'
  tls: {{certificate: {directory}/api.pem, key: {directory}/api.key}}
"""


def limit(number: int, calls: int, *, at: int) -> ObjectVersion:
    """Return a version of the account with another limit of its calls."""
    body = f'{{"rate_group": "sell", "max_concurrent": {calls}}}'
    return ObjectVersion(
        kind="accounts", name="acme", version=number, body=body, begins_at=at, made_at=0, operator="ann"
    )


class Site:
    """A switch whose account is in the database, with an API over TLS."""

    def __init__(self, directory: Path) -> None:
        self.now = 1_000
        self.file = directory / "vosd.yaml"
        self.database = directory / "vosd.db"
        self._url = migrated(self.database)
        self.file.write_text(SITE.format(url=self._url, directory=directory))
        authority = Authority(directory)
        self._shown = authority.issue("api", "api.example")
        self._renewed = authority.issue("renewed", "api.example", days=60)
        self._definitions = StoredDefinitions(SqlDecks, SqlObjects, lambda: self.now)
        self.fault = (
            f"{self.file}:7: api.tls.key: value '{directory}/api.key': expected the key of the certificate, in PEM"
            " form, not encrypted"
        )

    def renew_half(self) -> None:
        """Write the next certificate, and not its key yet."""
        self._shown.file.write_text(self._renewed.file.read_text())

    def renew(self) -> None:
        """Write both."""
        self.renew_half()
        self._shown.key.write_text(self._renewed.key.read_text())

    async def define(self, *versions: ObjectVersion) -> None:
        """Add versions to the database."""
        async with self._opened() as database:
            await SqlObjects(database).add(versions)

    def started(self) -> Started:
        """Load the configuration as a start does."""
        return load_at_start(self.file, self._definitions.read)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[Configuration, DefinitionWatch]]:
        """Run what has the configuration in force."""

        async def take(_loaded: Loaded) -> None:
            return

        started = await asyncio.to_thread(self.started)
        configuration = Configuration(
            self.file, started, take, take, Notifier(None), SystemClock(), lambda: Busy([], []), self._definitions.read
        )
        await configuration.begin()
        async with self._opened() as database:
            yield (
                configuration,
                DefinitionWatch(
                    SqlDecks(database), lambda: configuration.stored, configuration.reload_on_signal, lambda: self.now
                ),
            )
        await configuration.end()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Database]:
        async with Database(self._url) as database:
            yield database


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(reload, "read_by_a_process", read_here)
    site = Site(tmp_path)
    await site.define(limit(1, 5, at=10))
    with log_as_it_was():  # a reload configures the log
        yield site


@pytest.fixture
def switch(site: Site) -> Iterator[ConfiguredSwitch]:
    with closing(ConfiguredSwitch(site.file)) as switch:
        yield switch


def limit_in(loaded: Loaded) -> int | None:
    return loaded.catalogue.accounts["acme"].max_concurrent


def test_a_start_takes_calls_and_says_so(site: Site) -> None:
    site.renew_half()
    with capture_logs() as log:
        started = site.started()
    (alarm,) = [each for each in log if each["log_level"] == "error"]
    assert (alarm["event"], alarm["why"]) == ("api_certificate_refused", site.fault)
    assert (started.fault, limit_in(started.loaded)) == (None, 5)
    assert started.loaded.settings.api is not None, "its process is started again until the files belong together"


async def test_a_planned_version_comes_into_force_and_the_api_goes_on_as_it_was(site: Site) -> None:
    await site.define(limit(2, 1, at=2_000))
    async with site.running() as (configuration, watch):
        before = configuration.loaded.settings.api
        site.renew_half()
        site.now = 3_000
        with capture_logs() as log:
            await watch.look()
        assert [each["why"] for each in log if each["event"] == "api_certificate_refused"] == [site.fault]
        assert (limit_in(configuration.loaded), configuration.last_error) == (1, None)
        assert configuration.loaded.settings.api is before
        taken = await configuration.reload()
        assert [str(each) for each in taken.problems] == [site.fault]

        site.renew()
        with capture_logs() as log:
            taken = await configuration.reload()
        assert taken.problems == ()
        assert [each["event"] for each in log if "api" in each["event"]] == ["api_certificate_accepted"]
        assert configuration.loaded.settings.api != before, "the API is started at once"


async def test_a_start_without_the_api_keeps_what_it_has_for_one_without_the_database(site: Site) -> None:
    async with site.running():
        pass
    await site.define(limit(2, 1, at=20))
    site.renew_half()
    async with site.running() as (configuration, _watch):
        assert limit_in(configuration.loaded) == 1
    site.database.rename(site.database.with_name("away.db"))
    started = await asyncio.to_thread(site.started)
    assert (limit_in(started.loaded), started.loaded.stored.unread is None) == (1, False)


def test_a_change_of_objects_is_checked_and_the_catalogue_read_all_the_same(
    site: Site, switch: ConfiguredSwitch
) -> None:
    site.renew_half()
    assert check_here(switch, ChangeCheck([*states_of([limit(2, 1, at=20)], [])], ["acme"])).accounts.keys() == {"acme"}
    assert switch.load().catalogue.accounts.keys() == {"acme"}


async def test_a_check_of_the_configuration_finds_them(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.setpriority", lambda *_: None)
    site.renew_half()
    result = await asyncio.to_thread(CliRunner().invoke, main, ["-c", str(site.file), "check"])
    assert (result.exit_code, result.stdout) == (3, f"{site.fault}\n")
    async with Offices(site.file) as offices:
        office = await offices.open(needs_database=True, patience_s=60)
        checked = await check_configuration(office, operator(), CheckConfiguration())
    assert (checked.valid, [each.key for each in checked.problems]) == (False, ["api.tls.key"])


def test_the_api_alone_says_which_file_does_not_fit_and_is_tried_again(site: Site) -> None:
    """systemd does not start again what ends with 3."""
    site.renew_half()
    command = sys.executable, "-P", "-m", entry.__name__, process.__name__, str(site.file)
    environ = os.environ | {"PYTHONPATH": search_path()}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    (line,) = map(json.loads, ended.stderr.splitlines())
    assert (ended.returncode, line["event"]) == (1, "api_certificate_refused")
    assert line["why"].endswith("api.key: expected the key of the certificate, in PEM form, not encrypted")


def test_other_mistakes_of_the_files_end_a_start_and_are_listed_with_it(site: Site) -> None:
    site.renew_half()
    site.file.write_text(site.file.read_text().replace('billing_rate: "1"', "billing_rate: dear"))
    with pytest.raises(ConfigError) as refused:
        site.started()
    assert [each.key for each in refused.value.problems][-1] == "api.tls.key"
