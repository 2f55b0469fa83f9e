"""A reload that changes the currency of an account, and the account's first call."""

from decimal import Decimal
from pathlib import Path

import pytest
from doubles.data.builders import applied_rate
from doubles.migrated import migrated
from doubles.steps import begin_nothing, up_to

from vosd.config.assembly.remembered import Remembered
from vosd.config.load import Loaded, load
from vosd.daemon.bootstrap import Daemon
from vosd.daemon.start import Started
from vosd.daemon.systemd import Notifier
from vosd.engine.booking.balances import CurrencyChangedError
from vosd.storage.separate_books import SeparateBooks


def loaded_in(directory: Path, currency: str) -> Loaded:
    url = f"sqlite+aiosqlite:///{directory}/vosd.db"
    file = directory / "vosd.yaml"
    file.write_text(
        f"sip: {{listen: ['udp:127.0.0.1:14078']}}\ndatabase: {{url: '{url}'}}\nstate_dir: {directory}/var\n"
        f"control_socket: {directory}/vosd.sock\n"
        f"accounts: [{{id: acme, currency: {currency}, overdraft_limit: unlimited}}]\n"
    )
    return load(file)


@pytest.mark.parametrize("is_called", [True, False])
async def test_a_call_that_begins_while_names_are_looked_up_keeps_the_currency_of_its_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dollars_and_euros: tuple[Loaded, Loaded], is_called: bool
) -> None:
    monkeypatch.setattr(SeparateBooks, "start", begin_nothing)
    dollars, euros = dollars_and_euros
    daemon = Daemon(tmp_path / "vosd.yaml", Started(dollars, Remembered()), Notifier(None))
    service = daemon.service
    steps = up_to(daemon, "switch")
    for step in steps:
        await step.start()
    look_up = service.directory.look_up

    async def look_up_slowly(*arguments: object) -> None:
        await look_up(*arguments)
        if is_called:
            service.balances.credits["acme"].hold(applied_rate(), 60, 60)

    monkeypatch.setattr(service.directory, "look_up", look_up_slowly)
    if is_called:
        with pytest.raises(CurrencyChangedError):
            await service.swap_catalogue(euros.catalogue)
    else:
        await service.swap_catalogue(euros.catalogue)
    assert service.switch.catalogue is (dollars if is_called else euros).catalogue
    for step in reversed(steps):
        await step.stop()


@pytest.fixture
def dollars_and_euros(tmp_path: Path) -> tuple[Loaded, Loaded]:
    migrated(tmp_path / "vosd.db")
    return loaded_in(tmp_path, "USD"), loaded_in(tmp_path, "EUR")


async def test_a_reload_sets_the_limits_of_accounts_that_have_others(
    tmp_path: Path, dollars_and_euros: tuple[Loaded, Loaded]
) -> None:
    file = tmp_path / "vosd.yaml"
    written = file.read_text().replace("EUR", "USD")

    def limited(limit: str, low: str) -> Loaded:
        file.write_text(written.replace("limit: unlimited", f"limit: {limit}, balance_low: {low}"))
        return load(file)

    daemon = Daemon(file, Started(dollars_and_euros[0], Remembered()), Notifier(None))
    service = daemon.service
    steps = up_to(daemon, "switch")
    for step in steps:
        await step.start()
    credit = service.balances.credits["acme"]
    assert (credit.available, credit.low_below) == (None, None)
    for limit, low in (("1", "0"), ("2", "0"), ("2", "5"), ("3", "6")):
        await service.swap_catalogue(limited(limit, low).catalogue)
        assert (credit.available, credit.low_below) == (int(limit), int(low))
    credit.set_use(Decimal(1))
    for hours in (7, 8):
        await service.swap_catalogue(limited("3", f"6, balance_low_hours: {hours}").catalogue)
        assert credit.low_below == hours
    for step in reversed(steps):
        await step.stop()
