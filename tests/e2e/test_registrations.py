"""Registrations through the real daemon: a thousand telephones, restarts, and a kill in between."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.daemon import Daemon
from doubles.registrants import register_all
from doubles.sockets.loopback import Endpoint

from vosd.engine.registration.writer import FLUSH_S

from .addresses import NETWORK, REGISTRAR_SWITCH
from .conditions import eventually
from .stage import Stage, configuration

MANY = 1_000
NUMBERS = [f"8{number:05}" for number in range(MANY)]
SOURCES = [Endpoint(f"{NETWORK}.{host}", 20_000 + host) for host in range(100, 150)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A switch with a thousand phones."""
    directory: Path = tmp_path_factory.mktemp("registrar")
    phones = "".join(f'  - {{number: "{number}", account: family, password: secret}}\n' for number in NUMBERS)
    (directory / "many.yaml").write_text(f"phones:\n{phones}")
    with Daemon(directory, configuration("phones.yaml", REGISTRAR_SWITCH)) as daemon:
        yield Stage(daemon, REGISTRAR_SWITCH)


def registered(stage: Stage) -> dict[str, dict[str, object]]:
    rows = stage.daemon.ask("registrations")
    assert Counter(row["direction"] for row in rows)["inbound"] == len(rows)
    return {row["name"]: row for row in rows}


def register(numbers: list[str], *, expires: int = 3_600) -> None:
    asyncio.run(register_all(REGISTRAR_SWITCH, SOURCES, numbers, "secret", expires))


def test_a_thousand_phones_register_and_are_there_after_a_restart(stage: Stage) -> None:
    register(NUMBERS)
    before = registered(stage)
    assert set(before) == set(NUMBERS)
    assert {row["state"] for row in before.values()} == {"registered"}

    assert stage.daemon.interrupt() == 0
    stage.daemon.start()

    after = registered(stage)
    assert set(after) == set(NUMBERS)
    for key in ("contact", "received", "transport", "kind", "registered_at"):
        assert {name: row[key] for name, row in after.items()} == {name: row[key] for name, row in before.items()}
    *_, taken_over = (line for line in stage.daemon.log() if line["event"] == "registrations_restored")
    assert taken_over["bindings"] == MANY
    assert taken_over["took_ms"] < 10_000  # 60 ms on a machine that does nothing else
    stage.expect_clean_log()


def test_a_kill_takes_nothing_that_is_older_than_the_flush(stage: Stage) -> None:
    numbers = NUMBERS[:500]
    register(numbers, expires=600)
    eventually(lambda: stage.status()["registrations_unwritten"] == 0, "everything written", within_s=30 * FLUSH_S)
    register(numbers, expires=600)
    stage.daemon.kill()
    stage.daemon.start()
    assert set(numbers) <= set(registered(stage))
