"""Files that were tried for ``vosd check --diff`` or replaced: nothing is left, and calls do not wait for it."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest
from doubles.kept_log import log_as_it_was
from doubles.turns import turns, until

from vosd.base import parts
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.losses import Busy
from vosd.catalogue.problems import ConfigError
from vosd.config import load as loading
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import Loaded, load
from vosd.config.reader.whole_files import read_here
from vosd.config.stored import nothing_stored
from vosd.daemon import reload
from vosd.daemon.reload import Configuration, UnconfirmedError
from vosd.daemon.start import Started
from vosd.daemon.systemd import Notifier
from vosd.engine.clock import SystemClock


class Part(dict[str, Any]):
    """A part of a catalogue that notes the thread in which it is freed."""

    freed_in: ClassVar[list[int]] = []
    """Not that of the test, where a part is freed behind it."""

    def __del__(self) -> None:
        self.freed_in.append(threading.get_ident())


class Site:
    """A running configuration, beside a service that may refuse another one."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "vosd.yaml"
        self.text = (
            f"sip: {{listen: ['udp:127.0.0.1:14079']}}\nstate_dir: {directory}/var\n"
            "accounts: [{id: acme}]\nmapping_gateways: [{name: pbx, account: acme, hosts: 10.0.0.1}]\n"
        )
        self.file.write_text(self.text)
        remembered = Remembered()
        started = Started(load(self.file, remembered=remembered), remembered)
        self.is_refused = False
        self.configuration = Configuration(
            self.file, started, self._check, self._check, Notifier(None), SystemClock(), self._busy, nothing_stored
        )

    async def _check(self, loaded: Loaded) -> None:
        if self.is_refused:
            try:
                self._refuse(loaded.catalogue)
            except ValueError as error:
                raise ConfigError(()) from error

    def _refuse(self, _catalogue: Catalogue) -> None:
        raise ValueError

    def _busy(self) -> Busy:
        return Busy(frozenset(), frozenset())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    assemble = loading.assemble

    def with_part(*arguments: Any) -> Catalogue:
        catalogue = assemble(*arguments)
        object.__setattr__(catalogue, "calendars", Part())
        return catalogue

    monkeypatch.setattr(loading, "assemble", with_part)
    monkeypatch.setattr(reload, "read_by_a_process", read_here)
    monkeypatch.setattr(Part, "freed_in", [])
    with log_as_it_was():  # a reload configures the log
        yield Site(tmp_path)


@pytest.mark.parametrize("name", ["vosd.yaml", "next.yaml"])
@pytest.mark.parametrize("refusal", [None, ConfigError, UnconfirmedError])
async def test_what_was_read_of_a_file_is_freed_in_a_thread_when_it_was_tried(
    site: Site, name: str, refusal: type[Exception] | None
) -> None:
    before = site.configuration.loaded
    changed = site.text.replace("id: acme", "id: acme, max_cps: 5")
    file = site.file.with_name(name)
    file.write_text(changed.partition("mapping_gateways")[0] if refusal is UnconfirmedError else changed)
    site.is_refused = refusal is ConfigError
    if refusal is None:
        tried = await site.configuration.tried(file)
        assert tried.version != before.catalogue.version
        assert [each.key for each in tried.problems] == ["mapping_gateways[pbx]"]
    else:
        with pytest.raises(refusal):
            await site.configuration.tried(file)
    assert (len(Part.freed_in), threading.get_ident() in Part.freed_in) == (1, False)
    assert site.configuration.loaded is before


async def test_a_file_is_tried_while_that_of_the_switch_is_away(site: Site) -> None:
    tried = await site.configuration.tried(site.file.rename(site.file.with_name("next.yaml")))
    assert tried.version == site.configuration.loaded.catalogue.version
    with pytest.raises(ConfigError, match="no such file"):
        await site.configuration.tried(site.file)


@pytest.mark.parametrize("overridden", [{}, {"overridden": {}}], ids=["catalogue", "catalogue with overrides"])
async def test_what_a_reload_replaces_is_freed_in_a_thread_once_the_last_call_is_set_up_by_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, overridden: dict[str, Any]
) -> None:
    monkeypatch.setattr(reload, "UNUSED_LOOK_S", 0)
    monkeypatch.setattr(reload, "UNUSED_LOOKS", 1_000_000)
    free, held_then = reload._free, []

    def freed(replaced: list[Loaded], *, is_whole: bool) -> None:
        held_then.append(len(held))
        free(replaced, is_whole=is_whole)

    monkeypatch.setattr(reload, "_free", freed)
    before = site.configuration.loaded.catalogue
    held = [replace(before, **overridden) if overridden else before]
    del before
    site.file.write_text(site.text + "phones: [{number: '1001', account: acme, password: secret}]\n")
    await site.configuration.reload()
    await turns(100)
    held.clear()
    await until(lambda: Part.freed_in)
    assert held_then == [0]
    assert (len(Part.freed_in), threading.get_ident() in Part.freed_in) == (1, False)


class Thing:
    """Object of a catalogue whose end is counted."""

    freed = 0

    def __del__(self) -> None:
        Thing.freed += 1


@pytest.mark.parametrize("is_whole", [True, False])
def test_what_is_replaced_as_a_whole_is_freed_in_steps(
    site: Site, monkeypatch: pytest.MonkeyPatch, is_whole: bool
) -> None:
    monkeypatch.setattr(parts, "_FREED_AT_ONCE", 5)
    monkeypatch.setattr(Thing, "freed", 0)
    loaded, steps = loading.load(site.file), [0]
    object.__setattr__(loaded.catalogue, "accounts", {number: Thing() for number in range(50)})
    replaced = [loaded]
    del loaded
    with parts.giving_way(lambda: steps.append(Thing.freed)):
        reload._free(replaced, is_whole=is_whole)
    most = max(later - before for before, later in pairwise(steps))
    assert (Thing.freed, most) == (50, 5 if is_whole else 50)
