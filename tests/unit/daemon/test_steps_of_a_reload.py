"""What a reload does on the event loop does not grow with the accounts and trunks that have not changed."""

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from weakref import ref

import pytest
from doubles.forked_program import Subprocesses
from doubles.kept_log import log_as_it_was
from doubles.migrated import migrated
from doubles.steps import begin_nothing, up_to

from vosd.catalogue.losses import Busy
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import Loaded, load
from vosd.config.reader import whole_files
from vosd.config.reload import reload
from vosd.config.stored import Stored, Wanted, nothing_stored
from vosd.daemon.bootstrap import Daemon
from vosd.daemon.reload import Configuration, _beside_calls
from vosd.daemon.start import Started
from vosd.daemon.systemd import Notifier
from vosd.engine.clock import SystemClock
from vosd.engine.registration import bindings
from vosd.storage.separate_books import SeparateBooks

CHANGES = {
    "a price": ('"0.012"', '"0.013"'),
    "a limit of an account": ("id: a3,", "id: a3, max_cps: 5,"),
    "a limit of a trunk": ("name: t3,", "name: t3, max_cps: 5,"),
    "a password of a phone": ("number: '1003', account: a0, password: x", "number: '1003', account: a0, password: y"),
    "a mailbox of a phone": ("number: '1003',", "number: '1003', mailbox: other,"),
    "an address of a vendor": ("198.51.100.1", "198.51.100.2"),
    "a setting by which all is read again": (
        "rate_groups:",
        "parameters: {SS_GATEWAY_SWITCH_UNTIL_CONNECT: 1}\nrate_groups:",
    ),
}


def written(directory: Path, number: int) -> str:
    numbers = range(number)
    return (
        f"sip: {{listen: ['udp:127.0.0.1:14079']}}\ndatabase: {{url: 'sqlite+aiosqlite:///{directory}/vosd.db'}}\n"
        f"state_dir: {directory}/var\ncontrol_socket: {directory}/vosd.sock\n"
        'rate_groups:\n  - {name: sell, rates: [{prefix: "44", billing_rate: "0.012"}]}\n'
        "accounts:\n"
        + "".join(f"  - {{id: a{each}, rate_group: sell}}\n" for each in numbers)
        + "mapping_gateways:\n"
        + "".join(
            f"  - {{name: t{each}, account: a{each}, hosts: 10.0.0.{each}, auth: {{username: u{each}, password: x}}}}\n"
            for each in numbers
        )
        + "routing_gateways:\n  - {name: v, account: a0, address: 198.51.100.1}\n"
        + "phones:\n"
        + "".join(f"  - {{number: '{1_000 + each}', account: a0, password: x, voicemail: v}}\n" for each in numbers)
    )


class Lines:
    """Counts the lines of vosd that this thread goes through."""

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> "Lines":
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, _event: str, _argument: object) -> Callable[..., object] | None:
        return self._line if "/vosd/" in frame.f_code.co_filename else None

    def _line(self, _frame: FrameType, event: str, _argument: object) -> Callable[..., object]:
        self.number += event == "line"
        return self._line


async def lines_by_change(
    directory: Path, number: int, changes: dict[str, tuple[str, str]], count: int = -1
) -> dict[str, int]:
    file, text, remembered = directory / "vosd.yaml", written(directory, number), Remembered()

    file.write_text(text)
    running = load(file, remembered=remembered)
    daemon = Daemon(file, Started(running, remembered), Notifier(None))
    steps = up_to(daemon, "switch")
    for step in steps:
        await step.start()
    found = {}
    for what, (before, after) in changes.items():
        file.write_text(text := text.replace(before, after, count))
        running = reload(file, running, remembered=remembered).in_force
        with Lines() as lines:
            await daemon.service.swap_catalogue(running.catalogue)
        assert daemon.service.switch.catalogue is running.catalogue
        found[what] = lines.number
        while daemon.service.registrations.remove_some():
            pass
    for step in reversed(steps):
        await step.stop()
    return found


@pytest.fixture
def directories(tmp_path: Path) -> tuple[Path, Path]:
    few, many = tmp_path / "few", tmp_path / "many"
    for directory in (few, many):
        migrated(directory / "vosd.db")
    return few, many


async def test_a_reload_looks_on_the_loop_at_what_has_changed_alone(
    directories: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SeparateBooks, "start", begin_nothing)
    monkeypatch.setattr(whole_files, "subprocess", Subprocesses)
    few, many = directories
    assert await lines_by_change(few, 10, CHANGES, 1) == await lines_by_change(many, 100, CHANGES, 1)


TEMPLATES = {
    "all passwords": ("account: a0, password: x", "account: a0, password: y"),
    "one mailbox for all": ("voicemail: v", "voicemail: v, mailbox: office"),
    "other settings of phones with one mailbox": ("mailbox: office", "mailbox: office, ring_timeout: 20"),
    "all may send messages": ("mailbox: office", "mailbox: office, messages_per_minute: 5"),
    "all addresses": ("password: y", "password: y, hosts: 10.0.1.0/24"),
}
"""Changes of all phones."""


async def test_a_reload_that_changes_all_phones_does_not_look_at_all_of_them_in_one_turn(
    directories: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of 50,000 stopped the loop for 0.6 s."""
    monkeypatch.setattr(SeparateBooks, "start", begin_nothing)
    monkeypatch.setattr(whole_files, "subprocess", Subprocesses)
    monkeypatch.setattr(bindings, "AT_ONCE", 2)
    few, many = directories
    assert await lines_by_change(few, 10, TEMPLATES) == await lines_by_change(many, 100, TEMPLATES)


class Ring:
    """Refers to itself, so that the garbage collector alone frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def without_collections() -> Iterator[None]:
    """Free no garbage but what the test itself has collected, and let later tests have theirs freed."""
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.usefixtures("without_collections")
def test_garbage_of_before_a_reload_is_freed_and_not_put_out_of_sight_for_good() -> None:
    left = ref(Ring())
    with _beside_calls():
        assert left() is None


@pytest.mark.usefixtures("without_collections")
async def test_no_collection_while_the_database_is_read_looks_at_what_the_files_have_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop stands still meanwhile: 0.1 to 0.3 s where 50,000 phones have changed."""
    monkeypatch.setattr(whole_files, "subprocess", Subprocesses)
    looked_at: list[int] = []

    def definitions(wanted: Wanted) -> Stored:
        looked_at.append(len(gc.get_objects(generation=0)))
        return nothing_stored(wanted)

    async def take(_loaded: Loaded) -> None:
        return

    file, remembered = tmp_path / "vosd.yaml", Remembered()
    file.write_text(text := written(tmp_path, 100))
    started = Started(load(file, remembered=remembered), remembered)
    configuration = Configuration(
        file, started, take, take, Notifier(None), SystemClock(), lambda: Busy([], []), definitions
    )
    file.write_text(text.replace("password: x", "password: y"))
    with log_as_it_was():  # a reload configures the log
        await configuration.reload()
    assert [number < 100 for number in looked_at] == [True], looked_at
