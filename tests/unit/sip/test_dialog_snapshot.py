"""A dialog as data: what a journal of an earlier version lacks, what goes on as it stood, what is hung up."""

import msgspec
import pytest
from doubles.virtual.probe import VENDOR, Probe

from vosd.base.credentials import Login
from vosd.base.nat import Nat
from vosd.base.secret import Secret
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.snapshot import DialogSnapshot
from vosd.sip.digest.answer import Answers, Challenge
from vosd.sip.digest.hashing import Algorithm, Qop

EARLIER_VERSION = (
    b'["Y2FsbA==","PHNpcDp1cz47dGFnPW91cnM=","PHNpcDp0aGVtPjt0YWc9dGhlaXJz","c2lwOnRoZW1AMTk4LjUxLjEwMC43",'
    b'[],3,["udp:192.0.2.1:5060","198.51.100.7",5062],false,"carrier",1]'
)


@pytest.fixture
def flows():
    return Probe().endpoint.flows


def dialog(flows, answers=None):
    return Dialog(
        call_id="call", local='"M\udcfcller" <sip:us>;tag=ours', local_tag="ours", remote="<sip:them>;tag=theirs",
        remote_tag="theirs", target="sip:them@198.51.100.7", routes=("<sip:p@198.51.100.8;lr>",), local_sequence=3,
        remote_sequence=7, seen_at=VENDOR, is_behind_nat=False, next_hop_of=flows.next_hop, nat=Nat.AUTO, user="1001",
        answers=answers, server_name="one.example",
    )  # fmt: skip


def decoded(snapshot):
    return msgspec.json.decode(msgspec.json.encode(snapshot), type=DialogSnapshot)


def test_a_dialog_in_a_journal_of_an_earlier_version_can_be_hung_up(flows):
    earlier = msgspec.json.decode(EARLIER_VERSION, type=DialogSnapshot)
    restored = earlier.to_hang_up(flows, lambda _gateway: None)
    assert (restored.local_tag, restored.remote_tag, restored.call_id) == ("ours", "theirs", "call")
    assert restored.local_sequence > 3


def test_a_restored_dialog_writes_the_next_request_as_the_original(flows):
    original = dialog(flows)
    restored = decoded(DialogSnapshot.of(original, flows)).restored(flows, None)
    written = [each.request("BYE", "via", each.local_sequence + 1, "") for each in (original, restored)]
    assert written[0] == written[1]
    for name in Dialog.__slots__:
        if name != "_way":
            assert getattr(restored, name) == getattr(original, name), name


def test_a_restored_dialog_answers_the_challenges_that_were_answered_before(flows):
    login = Login("us", Secret("sesame"))
    challenge = Challenge(False, "realm\udcfc", "nonce", Algorithm.MD5, True, Qop.AUTH, None, False)
    original, later = Answers(login, gateway="carrier"), Answers(login)
    original.go_on_from([(challenge, 4)])
    snapshot = decoded(DialogSnapshot.of(dialog(flows, original), flows, "carrier"))
    later.go_on_from(each.restored() for each in snapshot.asked)
    proof = later.lines("BYE", "sip:them", b"", "c")
    assert "nc=00000005" in proof
    assert proof == original.lines("BYE", "sip:them", b"", "c")
