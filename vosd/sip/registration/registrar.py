"""Registrar: apply a REGISTER to the bindings of a user (RFC 3261 section 10.3, RFC 3327, RFC 5626).

Pure: takes the bindings of one user and returns the answer and the new bindings, so that a request is applied as a
whole or not at all. The user is authenticated before; storage and other consequences are handled by the engine.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from typing import Final, NamedTuple

import msgspec

from vosd.base.clock import Instant
from vosd.base.host import is_private, plain_host
from vosd.sip.headers.contact import SURELY, Contact, seconds
from vosd.sip.settings import RegistrarSettings
from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.message import Request
from vosd.sip.wire.outgoing import Peer
from vosd.sip.wire.uri import Uri, are_equivalent

PATH: Final = "path"
"""The option tag of RFC 3327."""
PATH_HOPS_MAX: Final = 8
PATH_CHARS_MAX: Final = 1_024
CALL_ID_CHARS_MAX: Final = 255
AGENT_CHARS_MAX: Final = 128
"""Most characters kept of stored texts; a longer User-Agent is cut, other texts are refused."""
_HOUR_S: Final = 3_600
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


_TOO_MANY: Final = 'Warning: 399 vosd "Too Many Contacts"\r\n'


class Binding(msgspec.Struct, frozen=True, gc=False):
    """One address at which a user is reached."""

    slot: int
    """Identifies a binding among those of its user while it exists; part of its key in storage."""
    contact: str
    """The URI as received."""
    q: int
    """Preference in thousandths."""
    call_id: str
    cseq: int
    registered_at: int
    """Time of the first REGISTER for this contact, UTC milliseconds."""
    expires_at: Instant
    lifetime_s: int
    """Seconds granted to the latest REGISTER."""
    peer: Peer
    """Source of the latest REGISTER; behind NAT it differs from the contact."""
    path: tuple[str, ...] = ()
    """The proxies on the path to it, as Route values."""
    instance: str = ""
    reg_id: int = 0
    user_agent: str = ""
    has_private_via: bool = True
    """Whether its latest REGISTER had a private address in its Via.

    Not stored: after a restart it counts as private until the next REGISTER.
    """

    def is_live(self, now: Instant) -> bool:
        """Return whether the binding is valid at ``now``."""
        return now.mono < self.expires_at.mono


Bindings = tuple[Binding, ...]
"""Bindings of one user, in the order of their first REGISTER."""


class RegisterOutcome(NamedTuple):
    """The answer to a REGISTER, and the new bindings; ``headers`` are whole lines."""

    status: int
    headers: str
    bindings: Bindings


def user_of(request: Request) -> str | None:
    """Return the user of a REGISTER; None if its To is no address of a user.

    Raises:
        ParseError: To cannot be read.
    """
    try:
        uri = Uri.parse(request.to.uri)
    except ParseError as error:
        if error.status == 416:
            return None
        raise
    return uri.user or None


def register(
    bindings: Bindings, request: Request, source: Peer, settings: RegistrarSettings, now: Instant
) -> RegisterOutcome:
    """Apply a REGISTER to the bindings of its user; expired ones are removed.

    A refusal leaves all of them unchanged.

    Raises:
        ParseError: 400 for contacts or a path that cannot be read or kept.
    """
    live = bindings
    for binding in bindings:
        if not binding.is_live(now):
            live = tuple(each for each in bindings if each.is_live(now))
            break
    written = request.headers("contact")
    if not written:
        return _listed(live, now)
    if "*" in written:
        return _remove_all(request, written, live, now)
    if len(written) > 2 * settings.max_contacts:  # as many as may be removed and added, before they cost time
        return RegisterOutcome(403, _TOO_MANY, live)
    if len(request.call_id) > CALL_ID_CHARS_MAX:
        raise ParseError(400, Flaw.CALL_ID_TOO_LONG, request)
    draft = _Draft(request, source, bindings, live, settings, now)
    refusal = draft.take([Contact.parse(text) for text in written])
    if refusal is not None:
        return refusal._replace(bindings=live)
    path = f"Path: {', '.join(draft.path)}\r\n" if draft.path and _speaks_path(request) else ""
    return _listed(tuple(draft.bindings), now, path)


class _Draft:
    """The new bindings of one request; discarded if any of its contacts is refused."""

    __slots__ = ("_agent", "_call_id", "_cseq", "_has_private_via", "_now", "_otherwise_s", "_settings", "_slots",
                 "_source", "_touched", "bindings", "path")  # fmt: skip

    def __init__(
        self,
        request: Request,
        source: Peer,
        before: Bindings,
        live: Bindings,
        settings: RegistrarSettings,
        now: Instant,
    ) -> None:
        self.bindings = list(live)
        self._slots = {each.slot for each in before}
        """Slots that a new binding does not get: the calls of the binding that had one would follow the new one."""
        self._touched: set[int] = set()
        """Slots written by this request, whose own CSeq there must not count as newer."""
        self._call_id = request.call_id
        self._cseq = request.cseq.number
        self.path = _path_of(request)
        expires = request.header("expires")
        self._otherwise_s = settings.default_s if expires is None else seconds(expires)
        self._agent = (request.header("user-agent") or "")[:AGENT_CHARS_MAX]
        self._has_private_via = is_private(plain_host(request.via.host))
        self._source = source
        self._settings = settings
        self._now = now

    def take(self, contacts: Sequence[Contact]) -> RegisterOutcome | None:
        """Remove, renew and add contacts; return the refusal of the whole request, if it is refused.

        Those that end are removed first: a phone that changes its Contact names the old one in the same request.
        """
        removed = [each for each in contacts if not self._wanted_s(each)]
        kept = [each for each in contacts if self._wanted_s(each)]
        if len(kept) > self._settings.max_contacts:
            return RegisterOutcome(403, _TOO_MANY, ())
        most = max(self._settings.max_contacts, len(self.bindings))  # the limit may have been higher
        for some, by_device in ((removed, len(contacts) == 1), (kept, len(kept) == 1)):
            for contact in some:
                refusal = self._take_one(contact, by_device=by_device)
                if refusal is not None:
                    return refusal
        # A phone that gets a new port from its NAT each time would otherwise lock itself out with old bindings.
        while len(self.bindings) > most:
            self.bindings.remove(min((each for each in self.bindings if each.slot not in self._touched), key=_end))
        return None

    def _wanted_s(self, contact: Contact) -> int:
        return self._otherwise_s if contact.expires_s is None else contact.expires_s

    def _take_one(self, contact: Contact, *, by_device: bool) -> RegisterOutcome | None:
        wanted_s = self._wanted_s(contact)
        if 0 < wanted_s < min(self._settings.min_s, _HOUR_S):
            return RegisterOutcome(423, f"Min-Expires: {self._settings.min_s}\r\n", ())
        before = _found(self.bindings, contact, self._source, by_device=by_device)
        if before is not None:
            # RFC 3261 section 10.3 step 7: with the same Call-ID only a higher CSeq may change a binding.
            is_late = before.call_id == self._call_id and self._cseq <= before.cseq
            if is_late and before.slot not in self._touched:
                return RegisterOutcome(500, "", ())  # a newer REGISTER was received already
            self._touched.add(before.slot)
        if wanted_s:
            self._put(contact, before, min(wanted_s, self._settings.max_s))
        elif before is not None:
            self.bindings.remove(before)
        return None

    def _put(self, contact: Contact, before: Binding | None, lifetime_s: int) -> None:
        bindings, now = self.bindings, self._now
        slot = next(each for each in count() if each not in self._slots) if before is None else before.slot
        binding = Binding(
            slot,
            contact.uri,
            contact.q,
            self._call_id,
            self._cseq,
            now.wall if before is None else before.registered_at,
            now.plus(1_000 * lifetime_s),
            lifetime_s,
            self._source,
            self.path,
            contact.instance,
            contact.reg_id,
            self._agent,
            self._has_private_via,
        )
        self._touched.add(slot)
        self._slots.add(slot)
        if before is None:
            bindings.append(binding)
        else:
            bindings[bindings.index(before)] = binding


def _remove_all(request: Request, written: Sequence[str], live: Bindings, now: Instant) -> RegisterOutcome:
    """Apply ``Contact: *`` (section 10.3, step 6)."""
    if len(written) > 1 or request.header("expires") is None or seconds(request.header("expires") or "") != 0:
        raise ParseError(400, Flaw.CONTACT_STAR_NEEDS_EXPIRES_0_AND_NOTHING_ELSE, request)
    call_id, cseq = request.call_id, request.cseq.number
    if any(each.call_id == call_id and cseq <= each.cseq for each in live):
        return RegisterOutcome(500, "", live)
    return _listed((), now)


def _found(bindings: Sequence[Binding], contact: Contact, source: Peer, *, by_device: bool) -> Binding | None:
    """Return the binding that a contact renews: the same URI, or the same flow to the same device (RFC 5626 6).

    Flows differ by device and reg-id alone: a device may have several with one URI, and two devices in private
    networks may have the same.
    """
    if contact.instance:
        if by_device:
            for binding in bindings:
                if binding.instance == contact.instance and binding.reg_id == contact.reg_id:
                    return binding
            if contact.reg_id:
                bindings = [each for each in bindings if not each.reg_id]
        bindings = [each for each in bindings if each.instance in ("", contact.instance) or each.peer == source]
    for binding in bindings:
        if binding.contact == contact.uri:
            return binding
    if not bindings:
        return None
    uri = Uri.parse(contact.uri)
    return next((each for each in bindings if are_equivalent(Uri.parse(each.contact), uri)), None)


class ContactPlace(NamedTuple):
    """A contact, and where its REGISTER came from: what tells a binding from others of its user."""

    contact: Contact
    source: Peer


def place_of(binding: Binding) -> ContactPlace:
    """Return the place of a binding."""
    return ContactPlace(Contact(binding.contact, binding.q, None, binding.instance, binding.reg_id), binding.peer)


def is_at(binding: Binding, place: ContactPlace) -> bool:
    """Return whether a REGISTER of a place, received after that of the binding, would have renewed or removed it."""
    return _found((binding,), place.contact, place.source, by_device=True) is not None


def removed_by(request: Request, source: Peer) -> tuple[ContactPlace, ...]:
    """Return the places that an accepted REGISTER removes, also those that no binding has; none for ``Contact: *``."""
    expires = request.header("expires")
    ends_all = expires is not None and seconds(expires) == 0
    contacts = (Contact.parse(text) for text in request.headers("contact") if text != "*")
    return tuple(
        ContactPlace(each, source) for each in contacts if each.expires_s == 0 or (each.expires_s is None and ends_all)
    )


def _listed(bindings: Bindings, now: Instant, path: str = "") -> RegisterOutcome:
    """Return an answer that lists all bindings (section 10.3, step 8)."""
    contacts = "".join([_line(binding, now) for binding in bindings])
    return RegisterOutcome(200, f"{contacts}{path}{_date(now.wall // 1_000)}", bindings)


def _line(binding: Binding, now: Instant) -> str:
    left_s = (binding.expires_at.mono - now.mono) // 1_000 or 1
    text = f"Contact: <{binding.contact}>;expires={left_s}"
    if binding.q != SURELY:
        text += f";q=0.{binding.q:03}"
    if binding.instance:
        text += f";+sip.instance={binding.instance}"
        if binding.reg_id:
            text += f";reg-id={binding.reg_id}"
    return text + "\r\n"


def _path_of(request: Request) -> tuple[str, ...]:
    """Return the path of a REGISTER; raises ParseError if it cannot be used, or is too long to keep."""
    path = tuple(request.headers("path"))
    if len(path) > PATH_HOPS_MAX or sum(map(len, path)) > PATH_CHARS_MAX:
        raise ParseError(400, Flaw.PATH_TOO_LONG, request)
    for hop in path:
        is_plain = hop.startswith("<") and hop.isprintable()
        if not is_plain or Uri.parse(hop[1:].partition(">")[0]).scheme not in {"sip", "sips"}:
            raise ParseError(400, Flaw.BAD_PATH, request)
    return path


def _speaks_path(request: Request) -> bool:
    tags = (*request.headers("supported"), *request.headers("require"))
    return any(tag.lower() == PATH for tag in tags)


def _end(binding: Binding) -> int:
    return binding.expires_at.mono


@lru_cache(maxsize=4)
def _date(wall_s: int) -> str:
    """Return a Date line, which sets the clock of some phones."""
    at = datetime.fromtimestamp(wall_s, UTC)
    return f"Date: {_WEEKDAYS[at.weekday()]}, {at:%d} {_MONTHS[at.month - 1]} {at:%Y %H:%M:%S} GMT\r\n"
