"""The last good catalogue of a start is kept beside the first calls: 100,000 accounts take a second."""

import asyncio
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from doubles.kept_log import log_as_it_was
from doubles.turns import turns

from vosd.catalogue.losses import Busy
from vosd.catalogue.problems import ConfigError
from vosd.config.assembly.remembered import Remembered
from vosd.config.kept import KeptCatalogue, KeptManifest, digests_of
from vosd.config.load import Loaded, load
from vosd.config.reader.whole_files import read_here
from vosd.config.stored import Stored, nothing_stored
from vosd.daemon import reload
from vosd.daemon.bootstrap import Daemon
from vosd.daemon.reload import Configuration
from vosd.daemon.start import Started
from vosd.daemon.systemd import Notifier
from vosd.engine.clock import SystemClock
from vosd.net.transports import Transports


class Site:
    """An installation whose disk writes when it is let."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = directory / "vosd.yaml"
        self.write("10.0.0.1")
        self.is_let = threading.Event()
        self._kept = KeptCatalogue(directory / "var")
        keep = KeptCatalogue.keep

        def when_let(kept: KeptCatalogue, stored: Stored, texts: Mapping[str, bytes]) -> None:
            assert self.is_let.wait(30)
            keep(kept, stored, texts)

        monkeypatch.setattr(KeptCatalogue, "keep", when_let)
        monkeypatch.setattr(reload, "read_by_a_process", read_here)
        remembered = Remembered()
        self.started = Started(load(self.file, remembered=remembered), remembered)
        self.configuration = self.configured(self.started)

    def configured(self, started: Started) -> Configuration:
        """Return the configuration in force after a start."""
        return Configuration(
            self.file, started, take, take, Notifier(None), SystemClock(), lambda: Busy([], []), nothing_stored
        )

    def write(self, host: str) -> None:
        """Write the file with a host of the trunk."""
        self.file.write_text(
            f"sip: {{listen: ['udp:127.0.0.1:14079']}}\nstate_dir: {self.file.parent}/var\non_sigterm: keep\n"
            f"accounts: [{{id: acme}}]\nmapping_gateways: [{{name: pbx, account: acme, hosts: {host}}}]\n"
        )

    @property
    def manifest(self) -> KeptManifest:
        """The manifest that is kept."""
        return self._kept.manifest()

    @property
    def files(self) -> Mapping[str, str]:
        """The manifest of a catalogue of the present file."""
        return digests_of({str(self.file): self.file.read_bytes()})


async def keep_no_calls() -> None:
    return


async def take(_loaded: Loaded) -> None:
    return


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with log_as_it_was():  # a reload configures the log
        yield Site(tmp_path, monkeypatch)


async def test_the_start_goes_on_and_a_stop_waits(site: Site) -> None:
    await site.configuration.begin()
    assert site.manifest.files == {}
    site.is_let.set()
    await site.configuration.end()
    assert site.manifest.files == site.files
    assert site.configuration.loaded.texts == {}


async def test_a_reload_that_came_before_it_stays_kept(site: Site) -> None:
    site.is_let.set()
    site.write("10.0.0.2")
    await site.configuration.reload()
    await site.configuration.begin()
    await site.configuration.end()
    assert site.manifest.files == site.files


async def test_the_start_does_not_wait_for_a_reload_that_goes_on(site: Site) -> None:
    site.write("10.0.0.2")
    reloading = asyncio.create_task(site.configuration.reload())
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await site.configuration.begin()
    assert not reloading.done()
    site.is_let.set()
    await reloading
    await site.configuration.kept()
    await site.configuration.end()
    assert site.manifest.files == site.files
    assert site.configuration.loaded.texts == {}


@pytest.mark.parametrize("comes", ["before it", "while it waits"])
async def test_a_reload_that_was_refused_does_not_prevent_it(site: Site, comes: str) -> None:
    site.is_let.set()
    files = site.files
    site.file.write_text(f"{site.file.read_text()}bogus: 1\n")
    reloading = asyncio.create_task(site.configuration.reload())
    await asyncio.sleep(0)
    if comes == "while it waits":
        await site.configuration.begin()
        assert not reloading.done()
    with pytest.raises(ConfigError):
        await reloading
    if comes == "before it":
        await site.configuration.begin()
    await site.configuration.end()
    assert site.manifest.files == files
    assert site.configuration.last_error is not None


async def test_a_start_by_the_last_good_catalogue_keeps_that(site: Site) -> None:
    site.is_let.set()
    began = site.started._replace(fault="line 1: bogus")
    site.configuration = site.configured(began)
    await site.configuration.begin()
    await site.configuration.end()
    assert site.manifest.files == {}
    await site.configuration.reload()
    assert site.manifest.files == site.files


async def test_sockets_are_read_until_it_is_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon(site.file, site.started, Notifier(None))
    paused: list[KeptManifest] = []
    monkeypatch.setattr(Transports, "pause", lambda _: paused.append(site.manifest))
    monkeypatch.setattr(daemon.service, "keep", keep_no_calls)
    await daemon.configuration.begin()
    draining = asyncio.create_task(daemon.drain(signal.SIGTERM))
    await turns(10)
    assert not paused
    site.is_let.set()
    await draining
    assert [each.files for each in paused] == [site.files]
    await daemon.configuration.end()


async def test_what_cannot_be_kept_stops_no_stop(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon(site.file, site.started, Notifier(None))

    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(KeptCatalogue, "keep", no_thread)
    monkeypatch.setattr(daemon.service, "keep", keep_no_calls)
    await daemon.configuration.begin()
    await daemon.drain(signal.SIGTERM)
    with pytest.raises(RuntimeError):
        await daemon.configuration.end()


async def test_a_reload_waits_for_it(site: Site) -> None:
    await site.configuration.begin()
    site.write("10.0.0.2")
    reloading = asyncio.create_task(site.configuration.reload())
    await asyncio.sleep(0)
    assert not reloading.done()
    site.is_let.set()
    await reloading
    assert site.manifest.files == site.files
    await site.configuration.end()
