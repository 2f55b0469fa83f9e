"""Requests inside a running call that change nothing: each is answered, and the call lives on."""

import pytest

from .conversation import conversing
from .expectations import answered, check
from .stage import Stage


@pytest.mark.parametrize(
    ("method", "status"),
    [("UPDATE", 200), ("INFO", 200), ("OPTIONS", 200), ("SUBSCRIBE", 489), ("NOTIFY", 489), ("MESSAGE", 405)],
)
def test_a_request_inside_the_call_is_answered_and_the_call_lives_on(stage: Stage, method: str, status: int) -> None:
    with conversing(stage, "4410") as (conversation,):
        conversation.establish()
        call = conversation.call
        call.send(call.request(method, 2))

        assert call.peer.final_response(f"2 {method}", call.call_id).status == status
        assert stage.status()["calls"] == 1
        conversation.hang_up(cseq=3)
    stage.expect_nothing_left()
    check(stage.record_of(conversation.callee), answered("carrier-a", rang=False))


def test_a_bye_with_an_unknown_tag_gets_481_and_ends_nothing(stage: Stage) -> None:
    with conversing(stage, "4410") as (conversation,):
        conversation.establish()
        call = conversation.call
        call.send(call.request("BYE", 2, branch="guess").replace(";tag=", ";tag=guessed-", 2))

        assert call.peer.final_response("2 BYE", call.call_id).status == 481
        assert stage.status()["calls"] == 1
        conversation.hang_up(cseq=3)
    stage.expect_nothing_left()
    check(stage.record_of(conversation.callee), answered("carrier-a", rang=False))
