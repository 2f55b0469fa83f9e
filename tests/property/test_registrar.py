"""Any sequence of REGISTERs against a table that does no more than section 10.3 of RFC 3261 says."""

from typing import NamedTuple

from doubles.data.registering import register_request
from hypothesis import given, strategies as st

from vosd.base.clock import Instant
from vosd.sip.registration.registrar import register
from vosd.sip.settings import RegistrarSettings
from vosd.sip.wire.outgoing import Peer

PLACES = ("sip:a@h", "sip:b@h:5070", "sip:c@10.0.0.1;line=1", "sip:d@h")
SETTINGS = RegistrarSettings(default_s=600, min_s=60, max_s=1_000, max_contacts=3)
SOURCE = Peer(0, "192.0.2.10", 5060)


class Step(NamedTuple):
    """One REGISTER, and how long after the one before it comes."""

    after_s: int
    call_id: str
    cseq: int
    places: tuple[tuple[str, int | None], ...]
    """Contacts with their expires parameter; none fetches."""
    expires: int | None
    is_star: bool


seconds = st.sampled_from([None, 0, 30, 60, 500, 5_000])
steps = st.builds(
    Step,
    after_s=st.sampled_from([0, 1, 59, 60, 400, 999, 1_000]),
    call_id=st.sampled_from(["one", "two"]),
    cseq=st.integers(1, 6),
    places=st.lists(st.tuples(st.sampled_from(PLACES), seconds), max_size=4, unique_by=lambda place: place[0]).map(
        tuple
    ),
    expires=seconds,
    is_star=st.booleans(),
)


class Model:
    """Place to (call id, cseq, end in seconds), in the order in which the places came."""

    def __init__(self) -> None:
        self.now = 0
        self.held: dict[str, tuple[str, int, int]] = {}

    def _wanted(self, own: int | None, step: Step) -> int:
        return own if own is not None else step.expires if step.expires is not None else SETTINGS.default_s

    def take(self, step: Step) -> int:
        self.now += step.after_s
        self.held = {place: entry for place, entry in self.held.items() if entry[2] > self.now}
        if step.is_star:
            late = any(call_id == step.call_id and step.cseq <= cseq for call_id, cseq, _ in self.held.values())
            if not late:
                self.held = {}
            return 500 if late else 200
        wanted = [(place, self._wanted(own, step)) for place, own in step.places]
        kept = [(place, expires) for place, expires in wanted if expires]
        if len(kept) > SETTINGS.max_contacts:
            return 403
        after = dict(self.held)
        for place, expires in [*(each for each in wanted if not each[1]), *kept]:
            if 0 < expires < SETTINGS.min_s:
                return 423
            if place in after and after[place][0] == step.call_id and step.cseq <= after[place][1]:
                return 500
            if expires:
                after[place] = (step.call_id, step.cseq, self.now + min(expires, SETTINGS.max_s))
            else:
                after.pop(place, None)
        while len(after) > SETTINGS.max_contacts:
            del after[min((each for each in after if each not in dict(kept)), key=lambda each: after[each][2])]
        self.held = after
        return 200


@given(st.lists(steps, max_size=12))
def test_bindings_are_those_of_the_rfc_whatever_was_asked(sequence):
    model, bindings, at = Model(), (), Instant(1_000, 1_790_000_000_000)
    for step in sequence:
        at = at.plus(1_000 * step.after_s)
        contacts = [f"<{place}>" if own is None else f"<{place}>;expires={own}" for place, own in step.places]
        request = register_request(
            *(["*"] if step.is_star else contacts),
            expires=0 if step.is_star else step.expires,
            cseq=step.cseq,
            call_id=step.call_id,
        )
        outcome = register(bindings, request, SOURCE, SETTINGS, at)
        assert outcome.status == model.take(step)
        slots = {each.slot: each.contact for each in bindings}
        bindings = outcome.bindings
        held = {each.contact: (each.call_id, each.cseq, (each.expires_at.mono - 1_000) // 1_000) for each in bindings}
        assert held == model.held
        assert len({each.slot for each in bindings}) == len(bindings) <= SETTINGS.max_contacts
        assert all(each.slot < 2 * SETTINGS.max_contacts for each in bindings)
        assert all(slots.get(each.slot, each.contact) == each.contact for each in bindings), "it passes for another one"
        if outcome.status == 200:
            lines = [line for line in outcome.headers.split("\r\n") if line.startswith("Contact: ")]
            assert lines == [
                f"Contact: <{each.contact}>;expires={(each.expires_at.mono - at.mono) // 1_000}" for each in bindings
            ]
