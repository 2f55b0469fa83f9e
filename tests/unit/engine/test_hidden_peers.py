"""Which of the registered are kept alive by all means: those that are not where they say."""

import pytest
from doubles.data.registering import register_request
from doubles.virtual.clock import ManualClock

from vosd.engine.registration.bindings import RegistrantKind, Registrations
from vosd.sip.flows import Flows, Listener
from vosd.sip.settings import RegistrarSettings
from vosd.sip.wire.outgoing import Peer

OUTSIDE = Peer(0, "203.0.113.9", 40_000)
REMAPPED = Peer(0, "203.0.113.9", 41_111)
HOME = "<sip:1001@192.168.1.100:5060>"
OPEN = f"<sip:1001@{OUTSIDE}>"


class Unwritten:
    def put(self, name, binding, earlier):
        """Take no note."""

    def drop(self, name, slot):
        """Take no note."""


class Desk:
    """A table of registrations, and REGISTERs that come in."""

    def __init__(self) -> None:
        flows = Flows((Listener("192.0.2.1", 5060), Listener("192.0.2.1", 5060, "tcp")), str)
        self.clock = ManualClock()
        self.table = Registrations(RegistrarSettings(), flows, Unwritten(), self.clock)
        self.cseq = 0

    def register(
        self, contact: str, source: Peer = OUTSIDE, name: str = "1001", expires: int = 600, via: str = str(OUTSIDE)
    ) -> None:
        self.cseq += 1
        request = register_request(contact, cseq=self.cseq, expires=expires, via=via)
        outcome = self.table.register(name, RegistrantKind.PHONE, request, source, self.clock.now())
        assert outcome.status == 200

    @property
    def places(self) -> tuple[tuple[Peer, ...], tuple[Peer, ...]]:
        return tuple(self.table.peers()), tuple(self.table.hidden_peers())


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_phone_behind_nat_is_hidden_and_one_at_its_contact_is_not(desk):
    desk.register(OPEN)
    assert desk.places == ((OUTSIDE,), ())
    desk.register(HOME, REMAPPED, "1002")
    assert desk.places == ((OUTSIDE, REMAPPED), (REMAPPED,))


def test_a_refresh_changes_nothing_and_another_mapping_moves_it(desk):
    desk.register(HOME)
    desk.register(HOME)
    assert desk.places == ((OUTSIDE,), (OUTSIDE,))
    desk.register(HOME, REMAPPED)
    assert desk.places == ((REMAPPED,), (REMAPPED,))


def test_a_shared_address_is_kept_until_the_last_user_has_left(desk):
    desk.register(HOME)
    desk.register(HOME.replace("1001", "1002"), name="1002")
    desk.register(HOME, expires=0)
    assert desk.places == ((OUTSIDE,), (OUTSIDE,))
    desk.register(HOME.replace("1001", "1002"), name="1002", expires=0)
    assert desk.places == ((), ())


def test_a_contact_that_becomes_true_is_hidden_no_more(desk):
    desk.register(HOME)
    desk.register(HOME, expires=0)
    desk.register(OPEN)
    assert desk.places == ((OUTSIDE,), ())


def test_who_is_on_a_connection_is_not_among_them(desk):
    on_tcp = OUTSIDE._replace(flow=1)
    desk.register(HOME, on_tcp)
    assert desk.places == ((on_tcp,), ())
    desk.register(HOME, expires=0, source=on_tcp)
    assert desk.places == ((), ())


@pytest.mark.parametrize("via", ["192.168.1.100:5060", "10.1.2.3", "[fd00::7]:5060"])
def test_a_private_address_in_via_makes_a_phone_hidden_for_any_contact(desk, via):
    """A router that rewrites Contact and leaves Via makes it look as if there were no NAT."""
    desk.register(OPEN, via=via)
    assert desk.places == ((OUTSIDE,), (OUTSIDE,))
    desk.register(OPEN)
    assert desk.places == ((OUTSIDE,), ()), "its next REGISTER comes straight"
    desk.register(OPEN, via=via)
    desk.register(OPEN, expires=0)
    assert desk.places == ((), ())


def test_a_name_in_via_is_no_private_address(desk):
    desk.register(OPEN, via="phone.example.org")
    assert desk.places == ((OUTSIDE,), ())
