"""Compiled rate files: kept by content, compiled by processes of their own, never trusted when damaged."""

import gc
import os
import subprocess
from decimal import Decimal
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pytest
from doubles.data.builders import rates_in
from doubles.forked_program import Subprocesses
from doubles.machine_zone import machine_zone

from vosd.billing.rate_columns import RateColumns
from vosd.billing.rate_file import RateFile
from vosd.billing.rates import Rate
from vosd.catalogue.losses import Busy, objections
from vosd.catalogue.problems import ConfigError
from vosd.config.assembly import rate_compiler, rate_compilers, rate_orders
from vosd.config.assembly.rate_compilers import CompilerProcesses
from vosd.config.assembly.rate_store import KEPT_S, RateStore
from vosd.config.assembly.rate_tables import StoredTables, tables_for_reader, tables_of_reload, tables_of_switch
from vosd.config.load import load
from vosd.config.reload import reload

GROUPS = """\
state_dir: {state_dir}
rate_groups:
  - {{name: sell, rates_file: sell.csv}}
  - {{name: buy, rates_file: buy.csv, billing_unit: {unit}}}
"""
HEADER = "prefix,billing_rate\n"


class Deck:
    """A configuration with two compiled rate groups."""

    def __init__(self, site) -> None:
        self.site = site
        self.state_dir = site.directory / "var"
        self.write_rates("sell", "44,0.60\n4420,0.50\n")
        self.write_rates("buy", "44,0.30\n")
        self.configure()

    def configure(self, unit: int = 6) -> None:
        self.site.write("vosd.yaml", GROUPS.format(state_dir=self.state_dir, unit=unit))

    def write_rates(self, group: str, rows: str) -> None:
        self.site.write(f"{group}.csv", HEADER + rows)

    def load(self, tables=tables_of_switch):
        return load(self.site.directory / "vosd.yaml", {}, tables)

    def reload(self, running, **how):
        tables = partial(tables_of_reload, in_use=running.rate_files)
        return reload(self.site.directory / "vosd.yaml", running, {}, **{"tables": tables, **how})

    def files(self) -> list[Path]:
        return sorted((self.state_dir / "rates").iterdir())


@pytest.fixture
def deck(site, monkeypatch):
    monkeypatch.setattr(rate_orders, "SMALL_BYTES", -1)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # one process for both groups
    monkeypatch.setattr(rate_compilers, "subprocess", Subprocesses)
    return Deck(site)


@pytest.fixture
def started(monkeypatch) -> list[int]:
    """The ids of the processes that compile."""
    pids: list[int] = []
    start = CompilerProcesses.start

    def noted(processes):
        process = start(processes)
        pids.append(process.pid)
        return process

    monkeypatch.setattr(CompilerProcesses, "start", noted)
    return pids


def prices(loaded, group: str) -> dict[str, str]:
    return {rate.prefix: str(rate.billing_rate) for rate in rates_in(loaded.catalogue.rate_groups[group])}


def test_the_first_load_compiles_and_the_next_one_finds_the_files(deck, started, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(rate_compilers, "subprocess", subprocess)  # the program itself
    first = deck.load()
    assert len(started) == 2
    assert prices(first, "sell") == {"44": "0.60", "4420": "0.50"}
    assert [path.stat().st_mode & 0o777 for path in deck.files()] == [0o600, 0o600]
    assert deck.files()[0].parent.stat().st_mode & 0o777 == 0o700
    del started[:]
    again = deck.load()
    assert (started, again.catalogue.version) == ([], first.catalogue.version)
    assert isinstance(again.catalogue.rate_groups["buy"].table, RateFile)


def test_a_process_that_compiles_keeps_nothing_of_a_file_behind_it(deck, monkeypatch):
    """One process compiles both files; what it held of the first is gone before it has the second."""
    counts, carry_out = deck.site.directory / "counts", rate_compiler.carry_out

    def counted(task, progress):
        with counts.open("a") as file:
            file.write(f"{sum(isinstance(each, RateColumns) for each in gc.get_objects())} ")
        return carry_out(task, progress)

    monkeypatch.setattr(rate_compiler, "carry_out", counted)
    deck.load()
    assert counts.read_text() == "0 0 "


def test_only_a_changed_group_is_compiled(deck, started):
    running = deck.load()
    before = deck.files()
    deck.write_rates("buy", "44,0.31\n")
    outcome = deck.reload(running)
    assert (len(deck.files()), set(before) < set(deck.files())) == (3, True)
    assert prices(outcome.in_force, "buy") == {"44": "0.31"}
    tables = [each.catalogue.rate_groups["sell"].table for each in (running, outcome.in_force)]
    assert tables[0] is tables[1]


def test_settings_that_change_what_a_row_means_are_part_of_the_name(deck):
    running = deck.load()
    deck.configure(unit=60)
    cycles = [
        each.catalogue.rate_groups["buy"].find("44", 0).rate.billing_cycle
        for each in (running, deck.reload(running).in_force)
    ]
    assert cycles == [6, 60]


def _flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    path.write_bytes(content)


def test_among_prefixes_of_more_than_sixteen_digits_the_longest_is_found(tmp_path):
    begin = "4420794600001234"
    prefixes = ("4420", begin, f"{begin}3", f"{begin}5", f"{begin}56", f"{begin}567", f"{begin}58", f"{begin}9997")
    columns = RateColumns(per_cycle=False)
    for place, prefix in enumerate(prefixes):
        columns.add(Rate(prefix, Decimal(place), 6))
    store = RateStore(tmp_path)
    store.write("a.rates", columns.encoded())
    table = store.open("a.rates")
    for more in (
        "",
        "2",
        "39",
        "5",
        "55",
        "569",
        "568",
        "567",
        "5670",
        "57",
        "58",
        "589",
        "59",
        "8",
        "90",
        "9998",
        "99970",
    ):
        number = begin + more
        expected = max((each for each in prefixes if number.startswith(each)), key=len)
        assert table.find(number, 0).prefix == expected, number


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:20]),
        lambda path: path.write_bytes(path.read_bytes() + b"\0" * 8),
        lambda path: _flip(path, 0),
        lambda path: _flip(path, 40),
        lambda path: _flip(path, -1),
        lambda path: _flip(path, len(path.read_bytes()) * 2 // 3),
        Path.unlink,
    ],
    ids=["emptied", "truncated", "header truncated", "longer", "magic", "header", "last byte", "a column", "removed"],
)
def test_a_damaged_file_is_never_used(tmp_path, damage):
    columns = RateColumns(per_cycle=False)
    columns.add(Rate("44", Decimal("0.60"), 6))
    store = RateStore(tmp_path)
    store.write("a.rates", columns.encoded())
    assert store.open("a.rates").find("4420", 0) == Rate("44", Decimal("0.60"), 6)
    damage(tmp_path / "a.rates")
    assert store.open("a.rates") is None


def test_of_a_file_that_cannot_be_written_nothing_is_left(tmp_path):
    def parts():
        yield b"begin"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        RateStore(tmp_path).write("a.rates", parts())
    assert [*tmp_path.iterdir()] == []


def test_a_damaged_file_is_compiled_again(deck):
    deck.load()
    sound = {path: path.read_bytes() for path in deck.files()}
    for path in sound:
        _flip(path, -1)
    assert prices(deck.load(), "sell") == {"44": "0.60", "4420": "0.50"}
    assert {path: path.read_bytes() for path in deck.files()} == sound


def test_mistakes_in_rows_come_back_from_the_process(deck):
    running = deck.load()
    deck.write_rates("sell", "44,0.60\n45,much\n")
    outcome = deck.reload(running)
    assert not outcome.is_accepted
    assert outcome.in_force is running
    assert list(map(deck.site.shown, map(str, outcome.problems))) == [
        (
            "sell.csv:3: rate_groups[sell].rates_file.billing_rate: value 'much': "
            "expected an amount of 0 or more with at most 8 decimals, such as 0.012"
        )
    ]


def test_a_reload_says_which_prefixes_lose_their_rate(deck):
    deck.write_rates("sell", "".join(f"44{n},0.6\n" for n in range(10, 20)))
    running = deck.load()
    deck.write_rates("sell", "".join(f"44{n},0.7\n" for n in range(12, 20)))
    outcome = deck.reload(running)
    assert list(objections(outcome.lost, Busy(set(), set()))) == [
        "the file removes 2 of 10 rates of rate group 'sell': 4410, 4411"
    ]


def test_rates_that_stay_while_their_areas_change_are_compared_with_nothing(deck, monkeypatch):
    """A million take ten seconds of a thread beside the calls, and each import of a price list may name them."""
    groups = GROUPS.replace("unit}", "unit}, area_names: sell")
    deck.site.write("vosd.yaml", groups.format(state_dir=deck.state_dir, unit=6))
    running = deck.load()
    monkeypatch.setattr(RateFile, "has", lambda _table, prefix: pytest.fail(f"{prefix} was compared"))
    deck.site.write("sell.csv", "prefix,billing_rate,area\n44,0.60,UK\n4420,0.50,London\n")
    outcome = deck.reload(running)
    named = outcome.in_force.catalogue.rate_groups["buy"]
    assert (outcome.lost, named.table.find("4420", 0).area) == ((), "London")


def test_a_group_that_grows_from_objects_to_a_file_is_compared_too(deck, monkeypatch):
    monkeypatch.setattr(rate_orders, "SMALL_BYTES", 1_000)
    running = deck.load()
    assert running.rate_files == {}
    deck.write_rates("sell", "".join(f"33{n},0.7\n" for n in range(1_000)))
    outcome = deck.reload(running)
    assert [*outcome.in_force.rate_files] == ["sell"]
    assert list(map(str, outcome.lost)) == ["2 of 2 rates of rate group 'sell': 44, 4420"]
    back = reload(deck.site.write("vosd.yaml", "rate_groups: [{name: sell, rates: []}]"), outcome.in_force, {})
    assert list(map(str, back.lost)) == [
        "1000 of 1000 rates of rate group 'sell': 330, 331, 3310, 33100, 33101 and 995 more"
    ]


def test_a_killed_process_fails_the_reload_with_the_reason(deck, monkeypatch):
    running = deck.load()
    start = CompilerProcesses.start

    def killed(processes):
        process = start(processes)
        process.kill()
        return process

    monkeypatch.setattr(CompilerProcesses, "start", killed)
    deck.write_rates("sell", "44,0.70\n")
    outcome = deck.reload(running)
    assert (outcome.is_accepted, outcome.in_force) == (False, running)
    assert list(map(deck.site.shown, map(str, outcome.problems))) == [
        (
            "vosd.yaml:3: rate_groups[sell].rates_file: value 'sell.csv': "
            "expected a process that finishes compiling it; it was ended by signal 9"
        )
    ]
    assert prices(running, "sell")["44"] == "0.60"


def test_a_stopping_switch_ends_the_process_of_a_reload(deck, monkeypatch):
    running = deck.load()
    deck.write_rates("sell", "".join(f"44{n},0.7\n" for n in range(300_000)))
    is_started, start = Event(), CompilerProcesses.start

    def noted(processes):
        process = start(processes)
        is_started.set()
        return process

    monkeypatch.setattr(CompilerProcesses, "start", noted)
    tables = tables_of_reload(deck.state_dir, running.rate_files)
    outcomes: list[object] = []
    waiting = Thread(target=lambda: outcomes.append(deck.reload(running, tables=lambda _: tables)))
    waiting.start()
    assert is_started.wait(30)
    tables.stop()
    waiting.join(30)
    (outcome,) = outcomes
    assert "ended by signal 9" in str(outcome.problems[0])


def test_a_directory_that_cannot_be_written_fails_a_reload_but_no_start(deck):
    deck.state_dir.mkdir()
    (deck.state_dir / "rates").write_text("not a directory")
    loaded = deck.load()
    assert prices(loaded, "buy") == {"44": "0.30"}
    expected = "expected room for the compiled rates in var/rates: not a directory"
    assert [deck.site.shown(str(each)) for each in loaded.problems] == [
        f"vosd.yaml:3: warning: rate_groups[sell].rates_file: value 'sell.csv': {expected}",
        f"vosd.yaml:4: warning: rate_groups[buy].rates_file: value 'buy.csv': {expected}",
    ]
    deck.write_rates("buy", "44,0.31\n")
    outcome = deck.reload(loaded)
    assert not outcome.is_accepted
    assert expected in deck.site.shown(str(outcome.problems[-1]))


def test_two_processes_may_compile_the_same_file_at_once(deck):
    deck.write_rates("sell", "".join(f"44{n},0.7\n" for n in range(20_000)))
    loads: list[object] = []
    threads = [Thread(target=lambda: loads.append(deck.load())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [each.catalogue.rate_groups["sell"].table.size for each in loads] == [20_000] * 2
    assert len(deck.files()) == 2


def test_what_no_table_uses_is_removed_after_an_hour(deck):
    loaded = deck.load()
    store = RateStore(deck.state_dir / "rates")
    in_use = {each.name for each in loaded.rate_files.values()}
    now = deck.files()[0].stat().st_mtime
    for name, age in (("old.rates", 2), ("young.rates", 0), (".compiling-x", 2), ("README", 2)):
        (store.directory / name).write_text("")
        os.utime(store.directory / name, times=(now - age * KEPT_S,) * 2)
    for name in in_use:
        os.utime(store.directory / name, times=(0, 0))
    store.sweep(in_use)
    assert {path.name for path in deck.files()} == {*in_use, "young.rates", "README"}
    assert prices(loaded, "sell")["4420"] == "0.50"


def test_a_removed_file_stays_readable_for_the_tables_that_use_it(deck):
    loaded = deck.load()
    for path in deck.files():
        path.unlink()
    assert prices(loaded, "buy") == {"44": "0.30"}


def test_a_command_uses_the_files_of_the_switch_and_writes_where_it_may(deck, started):
    told: list[object] = []
    reader = partial(tables_for_reader, progress=lambda *how_far: told.append(how_far))
    assert prices(deck.load(reader), "sell")["44"] == "0.60"
    assert (started, deck.state_dir.exists()) == ([], False)  # a command creates no state directory
    assert told == [(0, 2, 2), (1, 2, 1)]
    deck.state_dir.mkdir()
    deck.load(reader)
    assert started
    assert len(deck.files()) == 2
    del started[:]
    deck.load(reader)
    assert started == []


def test_a_source_that_cannot_be_read_is_named_as_ever(deck):
    running = deck.load()
    (deck.site.directory / "sell.csv").unlink()
    outcome = deck.reload(running)
    assert list(map(deck.site.shown, map(str, outcome.problems))) == [
        (
            "vosd.yaml:3: rate_groups[sell].rates_file: value 'sell.csv': "
            "expected a readable file: no such file or directory"
        )
    ]


def test_a_group_with_mistakes_of_its_own_and_of_its_rows_names_both(deck):
    deck.site.write(
        "vosd.yaml",
        f"state_dir: {deck.state_dir}\nrate_groups: [{{name: sell, rates_file: sell.csv, currency: X}}]\n"
        "accounts: [{id: acme, rate_group: sell}]\n",
    )
    with pytest.raises(ConfigError) as caught:
        deck.load(lambda state_dir: StoredTables(RateStore(state_dir), workers=1))
    assert [each.key for each in caught.value.problems] == ["rate_groups[sell].currency"]


def test_a_day_of_rates_begins_by_the_zone_of_now_where_another_has_the_same_names(deck):
    """As Chicago and Havana have, or one zone before and behind an update of its rules."""
    deck.site.write("sell.csv", "prefix,billing_rate,effective_from\n44,1,\n44,2,2027-03-20\n")
    found = {}
    for rules in ("M3.2.0,M11.1.0", "M4.1.0,M11.1.0"):
        with machine_zone(f"CST6CDT,{rules}"):
            group = deck.load().catalogue.rate_groups["sell"]
        found[rules] = group.find("44", 1_805_520_600_000).rate.billing_rate  # 2027-03-20T05:30:00Z
    assert found == {"M3.2.0,M11.1.0": 2, "M4.1.0,M11.1.0": 1}
