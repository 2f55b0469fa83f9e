"""Who stands at the door: known addresses pass, everybody else proves who it is or goes (``sip.auth_gate``).

Brings the catalogue, the digests and the lock-out together, and tells the log. A phone or trunk that has
credentials proves them with each INVITE and REGISTER that begins something; a challenge leaves nothing behind, so
scanners cost a hash and a datagram each. Refuses to know calls; of registrations it asks who is where.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

import structlog

from vosd.base.clock import Instant
from vosd.base.credentials import Credentials
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.columns import iso_utc
from vosd.engine.calls.caller import InviteNumbers
from vosd.obs.events import Event
from vosd.obs.log import LogLimiter
from vosd.routing.identify import may_come_from
from vosd.sip.auth_gate import BY_ADDRESS, Challenged, LetIn, Verdict
from vosd.sip.digest.domains import domain_of
from vosd.sip.digest.lockout import LockedOut, LockOut
from vosd.sip.digest.verifier import Finding, Verifier
from vosd.sip.drops import Drop
from vosd.sip.wire.compose import Peer
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request
from vosd.trunks.gateways import MappingGateway

PROVEN_MAX: Final = 16_384
"""Addresses that somebody has proven himself from; past that the oldest are forgotten."""
PROVEN_MS: Final = 7_200_000
"""How long a proof counts for an address: as long as a registration may last by default (``max_expires``)."""

_log = structlog.get_logger()


class Whereabouts(Protocol):
    """Who is registered where."""

    def knows(self, host: str, port: int) -> bool:
        """Say whether somebody is registered from an address."""
        ...

    def is_at(self, name: str, host: str, port: int) -> bool:
        """Say whether that very user is registered from an address."""
        ...


class _Nowhere:
    """Where nobody can register."""

    def knows(self, _host: str, _port: int) -> bool:
        return False

    def is_at(self, _name: str, _host: str, _port: int) -> bool:
        return False


NOWHERE: Final[Whereabouts] = _Nowhere()


class _Proof(NamedTuple):
    """The latest that somebody at an address has proven."""

    domain: str
    username: str
    until: int
    """Monotonic milliseconds."""


class Authenticator:
    """The door of a switch (``sip.auth_gate.AuthGate``)."""

    def __init__(
        self,
        catalogue: Catalogue,
        secret: bytes,
        token: Callable[[], str],
        is_peer: Callable[[str], bool],
        registered: Callable[[], Whereabouts] = lambda: NOWHERE,
    ) -> None:
        """``secret`` seals nonces, ``token`` makes them differ; ``is_peer`` knows the addresses of gateways.

        ``registered`` returns who is registered where; it is asked for when the first request comes.
        """
        self._token = token
        self._is_peer = is_peer
        self._registered = registered
        self._verifier = Verifier(secret, catalogue.parameters.digest)
        self._lock_out = LockOut(catalogue.parameters.lock_out)
        self._proven: OrderedDict[str, _Proof] = OrderedDict()
        """By address, the latest proof last."""
        self._log_limiter = LogLimiter()
        self.adopt(catalogue)

    def adopt(self, catalogue: Catalogue) -> None:
        """Go by another catalogue; who is locked out stays so, and what users proved who are gone is forgotten."""
        self._catalogue = catalogue
        gone = [host for host, proof in self._proven.items() if not self._is_user(proof)]
        for host in gone:
            del self._proven[host]
        self._verifier.adopt(catalogue.parameters.digest)
        self._lock_out.settings = catalogue.parameters.lock_out

    # -- the door -----------------------------------------------------------------------------------------------

    @property
    def examines_unknown_sources(self) -> bool:
        """Whether anybody may prove who it is: there are phones, or trunks with credentials."""
        return self._catalogue.has_users

    def is_shut_to(self, source: Peer, now: Instant) -> bool:
        """Say whether a source is locked out.

        One that has become a gateway's meanwhile is not, and neither is the very address and port that somebody is
        registered from: a neighbour behind the same NAT may have guessed, it has proven itself.
        """
        if not self._lock_out.is_locked_out(source.host, now.mono) or self._is_peer(source.host):
            return False
        return not self._registered().knows(source.host, source.port)

    def examine(self, request: Request, source: Peer, now: Instant) -> Verdict:
        """Judge an INVITE or REGISTER; a REGISTER is never let in by its address alone while there are users.

        Credentials say more than an address: whoever has any is judged by them, and whoever is registered from the
        very address is asked for them. A phone behind the NAT of a trunk is not that trunk.

        Raises:
            ParseError: the Request-URI cannot be read.
        """
        if not self._catalogue.has_users:
            return BY_ADDRESS
        domain = domain_of(request, self._catalogue.domains) if self._catalogue.domains else ""
        if request.method == "INVITE" and self._is_known_by_address(request, source, domain):
            return BY_ADDRESS
        users = self._catalogue.users_in(domain)
        credentials_of = self._credentials_at(source, users, now)
        finding, username = self._verifier.judge(request, source.host, credentials_of, now.mono, domain)
        match finding:
            case Finding.RIGHT:
                return self._let_in(request, source, domain, username, now)
            case Finding.WRONG:
                self._count(request, source, username, now)
                return self._challenge(request, source, domain, now, why=Drop.WRONG_CREDENTIALS)
            case Finding.ELSEWHERE:
                warning = 'Warning: 399 vosd "Digest URI Differs From Request-URI"\r\n'
                return Challenged(400, warning, self._verifier.tag(request))
            case Finding.STALE:
                return self._challenge(request, source, domain, now, is_stale=True)
            case Finding.NOTHING_SAID:
                is_strange = request.method == "INVITE" and self._is_strange(request, source, now)
                why = Drop.UNKNOWN_SOURCE if is_strange else None
                return self._challenge(request, source, domain, now, why=why)
            case Finding.WRONG_AGAIN:
                return self._challenge(request, source, domain, now)

    # -- people and others of the engine --------------------------------------------------------------------------

    def has_proven(self, host: str, now: Instant) -> bool:
        """Say whether somebody has proven himself from an address lately, and nobody has guessed too often since."""
        proof = self._proven.get(host)
        return proof is not None and now.mono < proof.until

    def unblock(self, host: str, now: Instant) -> bool:
        """Hear a source again that was locked out; False where it was not.

        Raises:
            ValueError: ``host`` is no IP address.
        """
        was_locked_out = self._lock_out.lift(host, now.mono)
        if was_locked_out:
            _log.warning(Event.AUTH_UNBLOCKED, source=host)
        return was_locked_out

    def locked_out(self, now: Instant) -> list[LockedOut]:
        """Return who is not heard."""
        return self._lock_out.locked_out(now.mono)

    # -- inside -------------------------------------------------------------------------------------------------

    def _is_known_by_address(self, request: Request, source: Peer, domain: str) -> bool:
        """Say whether an INVITE's address is all the proof it needs; one that cannot be read is refused later."""
        if self._verifier.is_claimed(request, domain) or self._registered().knows(source.host, source.port):
            return False
        numbers = InviteNumbers(request)
        try:
            found = self._catalogue.sources.identify(source.host, source.port, numbers.called)
        except ParseError:
            return True
        return found is not None and found.gateway.credentials is None

    def _is_strange(self, request: Request, source: Peer, now: Instant) -> bool:
        """Say whether an INVITE without credentials is from an address that nobody has, and nobody has called from."""
        if self._registered().knows(source.host, source.port) or self.has_proven(source.host, now):
            return False
        return self._catalogue.sources.identify(source.host, source.port, InviteNumbers(request).called) is None

    def _credentials_at(
        self, source: Peer, users: Mapping[str, MappingGateway], now: Instant
    ) -> Callable[[str], Credentials | None]:
        """Return who may be who at an address: elsewhere a user is as good as none.

        Where an address is locked out, whoever is registered there is heard, and nobody but him can be proven: one
        registration is no licence to guess the passwords of others.
        """
        host, port = source.host, source.port
        is_suspect = self._lock_out.is_locked_out(host, now.mono) and not self._is_peer(host)

        def credentials_of(username: str) -> Credentials | None:
            gateway = users.get(username)
            if gateway is None or not may_come_from(gateway, host, port):
                return None
            if is_suspect and not self._registered().is_at(gateway.name, host, port):
                return None
            return gateway.credentials

        return credentials_of

    def _let_in(self, request: Request, source: Peer, domain: str, username: str, now: Instant) -> Verdict:
        self._lock_out.succeeded(source.host)
        gateway = self._catalogue.users_in(domain)[username]
        if not gateway.enabled and request.method == "INVITE" and gateway.name in self._catalogue.mapping_gateways:
            return LetIn(gateway.name)  # admission refuses it, and leaves its record
        if not gateway.enabled:
            return Challenged(403, "", self._verifier.tag(request), Drop.DISABLED_USER)
        if request.method == "INVITE" and gateway.name not in self._catalogue.mapping_gateways:
            return Challenged(403, "", self._verifier.tag(request), Drop.VENDOR_THAT_CALLS)  # it is nobody's customer
        proven = self._proven
        proven[source.host] = _Proof(domain, username, now.mono + PROVEN_MS)
        proven.move_to_end(source.host)
        if len(proven) > PROVEN_MAX:
            proven.popitem(last=False)
        return LetIn(gateway.name)

    def _is_user(self, proof: _Proof) -> bool:
        gateway = self._catalogue.users_in(proof.domain).get(proof.username)
        return gateway is not None and gateway.enabled

    def _challenge(
        self,
        request: Request,
        source: Peer,
        realm: str,
        now: Instant,
        *,
        is_stale: bool = False,
        why: Drop | None = None,
    ) -> Challenged:
        lines = self._verifier.challenge(source.host, now.mono, self._token(), realm, is_stale=is_stale)
        return Challenged(self._verifier.settings.status, lines, self._verifier.tag(request), why)

    def _count(self, request: Request, source: Peer, username: str, now: Instant) -> None:
        """Tell of a failure, and lock its source out where it was one too many."""
        host = source.host
        if self._log_limiter.admits(host, now.mono):
            _log.warning(
                Drop.WRONG_CREDENTIALS.value, source=str(source), username=username[:100], method=request.method
            )
        if self._is_peer(host):
            return  # a trunk with a wrong password is told so, and its other calls go on (DESIGN section 7)
        if self._lock_out.failed(host, now.mono, username):
            self._proven.pop(host, None)
            settings = self._lock_out.settings
            until = iso_utc(now.wall + settings.suspend_ms)
            _log.warning(Event.AUTH_LOCKOUT, source=host, failures=settings.max_retry, until=until)
