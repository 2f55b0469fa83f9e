"""Silenced sources with cause and time: wrong passwords and floods in one list, and their release."""

import pytest
from doubles.data.builders import catalogue, phone
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.virtual.scene import Scene

from vosd.base.clock import Instant
from vosd.cdr.columns import iso_utc
from vosd.daemon.silenced import Silenced

DESK = Endpoint("203.0.113.66", 41_234)
FLOODER = "203.0.113.99"


class Blocks:
    """Listeners that keep addresses out."""

    def __init__(self) -> None:
        self.until: dict[str, float] = {}

    def blocked(self) -> dict[str, float]:
        return self.until

    def release(self, host: str) -> bool:
        return self.until.pop(host, None) is not None


@pytest.fixture
def scene() -> Scene:
    return Scene(catalogue([], phones=[phone("1001")]))


@pytest.fixture
def blocks() -> Blocks:
    return Blocks()


@pytest.fixture
def silenced(scene: Scene, blocks: Blocks) -> Silenced:
    return Silenced(scene.exchange.authenticator, blocks, scene.exchange.clock)


def guess(scene: Scene, times: int = 6, username: str = "1001") -> Instant:
    for _ in range(times):
        scene.exchange.request_client(DESK).prove(Login(username, "guess"), "REGISTER")
    return scene.exchange.clock.now()


def test_who_guessed_is_listed_with_the_cause_and_the_rest_of_its_time(scene: Scene, silenced: Silenced) -> None:
    guess(scene, 5)
    assert silenced.rows() == []
    guess(scene, 1, username="admin")
    scene.wire.run_for(60_000)
    (row,) = silenced.rows()
    assert (row.source, row.cause) == (DESK.host, "wrong credentials")
    assert (row.failures, row.username, row.remaining_s) == (6, "admin", 120)
    assert row.until > iso_utc(scene.exchange.clock.now().wall)
    scene.wire.run_for(120_000)
    assert silenced.rows() == []


def test_who_floods_is_listed_beside_them(scene: Scene, silenced: Silenced, blocks: Blocks) -> None:
    now = guess(scene)
    blocks.until = {FLOODER: now.mono / 1_000 + 29.5, "203.0.113.98": now.mono / 1_000 - 1}
    rows = silenced.rows()
    assert [(row.source, row.cause) for row in rows] == [(DESK.host, "wrong credentials"), (FLOODER, "flood")]
    assert (rows[1].remaining_s, rows[1].failures, rows[1].username) == (30, None, None)


def test_a_released_source_is_served_again(scene: Scene, silenced: Silenced, blocks: Blocks) -> None:
    guess(scene)
    blocks.until[FLOODER] = scene.exchange.clock.now().mono / 1_000 + 30
    assert [silenced.unblock(host) for host in (DESK.host, FLOODER)] == [True, True]
    assert [silenced.unblock(host) for host in (DESK.host, FLOODER)] == [False, False]
    assert silenced.rows() == []
    assert scene.exchange.request_client(DESK).ask() is not None


def test_a_long_invented_user_name_is_cut(scene: Scene, silenced: Silenced) -> None:
    guess(scene, 6, username="x" * 500)
    assert silenced.rows()[0].username == "x" * 100
