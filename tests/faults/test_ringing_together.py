"""kill -9 with telephones that ring together: none rings on, and the one that has answered keeps its call."""

from contextlib import ExitStack
from typing import Any

from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.telephone import Telephone
from e2e.addresses import NETWORK
from e2e.conditions import eventually

from .conftest import CONFIGURATION
from .parties import Vendor

ALL, NAMES = "44900", ("7001", "7002", "7003")
TOGETHER = f"""{CONFIGURATION}
phones:
  - {{number: "7001", account: acme, password: secret}}
  - {{number: "7002", account: acme, password: secret}}
  - {{number: "7003", account: acme, password: secret}}
dids:
  - {{number: "{ALL}", account: acme, phones: ["7001", "7002", "7003"], ring: together}}
"""


def test_a_kill_leaves_no_telephone_ringing_and_the_answered_call_goes_on(stage: Any) -> None:
    scene = stage(configuration=TOGETHER)
    with ExitStack() as running:
        desks: list[Vendor] = []
        for place, name in enumerate(NAMES):
            desk = Vendor(Endpoint(f"{NETWORK}.{31 + place}", 15_370 + place), {name: "rings"})
            Telephone(desk.peer, scene.switch, Login(name, "secret"), f"{desk.peer.address}").register()
            desks.append(running.enter_context(desk))
        answered = ring(scene, desks)
        (talking,) = desks[1].invites
        desks[1].answer(talking)
        eventually(lambda: answered.answer is not None, "the answer")
        eventually(
            lambda: all(desks[each].counted("CANCEL").total() == 1 for each in (0, 2)), "the others are cancelled"
        )

        ringing = ring(scene, desks)
        late = next(call_id for call_id in desks[2].invites if not desks[2].counted("CANCEL")[call_id])
        desks[2].silent.add(late)
        scene.daemon.kill()
        scene.daemon.start()

        eventually(
            lambda: [each.counted("CANCEL").total() for each in desks] == [2, 1, 2], "a CANCEL to each that rang"
        )
        eventually(lambda: 503 in ringing.statuses, "the caller of the call that rang is told")
        desks[2].answer(late)
        eventually(lambda: desks[2].counted("BYE")[late] == 1, "an answer that crossed the kill is hung up")
        assert not answered.bye_status
        scene.customer.hang_up(answered)
        eventually(lambda: desks[1].counted("BYE")[talking] == 1, "the answered call ends when its caller hangs up")
        records = eventually(lambda: len(found := scene.records()) == 2 and found, "a record for each call")
        ends = {each["end_reason"]: each for each in records}
        assert sorted(ends) == ["Lost", "Normal"]
        assert ends["Normal"]["routing_gateway"] == "7002"
        assert {attempt["gateway"] for attempt in ends["Lost"]["attempts"]} == set(NAMES)
        scene.daemon.succeed("ledger", "verify")


def ring(scene: Any, desks: list[Vendor]) -> Any:
    """Call all telephones; return the call once they ring."""
    before = [len(each.invites) for each in desks]
    call = scene.customer.call(ALL)
    eventually(lambda: [len(each.invites) for each in desks] == [each + 1 for each in before], "all are called")
    eventually(lambda: 180 in call.statuses, "the caller hears that it rings")
    return call
