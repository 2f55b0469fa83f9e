"""Which gateways are up, by OPTIONS and answers, with hysteresis."""

import pytest

from vosd.routing.health import NOT_THERE, GatewayHealth, Trunk
from vosd.trunks.gateways import Ping

PING = Ping(interval_ms=30_000, timeout_ms=4_000, down_after=3, up_after=2)


class Pinged:
    """A gateway that gets OPTIONS, and its reported changes; ``.`` is an answer, ``x`` a failure."""

    def __init__(self, ping=PING):
        self.health = GatewayHealth()
        self.reported = []
        self.health.on_change = lambda gateway, state: self.reported.append((gateway, state))
        self.health.watch("a", ping)
        self.at = 0

    def note(self, signs):
        for sign in signs:
            self.at += 1_000
            (self.health.answered if sign == "." else self.health.failed)("a", self.at)
        return self

    @property
    def state(self):
        return Trunk.UP if self.health.down_ms("a", self.at) is None else Trunk.DOWN


@pytest.mark.parametrize(
    ("signs", "state"),
    [
        ("", Trunk.UP),
        ("xx", Trunk.UP),
        ("xxx", Trunk.DOWN),
        ("xx.xx.xx", Trunk.UP),
        ("xx.xxx", Trunk.DOWN),
        ("xxx.", Trunk.DOWN),
        ("xxx..", Trunk.UP),
        ("xxx.x.x.x", Trunk.DOWN),
        ("xxx.x..", Trunk.UP),
        ("xxx..xx", Trunk.UP),
        ("xxx..xxx", Trunk.DOWN),
    ],
)
def test_only_results_in_a_row_change_the_state(signs, state):
    pinged = Pinged().note(signs)
    assert pinged.state is state
    assert len(pinged.health.down) == (state is Trunk.DOWN)


def test_each_change_is_reported_once():
    pinged = Pinged().note("xxxxxx......xxxx")
    assert pinged.reported == [("a", Trunk.DOWN), ("a", Trunk.UP), ("a", Trunk.DOWN)]


def test_one_result_is_enough_where_it_is_configured():
    pinged = Pinged(PING._replace(down_after=1, up_after=1)).note("x.x")
    assert [state for _, state in pinged.reported] == [Trunk.DOWN, Trunk.UP, Trunk.DOWN]


def test_the_time_since_a_gateway_went_down():
    pinged = Pinged().note("xxx")
    assert pinged.health.down_ms("a", pinged.at + 5_000) == 5_000


def test_a_gateway_that_gets_no_options_is_up_whatever_it_answers():
    health = GatewayHealth()
    for _ in range(10):
        health.failed("b", 1)
    assert health.down_ms("b", 2) is None
    assert len(health.down) == 0


def test_a_gateway_that_gets_options_no_longer_is_up():
    pinged = Pinged().note("xxx")
    pinged.health.forget("a")
    assert pinged.state is Trunk.UP
    assert len(pinged.health.down) == 0


def test_a_reload_with_other_settings_keeps_the_state():
    pinged = Pinged().note("xxx")
    pinged.health.watch("a", PING._replace(up_after=1))
    assert pinged.state is Trunk.DOWN
    assert pinged.note(".").state is Trunk.UP


def test_refusals_show_that_a_vendor_is_up_and_codes_of_a_proxy_do_not():
    assert {408, 502, 503, 504} == NOT_THERE
