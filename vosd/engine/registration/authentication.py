"""Authentication gate (``sip.auth_gate``): known addresses pass, other sources must authenticate.

Combines the catalogue, digests and the lock-out, and logs failures. A phone or trunk with credentials authenticates
each new INVITE and REGISTER; no state is kept for a challenge, so a scanner costs a hash and a datagram. Does not know
calls; of registrations it asks who is registered at an address.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sized
from enum import Enum
from typing import Final, NamedTuple

from vosd.b2bua.outgoing.reasons import reason_headers
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.credentials import Credentials
from vosd.callcontrol.invite_numbers import InviteNumbers
from vosd.catalogue.catalogue import NO_USER_CHANGES, Catalogue, UserChanges
from vosd.cdr.columns import iso_utc
from vosd.engine.counting import Counting
from vosd.engine.registration.bindings import Registrations
from vosd.engine.registration.certificates import TrunkCertificates
from vosd.engine.registration.guesses import Guesses, OpenQuestion, PasswordAttempt
from vosd.obs.events import Event, log as _log
from vosd.obs.log import LogLimiter
from vosd.routing.access import AccessAction, CountryOf, agent_objection, country_objection, nowhere
from vosd.sip.auth_gate import BY_ADDRESS, WAITING, Accepted, Challenged, SourceRefusal, Verdict
from vosd.sip.digest.domains import domain_of
from vosd.sip.digest.lockout import USERNAME_CHARS_MAX, LockedOut
from vosd.sip.digest.verifier import DigestProof, Finding, PasswordPause, Verifier
from vosd.sip.drops import Drop
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.dialect import ReasonForm
from vosd.trunks.gateways import MappingGateway

PROVEN_MAX: Final = 16_384
"""Most addresses with a recent authentication that are remembered; the oldest is forgotten first."""
PROVEN_MS: Final = 7_200_000
"""Time that an authentication counts for its address: the default of the longest registration (``max_expires``)."""

_BLOCKED: Final = reason_headers(ReasonForm.Q850, EndReason.GEOFENCE_BLOCKED, EndReason.GEOFENCE_BLOCKED.q850_cause)
_FAILED: Final = reason_headers(
    ReasonForm.Q850, EndReason.AUTHENTICATION_FAILED, EndReason.AUTHENTICATION_FAILED.q850_cause
)
_ELSEWHERE: Final = 'Warning: 399 vosd "Not Allowed From Here"\r\n'
_NO_CERTIFICATE: Final = 'Warning: 399 vosd "Certificate Required"\r\n'
HELD_MAX: Final = 2_000
"""Most requests that wait for the verdict of others on their password."""
JUDGED_MS: Final = 32_000
"""Time that a verdict waits for its request, which may be dropped and repeated (Timer B of RFC 3261)."""
_UNJUDGED: Final = "Retry-After: 5\r\n"


def _has_own_password(user: MappingGateway | None, proof: DigestProof) -> bool:
    """Return whether the configuration has a password by which a digest can be judged."""
    own = None if user is None else user.credentials
    return own is not None and proof.claim.algorithm.value in own.ha1


def _whole(request: Request, source: Peer) -> tuple[str, int, bytes]:
    """Return a request with its source: a verdict is for these bytes alone."""
    return source.host, source.port, bytes(request)


class _Proof(NamedTuple):
    """Last successful authentication from an address."""

    domain: str
    username: str
    until: int
    """End, in monotonic milliseconds."""


class PasswordVerdict(Enum):
    """Verdict of others on a password."""

    RIGHT = "right"
    WRONG = "wrong"
    LOCAL = "local"
    """No answer: the password of the configuration decides, if there is one."""
    UNKNOWN = "unknown"
    """No answer: the request is refused, and counts as no guess."""


class HeldRequest:
    """A request that waits for the verdict of others on its password."""

    __slots__ = ("came", "domain", "proof", "question", "request", "source", "username", "verdict")

    def __init__(
        self, request: Request, source: Peer, domain: str, username: str, proof: DigestProof, came: Instant
    ) -> None:
        self.request = request
        self.source = source
        self.domain = domain
        self.username = username
        self.proof = proof
        self.came = came
        self.question: OpenQuestion | None = None
        """As it is counted while it is open."""
        self.verdict: Verdict | None = None
        """None until it is known."""


class Authenticator(Counting):
    """Authentication gate of a switch (``sip.auth_gate.AuthGate``)."""

    def __init__(
        self,
        catalogue: Catalogue,
        secret: bytes,
        token: Callable[[], str],
        is_peer: Callable[[str], bool],
        country_of: CountryOf = nowhere,
    ) -> None:
        """``secret`` authenticates nonces, ``token`` makes them unique; ``is_peer`` recognises gateways' addresses."""
        self._country_of = country_of
        self._token = token
        self._is_peer = is_peer
        self.certificates = TrunkCertificates(catalogue)
        """Connections that have shown a certificate."""
        self.registered: Registrations
        """Set before the first request."""
        self._verifier = Verifier(secret, catalogue.parameters.digest)
        self._guesses = Guesses(catalogue.parameters.lock_out)
        self.locked: Sized = self._guesses.sources.locked
        self._proven: OrderedDict[str, _Proof] = OrderedDict()
        """By address, the latest last."""
        self.ask_others: Callable[[HeldRequest], None] | None = None
        """Has others judge the password of a request; None = there are none."""
        self._held: dict[tuple[str, int, bytes], HeldRequest] = {}
        self._judged: dict[tuple[str, int, bytes], int] = {}
        """Ends of the times of held requests that have a verdict, in monotonic milliseconds, the earliest first."""
        self._log_limiter = LogLimiter()
        self._catalogue = catalogue
        self.adopt(catalogue, NO_USER_CHANGES)

    def relocate(self, catalogue: Catalogue) -> None:
        """Use the catalogue in force with other addresses of customers' names: nothing else of it differs."""
        self._catalogue = self.certificates.catalogue = catalogue

    def adopt(self, catalogue: Catalogue, changes: UserChanges) -> None:
        """Apply another catalogue; lock-outs stay, authentications of removed users are forgotten."""
        self._catalogue = catalogue
        self.has_users = catalogue.has_users
        """Whether there are phones, or trunks with credentials."""
        self.certificates.adopt(catalogue, changes.other_certificates)
        self.examines = self.has_users or self.certificates.has_trunks
        """Whether requests are examined: there are users, or trunks that are known by their certificate."""
        self.refusal_of = self._refusal_of if catalogue.parameters.access.may_block else None
        ended = changes.ended_logins
        proven = self._proven.items() if ended else ()
        for host in [host for host, proof in proven if (proof.domain, proof.username) in ended]:
            del self._proven[host]
        self._verifier.adopt(catalogue.parameters.digest)
        self._guesses.adopt(catalogue.parameters.lock_out)

    # -- the door -----------------------------------------------------------------------------------------------

    def is_locked_out(self, source: Peer, now: Instant) -> bool:
        """Return whether a source is locked out.

        It is not if it has become a gateway's address, nor for the exact address and port of a registration: a
        neighbour behind the same NAT may have caused the lock-out.
        """
        sources = self._guesses.sources
        if not sources.locked:
            return False
        if not sources.is_locked_out(source.host, now.mono) or self._is_peer(source.host):
            return False
        return not self.registered.knows(source.host, source.port)

    def may_have_user_at(self, source: Peer) -> bool:
        """Return whether a phone or trunk with credentials may be at a source, by its ``hosts`` or registration."""
        host, port = source.host, source.port
        return self.registered.knows(host, port) or self._catalogue.may_have_user_at(host, port)

    def may_prove(self, source: Peer, now: Instant) -> bool:
        """Return whether an INVITE or REGISTER of a locked-out source is examined.

        It is where a user has authenticated recently: a neighbour behind the same NAT must not keep the user out.
        """
        return self._guesses.has_home(source.host, now.mono)

    def examine(self, request: Request, source: Peer, now: Instant) -> Verdict:
        """Decide on a request that begins something; while there are users, no REGISTER is accepted by address alone.

        Credentials take precedence over the address: a request with credentials is judged by them, and a source from
        which a user is registered is challenged. A phone behind the NAT of a trunk is not that trunk.

        Raises:
            ParseError: the Request-URI cannot be read.
        """
        if self._held and (known := self._known_verdict(request, source, now)) is not None:
            return known
        domain = domain_of(request, self._catalogue.domains) if self._catalogue.domains else ""
        trunk = self._trunk_by_certificate(request, source, domain) if source in self.certificates.shown else ""
        if trunk or not self.has_users or not self.may_have_user_at(source):
            return self._by_certificate(trunk, source) if trunk else BY_ADDRESS
        if request.method != "REGISTER" and self._is_known_by_address(request, source, domain):
            return BY_ADDRESS
        return self._by_digest(request, source, domain, now)

    def has_shown(self, source: Peer, name: str) -> bool:
        """Return whether the certificate of an open connection bears a name; its peer has opened it."""
        return name in self.certificates.shown.get(source, ())

    def _by_digest(self, request: Request, source: Peer, domain: str, now: Instant) -> Verdict:
        """Decide on a request by its credentials; raises ParseError."""
        users = self._catalogue.users_in(domain)
        credentials_of = self._credentials_at(source, domain, users, now)
        finding, username, wait_ms, proof = self._verifier.judge(request, source.host, credentials_of, now.mono, domain)
        match finding:
            case Finding.RIGHT:
                return self._let_in(request, source, domain, username, now)
            case Finding.WRONG:
                self._count(request, source, self._attempt(username, source, domain, users), now)
                return self._challenge(request, source, domain, now, why=Drop.WRONG_CREDENTIALS, is_wrong=True)
            case Finding.ASKED if proof is not None:
                return self._hold(HeldRequest(request, source, domain, username, proof, now), now)
            case Finding.TOO_EARLY:
                return self._too_early(request, wait_ms)
            case Finding.ELSEWHERE:
                # Otherwise credentials captured from another request could be used (RFC 7616 section 3.4.6).
                warning = 'Warning: 399 vosd "Digest URI Differs From Request-URI"\r\n'
                return Challenged(400, warning, self._verifier.tag(request))
            case Finding.STALE:
                # No failure: the client may have the right password, and its nonce was merely too old.
                return self._challenge(request, source, domain, now, is_stale=True)
            case _:  # nothing is said, or it is wrong again
                # The latter is a retransmission over UDP, which must not count as a second guess.
                says_nothing = finding is Finding.NOTHING_SAID and request.method != "REGISTER"
                why = Drop.UNKNOWN_SOURCE if says_nothing and self._is_strange(request, source, now) else None
                is_wrong = finding is Finding.WRONG_AGAIN
                return self._challenge(request, source, domain, now, why=why, is_wrong=is_wrong)

    def judged(self, held: HeldRequest, verdict: PasswordVerdict, terms: Accepted, now: Instant) -> None:
        """Take the verdict of others on a request, which is examined again then; ``terms`` hold if it is accepted.

        A wrong password counts as a guess as one that was found wrong here. A right one does not count where others
        were wrong meanwhile.
        """
        request, source = held.request, held.source
        users = self._catalogue.users_in(held.domain)
        if held.question is not None:
            self._guesses.answered(held.question)
            held.question = None
        if verdict is PasswordVerdict.LOCAL and not _has_own_password(users.get(held.username), held.proof):
            verdict = PasswordVerdict.UNKNOWN  # a telephone that repeats its password guesses nothing
        is_right = verdict is PasswordVerdict.RIGHT or (verdict is PasswordVerdict.LOCAL and held.proof.is_right_here)
        whole = _whole(request, source)
        if whole in self._held:
            self._judged[whole] = now.mono + JUDGED_MS
        attempt = self._attempt(held.username, source, held.domain, users)
        if verdict is PasswordVerdict.UNKNOWN:
            held.verdict = Challenged(503, _UNJUDGED, self._verifier.tag(request))
        elif not is_right:
            self._verifier.found_wrong(held.proof)
            self._count(request, source, attempt, now)
            held.verdict = self._challenge(request, source, held.domain, now, why=Drop.WRONG_CREDENTIALS, is_wrong=True)
        elif held.username not in users:  # it was removed meanwhile
            held.verdict = self._challenge(request, source, held.domain, now)
        elif wait_ms := self._guesses.wait_ms(attempt, now.mono):
            held.verdict = self._too_early(request, wait_ms)
        else:
            let_in = self._let_in(request, source, held.domain, held.username, now)
            held.verdict = terms._replace(user=let_in.user) if isinstance(let_in, Accepted) else let_in

    # -- people and others of the engine --------------------------------------------------------------------------

    def has_proven(self, host: str, now: Instant) -> bool:
        """Return whether a user has authenticated from an address recently, without a lock-out since."""
        proof = self._proven.get(host)
        return proof is not None and now.mono < proof.until

    def unblock(self, host: str, now: Instant) -> bool:
        """End a lock-out; return False if there was none.

        Raises:
            ValueError: ``host`` is no IP address.
        """
        was_locked_out = self._guesses.unblock(host, now.mono)
        if was_locked_out:
            _log.warning(Event.AUTH_UNBLOCKED, source=host)
        return was_locked_out

    def locked_out(self, now: Instant) -> list[LockedOut]:
        """Return the locked-out sources."""
        return self._guesses.sources.locked_out(now.mono)

    def locked_gateways(self, now: Instant) -> list[LockedOut]:
        """Return the gateways' addresses from which passwords are not looked at; their calls go on."""
        return self._guesses.gateways.locked_out(now.mono)

    # -- inside -------------------------------------------------------------------------------------------------

    def _trunk_by_certificate(self, request: Request, source: Peer, domain: str) -> str:
        """Return the trunk whose certificate the connection has shown; a request with credentials is judged by them."""
        if request.method == "REGISTER" or (self.has_users and self._verifier.is_claimed(request, domain)):
            return ""
        return self.certificates.trunk_at(source, InviteNumbers(request).called)

    def _by_certificate(self, trunk: str, source: Peer) -> Accepted:
        """Accept a request of a trunk, with the name that its connection has proven."""
        gateway = self._catalogue.mapping_gateways[trunk]
        return Accepted(trunk, server_name=self.certificates.name_of(gateway, source))

    def _known_verdict(self, request: Request, source: Peer, now: Instant) -> Verdict | None:
        """Return the verdict on a request that was held, for once; ``WAITING`` while it is open, None for others."""
        while self._judged and next(iter(self._judged.values())) <= now.mono:
            self._forget_oldest_verdict()
        whole = _whole(request, source)
        held = self._held.get(whole)
        if held is None:
            return None
        if held.verdict is None:
            return WAITING  # a retransmission
        del self._held[whole]
        self._judged.pop(whole, None)
        return held.verdict

    def _forget_oldest_verdict(self) -> None:
        """Forget a request that was dropped before it was examined again."""
        whole = next(iter(self._judged))
        del self._judged[whole], self._held[whole]

    def _hold(self, held: HeldRequest, now: Instant) -> Verdict:
        """Have others judge a request, which waits; where too many wait it is refused."""
        if len(self._held) >= HELD_MAX and self._judged:
            self._forget_oldest_verdict()
        if self.ask_others is None or len(self._held) >= HELD_MAX:
            self.judged(held, PasswordVerdict.UNKNOWN, BY_ADDRESS, now)
            return held.verdict or WAITING
        users = self._catalogue.users_in(held.domain)
        held.question = self._guesses.ask(self._attempt(held.username, held.source, held.domain, users), now.mono)
        if held.question is None:
            return self._too_early(held.request, 1_000)
        self._held[_whole(held.request, held.source)] = held
        self.ask_others(held)
        return WAITING

    def _is_known_by_address(self, request: Request, source: Peer, domain: str) -> bool:
        """Return whether the source address is sufficient for an INVITE; an unreadable INVITE is refused later."""
        if self._verifier.is_claimed(request, domain) or self.registered.knows(source.host, source.port):
            return False
        sources = self._catalogue.sources
        if sources.is_trusted(source.host, source.port):
            return True
        try:
            found = sources.identify(source.host, source.port, InviteNumbers(request).called)
        except ParseError:
            return True
        return found is not None and found.gateway.credentials is None

    def _is_strange(self, request: Request, source: Peer, now: Instant) -> bool:
        """Return whether an INVITE without credentials comes from an unknown address without recent authentication."""
        if self.registered.knows(source.host, source.port) or self.has_proven(source.host, now):
            return False
        return self._catalogue.sources.identify(source.host, source.port, InviteNumbers(request).called) is None

    def _credentials_at(
        self, source: Peer, domain: str, users: Mapping[str, MappingGateway], now: Instant
    ) -> Callable[[str], Credentials | PasswordPause | None]:
        """Return the lookup of credentials for a source; a user that may not register from there counts as unknown."""

        def credentials_of(username: str) -> Credentials | PasswordPause | None:
            attempt = self._attempt(username, source, domain, users)
            wait_ms = self._guesses.wait_ms(attempt, now.mono)
            if wait_ms:
                return PasswordPause(wait_ms)
            return users[username].credentials if attempt.is_user else None

        return credentials_of

    def _attempt(
        self, username: str, source: Peer, domain: str, users: Mapping[str, MappingGateway]
    ) -> PasswordAttempt:
        host, port = source.host, source.port
        gateway = users.get(username)
        is_user = gateway is not None and self._catalogue.sources.may_send(gateway, host, port)
        is_registered = is_user and gateway is not None and self.registered.is_at(gateway.name, host, port)
        name = username if is_user else username[:USERNAME_CHARS_MAX]  # it is kept
        return PasswordAttempt(domain, name, host, port, is_user, is_registered, self._is_peer(host))

    def _let_in(self, request: Request, source: Peer, domain: str, username: str, now: Instant) -> Verdict:
        users = self._catalogue.users_in(domain)
        self._guesses.succeeded(self._attempt(username, source, domain, users), now.mono)
        gateway = users[username]
        if not gateway.enabled and request.method == "INVITE" and gateway.name in self._catalogue.mapping_gateways:
            return Accepted(gateway.name)  # admission refuses it and writes the CDR
        if not gateway.enabled:
            return Challenged(403, "", self._verifier.tag(request), Drop.DISABLED_USER)
        if not self.certificates.bears(gateway, source):
            lines = _NO_CERTIFICATE + (_FAILED if request.method == "INVITE" else "")
            return Challenged(403, lines, self._verifier.tag(request), Drop.ELSEWHERE)
        if request.method == "REGISTER" and self._is_elsewhere(request, source, gateway, now):
            return Challenged(403, _ELSEWHERE, self._verifier.tag(request), Drop.ELSEWHERE)
        if request.method == "INVITE" and gateway.name not in self._catalogue.mapping_gateways:
            return Challenged(403, "", self._verifier.tag(request), Drop.VENDOR_THAT_CALLS)  # a vendor may not call
        proven = self._proven
        proven[source.host] = _Proof(domain, username, now.mono + PROVEN_MS)
        proven.move_to_end(source.host)
        if len(proven) > PROVEN_MAX:
            proven.popitem(last=False)
        return Accepted(gateway.name)

    def _is_elsewhere(self, request: Request, source: Peer, gateway: MappingGateway, now: Instant) -> bool:
        """Return whether a user may not register from there or with that agent; calls are judged by admission."""
        account = self._catalogue.accounts.get(gateway.account)
        if account is None or not (gateway.countries or account.countries or account.user_agents):
            return False
        countries, why = gateway.countries or account.countries, ""
        if countries:
            why = country_objection(source.host, countries, self._country_of)
        if not why and account.user_agents:
            why = agent_objection(request.header("user-agent") or "", account.user_agents)
        if why and self._log_limiter.admits(f"{gateway.name} {Event.ACCESS_REFUSED}", now.mono):
            name = gateway.name
            _log.warning(Event.ACCESS_REFUSED.value, account=account.id, name=name, source=str(source), why=why)
        return bool(why)

    def _refusal_of(self, source: Peer) -> SourceRefusal | None:
        """Return why new requests of a source get 403: a rule of access blocks it."""
        decision = self._catalogue.parameters.access.signalling(source.host, self._country_of)
        return SourceRefusal(decision.why, _BLOCKED) if decision.action is AccessAction.BLOCK else None

    def _challenge(
        self,
        request: Request,
        source: Peer,
        realm: str,
        now: Instant,
        *,
        is_stale: bool = False,
        is_wrong: bool = False,
        why: Drop | None = None,
    ) -> Challenged:
        lines = self._verifier.challenge(source.host, now.mono, self._token(), realm, is_stale=is_stale)
        if is_wrong and request.method == "INVITE":  # only calls have an end reason
            lines += _FAILED
        return Challenged(self._verifier.settings.status, lines, self._verifier.tag(request), why)

    def _too_early(self, request: Request, wait_ms: int) -> Challenged:
        """Refuse a request without a look at its password."""
        retry = f"Retry-After: {-(-wait_ms // 1_000)}\r\n"
        return Challenged(503, retry, self._verifier.tag(request), Drop.UNCHECKED_CREDENTIALS)

    def _count(self, request: Request, source: Peer, attempt: PasswordAttempt, now: Instant) -> None:
        """Log a failure, and what follows from it for its source and its user."""
        host, username = attempt.host, attempt.username[:USERNAME_CHARS_MAX]
        if self._log_limiter.admits(host, now.mono):
            _log.warning(Drop.WRONG_CREDENTIALS.event, source=str(source), username=username, method=request.method)
        failed = self._guesses.failed(attempt, now.mono)
        if failed.locks_out:
            self._proven.pop(host, None)
            settings = self._catalogue.parameters.lock_out
            until, means = iso_utc(now.wall + settings.suspend_ms), "its requests are dropped"
            if attempt.is_gateway:
                means = "its calls go on, other users prove nothing there"
            _log.warning(Event.AUTH_LOCKOUT, source=host, failures=settings.max_retry, until=until, means=means)
        if failed.delays_user:
            do = "nothing, or another password; the user is served where it was"
            _log.warning(Event.AUTH_USER_ATTACKED, username=username, source=host, do=do)
