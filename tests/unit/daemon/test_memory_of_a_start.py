"""The configuration of a start is freed when another one has taken its place."""

import weakref
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from vosd.config.assembly.remembered import Remembered
from vosd.config.load import Loaded, load
from vosd.daemon import bootstrap
from vosd.daemon.bootstrap import Daemon
from vosd.daemon.lifecycle import Lifecycle
from vosd.daemon.start import Started
from vosd.daemon.systemd import Notifier, Watchdog


class WatchedLoad(Loaded):
    """A load of which can be asked whether it is still there."""

    __slots__ = ("__weakref__",)


def watched(loaded: Loaded) -> WatchedLoad:
    return WatchedLoad(**{each.name: getattr(loaded, each.name) for each in fields(loaded)})


async def test_nothing_keeps_the_load_of_a_start_when_another_one_is_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "vosd.yaml"
    file.write_text(
        f"sip: {{listen: ['udp:127.0.0.1:14079']}}\nstate_dir: {tmp_path}/var\n"
        f"database: {{url: 'sqlite+aiosqlite:///{tmp_path}/vosd.db'}}\ncontrol_socket: {tmp_path}/vosd.sock\n"
    )
    daemons: list[Daemon] = []
    is_there: list[bool] = []

    def noted(*arguments: object) -> Daemon:
        daemons.append(Daemon(*arguments))
        return daemons[0]

    async def run(_life: Lifecycle, when_ready: Callable[[], None]) -> None:
        when_ready()
        daemons[0].configuration.loaded = load(file)
        is_there.append(first() is not None)

    monkeypatch.setattr(bootstrap, "Daemon", noted)
    monkeypatch.setattr(Lifecycle, "run", run)
    monkeypatch.setattr(Daemon, "begin_watching", lambda _self: None)
    monkeypatch.setattr(bootstrap, "_settle_garbage_collector", lambda: None)
    start = [Started(watched(load(file)), Remembered())]
    first = weakref.ref(start[0].loaded)
    watchdog = Watchdog(Notifier(None), 0)
    await bootstrap._live(file, start, lambda _loaded: None, Notifier(None), watchdog, None, lambda: False, None)
    assert is_there == [False]
