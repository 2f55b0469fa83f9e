"""What an answered call keeps in memory: nothing that only its set-up needed."""

import gc

from vosd.sip.transaction.client import InviteClient
from vosd.sip.transaction.server import InviteServer

LONGER_THAN_TRANSACTIONS_MS = 70_000


def invites_of(endpoint):
    """Return the transactions of INVITEs of this switch that are in memory."""
    made = [each for each in gc.get_objects() if isinstance(each, InviteServer | InviteClient)]
    return [each for each in made if each.store is endpoint.store]


def test_a_call_in_conversation_keeps_no_transaction(scene):
    endpoint = scene.exchange.endpoint
    call, _ = scene.talk()
    scene.wire.run_for(LONGER_THAN_TRANSACTIONS_MS)
    assert set(invites_of(endpoint)) == {endpoint.answered_invite, endpoint.acknowledged_invite}
    assert scene.finish(call).end_reason == "Normal"


def test_a_call_in_conversation_keeps_no_routes(scene):
    scene.talk()
    (live_call,) = scene.exchange.switch.calls()
    assert list(live_call.call_request.choices) == []
