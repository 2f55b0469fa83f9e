"""What every test shares: Hypothesis with steady examples and no clock, a private MariaDB, SQLite files."""

import asyncio
import gc
import os
import shutil
import signal
from collections.abc import Callable, Generator, Iterator
from itertools import count
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Final

import pytest
import structlog
import uvloop
import whole_files
from bytecode import compile_together, keep
from cases import joined
from distribution import WaitingBesideComputing, rank
from doubles.mysql import server_of_tests
from doubles.process.mariadb import MariaDb
from hypothesis import HealthCheck, settings
from messages import send_fewer
from scratch import write_in_memory
from steady import draw_from_strategies_alone

from vosd.processes.life import NICENESS

_numbers = count(1)

# A busy machine must not fail a property; what has to be fast is measured where it says so. Every run has the same
# examples, so that a change is judged by what it changes; `make explore` looks for new ones.
_BUSY: Final = [HealthCheck.too_slow]
settings.register_profile("steady", deadline=None, max_examples=30, derandomize=True, suppress_health_check=_BUSY)
settings.register_profile("explore", deadline=None, max_examples=1_000, print_blob=True, suppress_health_check=_BUSY)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
if settings.get_current_profile_name() == "steady":
    draw_from_strategies_alone()

# What is logged is shown where a test fails: in plain words; colours and columns take a twentieth of the time.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.set_exc_info,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
    ]
)

_DIRECTORY: Final = pytest.StashKey[Path | None]()
_HAS_PASSED: Final = pytest.StashKey[bool]()

_LATEST: Final = 2**62
_SELDOM: Final = (10_000, 20, 20)
"""Thresholds of the search for garbage. By Python's own ones a property spends a seventh of its time on that search.

By much higher ones, files that garbage holds open stay open by the thousand."""


def pytest_configure(config: pytest.Config) -> None:
    """Spare workers and their controller messages, workers what other workers read, and the disk all of it.

    All processes of a run have the priority of those that give way to calls. These stood still beside the others: one
    that waits for a report, an import or the API waits no longer than for the switch.

    SIGTERM ends a run as Ctrl-C does, with its fixtures: it would leave MariaDB running otherwise.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    keep(config)
    config.stash[_DIRECTORY] = write_in_memory()
    send_fewer(config)
    config.pluginmanager.register(whole_files)
    # A verb that gives way to calls would leave its low priority to all tests behind it in this process.
    pytest.MonkeyPatch().setattr(os, "setpriority", lambda *_: None)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Note that all tests have passed."""
    session.config.stash[_HAS_PASSED] = exitstatus == pytest.ExitCode.OK


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the run's directory, unless what failed tests have left in it is still to be looked at."""
    directory = config.stash.get(_DIRECTORY, None)
    if directory is not None and config.stash.get(_HAS_PASSED, False):
        # after multiprocessing has removed its own directory there, which has the priority -100
        Finalize(None, shutil.rmtree, [directory], {"ignore_errors": True}, exitpriority=-200)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> pytest.Function | None:
    """Let a worker take all cases of a test at once, where they need no set-up."""
    return joined(collector, name, obj) if hasattr(collector.config, "workerinput") else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    items.sort(key=rank)


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run tests on the event loop that the daemon runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Leave modules and tests out of what is searched for garbage: they stay until the end."""
    gc.disable()
    compile_together(session.config)
    found = yield
    gc.freeze()
    gc.set_threshold(*_SELDOM)
    gc.enable()
    return found


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> WaitingBesideComputing | None:
    """Keep that order among workers."""
    return WaitingBesideComputing(config, log) if config.option.dist == "loadfile" else None


@pytest.fixture
def late_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock of the database server that has reached every time, whatever the one of this machine says."""

    async def latest(_database: object) -> int:
        return _LATEST

    monkeypatch.setattr("vosd.storage.database_clock.time_of", latest)


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A running MariaDB of the test run's own (port 18100-18199), stopped at its end."""
    server = server_of_tests(tmp_path_factory.mktemp("mariadb"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mariadb_url(mariadb_server: MariaDb) -> str:
    """The URL of a new and empty database in MariaDB; no tables, ``vosd migrate`` makes them."""
    return mariadb_server.create_database(f"vosd_{next(_numbers)}")


@pytest.fixture
def sqlite_url(tmp_path) -> str:
    """The URL of an SQLite database that does not exist yet; ``vosd migrate`` makes it."""
    return f"sqlite+aiosqlite:///{tmp_path}/vosd.db"
