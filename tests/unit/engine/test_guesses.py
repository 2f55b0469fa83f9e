"""A thief has an account of his own, or many addresses, and wants the password of another user."""

import pytest
from doubles.data.builders import phone
from doubles.login_scene import DESK, OTHER_DESK, RIGHT, WRONG, at_once, scene
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from structlog.testing import capture_logs

from vosd.sip.digest.settings import LockOutSettings


def test_logging_in_to_an_account_of_ones_own_resets_no_guess_at_another():
    stage = scene(phone("1001"), phone("1002"))
    thief, own = at_once(stage, DESK), Login("1002", "secret")
    statuses = []
    for _ in range(10):
        statuses += [thief.prove(WRONG, "REGISTER").status for _ in range(4)]
        assert thief.prove(own).status == 180
    assert statuses == [401] * 6 + [503] * 34
    assert thief.prove(RIGHT, "REGISTER").status == 503, "not even the right password is looked at"


def test_a_success_begins_the_count_of_its_own_user_anew():
    stage = scene()
    request_client = stage.exchange.request_client(DESK)
    for _ in range(3):
        assert [request_client.prove(WRONG).status for _ in range(5)] == [401] * 5
        assert request_client.prove(RIGHT, "REGISTER").status == 200


@pytest.mark.parametrize("name", ["1001", "unknown"])
def test_one_user_is_guessed_at_from_many_sources_ever_more_slowly(name):
    stage = scene()
    sources = (at_once(stage, Endpoint(f"203.0.114.{number}", 5060)) for number in range(1, 250))
    waits = []
    with capture_logs() as lines:
        for _ in range(6):
            assert next(sources).prove(Login(name, "guess")).status == 401
        for _ in range(10):
            assert next(sources).prove(Login(name, "guess")).status == 401
            refused = next(sources).prove(Login(name, "secret"))
            assert refused.status == 503
            waits.append(int(refused["Retry-After"]))
            stage.wire.run_for(1_000 * waits[-1])
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 180, 180]
    attacked = [each["username"] for each in lines if each["event"] == "auth_user_attacked"]
    assert attacked == (["1001"] if name == "1001" else [])


def test_the_user_who_is_guessed_at_stays_in_where_he_was():
    stage = scene()
    at_home = stage.exchange.request_client(DESK)
    assert at_home.prove(RIGHT, "REGISTER").status == 200
    for number in range(7):
        guesser = at_once(stage, Endpoint(f"203.0.114.{number}", 5060))
        assert guesser.prove(WRONG).status == 401
    assert at_once(stage, OTHER_DESK).prove(RIGHT).status == 503
    assert at_home.prove(RIGHT, "REGISTER").status == 200
    assert at_once(stage, Endpoint(DESK.host, 5)).prove(RIGHT).status == 180
    stage.wire.run_for(1_000)
    assert at_once(stage, OTHER_DESK).prove(RIGHT).status == 180


def test_a_neighbour_behind_the_same_nat_keeps_no_registered_phone_out():
    stage = scene()
    desk = stage.exchange.telephone("1001", DESK)
    desk.register()
    neighbour = at_once(stage, Endpoint(DESK.host, 5))
    statuses = [neighbour.prove(WRONG, "REGISTER").status for _ in range(50)]
    assert statuses == [401] * 7 + [503] * 43
    assert desk.register().status == 200


def test_where_lock_outs_are_off_nothing_waits():
    stage = scene(lock_out=LockOutSettings(0, 60_000))
    request_client = stage.exchange.request_client(DESK)
    assert {request_client.prove(WRONG).status for _ in range(30)} == {401}
    assert request_client.prove(RIGHT).status == 180
