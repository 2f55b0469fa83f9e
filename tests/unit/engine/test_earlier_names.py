"""Names in the dialogs of an earlier run, which a start looks up before it goes on with them."""

from collections import Counter

from doubles.journals import crash_and_read, open_call, opened
from doubles.left_legs import CALLER_SIDE, DIALOG
from doubles.virtual.probe import START
from msgspec.structs import replace

from vosd.callcontrol.open_call import Description
from vosd.engine.earlier_run import hops_of
from vosd.engine.journal.entries import LeftOver
from vosd.sip.flows import Hop


def test_the_contact_or_the_first_route_of_each_dialog_says_it(directory):
    journal = opened(directory)
    legs = (
        replace(CALLER_SIDE, target=b"sip:1@pbx.example:5070", routes=()),
        replace(DIALOG, target=b"sip:2@gw.example", routes=(b"<sip:edge@proxy.example;lr>", b"<sip:inner.example;lr>")),
    )
    journal.answered(open_call(1), Description(legs))
    another = replace(CALLER_SIDE, target=b"sips:sips.example", routes=(), local=b"<sip:3@192.0.2.1>;tag=other")
    journal.answered(open_call(2), Description((legs[0], another)))
    journal.flush()
    assert Counter(hops_of(crash_and_read(directory))) == {
        Hop("pbx.example", 5070, None): 2,
        Hop("proxy.example", None, None): 1,
        Hop("sips.example", None, "tls"): 1,
    }


def test_what_goes_where_its_peer_was_seen_says_nothing(directory):
    """Peers behind NAT, browsers, whose names lead nowhere, and a Contact that cannot be read."""
    journal = opened(directory)
    plain = replace(CALLER_SIDE, target=b"sip:1@pbx.example", routes=())
    legs = (
        replace(plain, is_behind_nat=True),
        replace(plain, has_left_contact=True),
        replace(plain, target=b"sip:x@df7jal23ls0d.invalid;transport=ws"),
        replace(plain, target=b"sip:x@df7jal23ls0d.invalid"),
        replace(plain, target=b"sip:x@pbx.example;transport=wss"),
        replace(plain, target=b"\xff"),
    )
    named = [replace(each, local=b"<sip:4@192.0.2.1>;tag=%d" % number) for number, each in enumerate(legs)]
    journal.left_over.leave([LeftOver("", (each,)) for each in named], START)
    journal.flush()
    remains = crash_and_read(directory)
    assert len(remains.legs()) == len(legs)
    assert list(hops_of(remains)) == []
