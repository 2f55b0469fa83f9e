"""Accounting of the calls of transfers, with the terms of the server that has judged the password of the phone."""

import pytest
from doubles.data.builders import account, catalogue, phone
from doubles.killed import KilledScene
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, vendor_gateway
from doubles.virtual.vendor import answers

from vosd.engine.registration.authentication import Authenticator
from vosd.sip.auth_gate import Accepted

FIRST, SECOND, TARGET = "7001", "7002", "442071111111"


@pytest.fixture
def scene(tmp_path, monkeypatch):
    examine = Authenticator.examine

    def examined(self, *request):
        verdict = examine(self, *request)
        if isinstance(verdict, Accepted) and verdict.user:
            terms = {"longest_s": int(verdict.user) - 5_000, "interim_s": int(verdict.user)}
            return verdict._replace(radius_classes=(verdict.user.encode(), b"\0"), **terms)
        return verdict

    monkeypatch.setattr(Authenticator, "examine", examined)
    rich = [account(name, overdraft_limit=None) for name in ("acme", "carriers")]
    made = KilledScene(tmp_path, catalogue([vendor_gateway(0)], phones=[phone(FIRST), phone(SECOND)], accounts=rich))
    made.vendor.script = answers(500)
    return made


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("by", [FIRST, SECOND])
def test_the_call_to_a_target_has_class_interval_and_longest_call_of_the_phone_that_transfers(scene, by, is_killed):
    desks = {
        number: scene.exchange.telephone(number, Endpoint("203.0.113.60", 40_000 + place))
        for place, number in enumerate((FIRST, SECOND))
    }
    call = desks[FIRST].call(CALLEE)
    scene.await_answer(call, talk_ms=1_000)
    if by == SECOND:
        call = desks[SECOND].call(CALLEE, Intent(headers=(f"Replaces: {call.replaces}",)))
        scene.wire.run_for(2_000)
        assert call.final == 200
    if is_killed:
        scene.kill(then_ms=1_000)
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    scene.wire.run_for(3_000)
    requests = {live.call_request.callee: live.call_request for live in scene.exchange.switch.calls()}
    asked = {number: (each.hold.ceiling_s, each.interim_s, each.radius_classes) for number, each in requests.items()}
    assert asked == {
        CALLEE: (int(FIRST) - 5_000, int(FIRST), (FIRST.encode(), b"\0")),
        TARGET: (int(by) - 5_000, int(by), (by.encode(), b"\0")),
    }
    scene.hang_up(scene.vendor.calls[0], wait_ms=2_000)
    classes = {record.callee_in: record.radius_class for record in scene.exchange.sink.records}
    assert classes == {CALLEE: f"{FIRST.encode().hex()} 00", TARGET: f"{by.encode().hex()} 00"}
