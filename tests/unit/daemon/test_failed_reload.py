"""A reload that an error of the program ends: the configuration stays, and it is said as with a bad file."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from vosd.catalogue.problems import ConfigError
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import load
from vosd.daemon import reload
from vosd.daemon.bootstrap import Daemon
from vosd.daemon.start import Started
from vosd.daemon.systemd import Notifier


async def test_an_error_of_the_program_is_a_refused_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "vosd.yaml"
    file.write_text(
        f"sip: {{listen: ['udp:127.0.0.1:14079']}}\nstate_dir: {tmp_path}/var\n"
        f"database: {{url: 'sqlite+aiosqlite:///{tmp_path}/vosd.db'}}\ncontrol_socket: {tmp_path}/vosd.sock\n"
    )
    configuration = Daemon(file, Started(load(file), Remembered()), Notifier(None)).configuration
    before = configuration.loaded

    def broken(*_arguments: object, **_options: object) -> None:
        raise OverflowError("date value out of range")

    monkeypatch.setattr(reload, "reload", broken)
    with capture_logs() as log:
        await configuration.reload_on_signal()
    assert [(line["event"], line["log_level"]) for line in log] == [("reload_refused", "error")]
    assert configuration.loaded is before
    assert "date value out of range" in str(configuration.last_error)
    with pytest.raises(OverflowError):
        await configuration.reload()


async def test_a_refused_reload_is_reported_with_its_first_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "vosd.yaml"
    sound = (
        f"sip: {{listen: ['udp:127.0.0.1:14079']}}\nstate_dir: {tmp_path}/var\n"
        f"database: {{url: 'sqlite+aiosqlite:///{tmp_path}/vosd.db'}}\ncontrol_socket: {tmp_path}/vosd.sock\n"
    )
    file.write_text(sound)
    configuration = Daemon(file, Started(load(file), Remembered()), Notifier(None)).configuration
    many = "".join(f"  - {{id: a{number}, rate_group: none}}\n" for number in range(3_000))
    file.write_text(f"{sound}accounts:\n{many}")
    with capture_logs() as log:
        await configuration.reload_on_signal()
    lines = str(configuration.last_error).splitlines()
    assert (len(lines), lines[-1]) == (21, "and 2,980 more: vosd check lists them")
    assert lines[0].startswith(f"{file}:6: accounts[a0].rate_group: value 'none'")
    assert [line["why"] for line in log] == [configuration.last_error]
    with pytest.raises(ConfigError) as refused:
        await configuration.reload()
    assert len(refused.value.problems) == 3_000
