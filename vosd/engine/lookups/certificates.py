"""Certificates of callers' signatures: fetched over HTTPS, verified once, and kept for as long as their servers say.

Calls that need the same certificate share one fetch. The signer of a call chooses the address: only https, only
ports and addresses of the internet unless the configuration says otherwise, no redirects, bounds on time, size and
number.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from vosd.base.clock import Clock
from vosd.base.host import is_address
from vosd.callcontrol.questions import Ticket
from vosd.callcontrol.signatures import Certificates, WhichCertificates
from vosd.engine.daemon_threads import DaemonThreads
from vosd.engine.host_names import HostNames
from vosd.engine.http_client import NO_ANSWER, ClientTls, HttpAnswer, HttpServer
from vosd.engine.lookups.sip_question import Wiring
from vosd.engine.settings import CertificateSettings
from vosd.obs.events import log as _log
from vosd.stir.certificates import SigningCertificate, TrustStore
from vosd.stir.errors import BadIdentityInfoError, IdentityError

OPEN_MAX: Final = 128
"""Most open fetches; others wait, as long as a call waits for them."""
HOST_MAX: Final = 32
"""Most of them at one host."""
TRUNK_MAX: Final = 16
"""Most of them for calls of one trunk: less than a host may have, so no trunk keeps others from a host."""
NAME_MAX: Final = 2
"""Most of a trunk's that wait for the name of one host, so that a silent name server leaves room for other hosts.

The others wait for room and begin when the name has been looked up: they would not be sooner.
"""
NAME_KEPT_S: Final = 10.0
"""For how long the addresses of a host serve further fetches; a failure is remembered as long."""
QUEUED_MAX: Final = 100
"""Most addresses that wait for room; after a start all calls of a trunk need certificates at once."""
TRUNK_QUEUED_MAX: Final = 25
"""Most of them for calls of one trunk, so that a trunk whose callers invent addresses leaves room for others."""
WITHDRAWN: Final = frozenset({404, 410})
"""Statuses of a server that has the certificate no more (RFC 9110 section 15.5)."""
BODY_MAX: Final = 32_768
FAILED_MS: Final = 10_000
"""For how long a failure is remembered: calls do not wait for a server that has just not answered."""
STALE_MS: Final = 300_000
"""For how long behind its end a certificate serves calls whose tokens are right by it while it is fetched again."""
FETCH_SHARE: Final = 0.9
"""Part of the time that a call waits which a fetch may take: the call learns then what is known of the others."""
KEPT_MS_MIN: Final = 10_000
"""A certificate is kept for so long whatever its server says, so that each call does not cause a fetch."""
PUBLIC_PORTS: Final = frozenset({443, 8443})

TRUST_MS: Final = 3_600_000
"""For how long the system's trust in servers is not read again; each call could have it read otherwise."""

_NAMES: Final = HostNames(OPEN_MAX, "names of certificates", kept_s=NAME_KEPT_S)
"""Signers choose the names: each fetch may have one of its own."""
_THREADS: Final = DaemonThreads(1, "certificates")


Found = SigningCertificate | IdentityError


class _WithdrawnError(BadIdentityInfoError):
    """The server has the certificate no more."""


class _NoRoomError(BadIdentityInfoError):
    """Too many are being fetched."""


class _WaitingCall(NamedTuple):
    """A call that was not answered at once."""

    question: WhichCertificates
    missing: frozenset[str]
    """Addresses whose fetch it waits for; of some there is a certificate whose time is over."""


class _Place(NamedTuple):
    """A fetch that counts."""

    trunk: str
    host: str
    task: asyncio.Task[None]


class _Name:
    """A host whose look-up goes on."""

    __slots__ = ("is_late", "task")

    def __init__(self, task: asyncio.Task[Sequence[str]]) -> None:
        self.task = task
        self.is_late = False
        """Whether a fetch has waited for it until its time was over: the name server is silent."""


class CertificateStore:
    """Answers which certificates are at the addresses that signatures name."""

    def __init__(self, clock: Clock, settings: CertificateSettings) -> None:
        self._clock = clock
        self.settings = settings
        self._trust = TrustStore(settings.roots, settings.revocations)
        self._kept: OrderedDict[str, tuple[Found, int]] = OrderedDict()
        """By address, with the end of its time on the monotonic clock: first failures, then the least recently used."""
        self._tls, self._tls_until_ms = ClientTls(), 0
        self._open: dict[str, asyncio.Task[None]] = {}
        self._places: list[_Place] = []
        self._names: dict[str, _Name] = {}
        """By host; a look-up goes on although all fetches that wait for it were given up."""
        self._queued: dict[str, str] = {}
        """Addresses that wait for room, the oldest first, with the trunk of the first call that needs each."""
        self._waiting: dict[Ticket, _WaitingCall] = {}
        self.wiring: Wiring | None = None
        self.failed_total = 0
        """Certificates that could not be had since the start."""

    def __len__(self) -> int:
        return len(self._open)

    def ask(self, ticket: Ticket, question: WhichCertificates) -> Certificates | None:
        """Return the certificates if all are known, or enough; begin or join the fetches of the others."""
        addresses = question.signature.addresses
        found, outdated = self._at_hand(addresses)
        for address in outdated.keys() & found.keys():
            self._join(address, question.trunk)
        if question.is_enough(found):
            return Certificates(found)
        renewed = outdated.keys() & self._open.keys()  # a token that is wrong by the old one may be right by the new
        found = {address: each for address, each in found.items() if address not in renewed}
        if len(found) == len(addresses):
            return Certificates(found)
        no_room: dict[str, _NoRoomError] = {}
        for address in addresses:
            refused = None if address in found else self._join(address, question.trunk)
            if refused is not None and address in outdated:
                found[address] = outdated[address]  # it stays until there is room to fetch it again
            elif isinstance(refused, _NoRoomError):
                no_room[address] = refused
            elif refused is not None:
                found[address] = refused
        if question.is_enough(found):
            return Certificates(found)
        for address, refused in no_room.items():
            if self._may_wait(address, question.trunk):
                self._queued.setdefault(address, question.trunk)
            else:
                found[address] = refused
        if len(found) == len(addresses):
            return Certificates(found)
        self._waiting[ticket] = _WaitingCall(question, frozenset(addresses) - found.keys())
        return None

    def cancel(self, ticket: Ticket) -> None:
        """Note that a call does not wait any more; the fetch goes on, for the calls that follow."""
        self._waiting.pop(ticket, None)

    def stop(self) -> None:
        """End all fetches: the switch stops."""
        for task in self._open.values():
            task.cancel()
        for name in self._names.values():
            name.task.cancel()
        self._open.clear()
        self._names.clear()
        self._queued.clear()

    def give_up(self) -> None:
        """End all fetches, and let the calls that wait go on without: others are trusted from now on."""
        self.stop()
        waiting, self._waiting = self._waiting, {}
        for ticket, call in waiting.items():
            self._answer(ticket, self._known(call.question))

    def _at_hand(self, addresses: Sequence[str]) -> tuple[dict[str, Found], dict[str, SigningCertificate]]:
        """Return what calls need not wait for, and the certificates whose time is over."""
        now_ms = self._clock.now().mono
        found: dict[str, Found] = {}
        outdated: dict[str, SigningCertificate] = {}
        for address in addresses:
            known, until_ms = self._kept.get(address, (None, 0))
            if known is None:
                continue
            if isinstance(known, SigningCertificate) and until_ms <= now_ms:
                outdated[address] = known
                until_ms += STALE_MS  # it stays while it is fetched again
            elif isinstance(known, SigningCertificate):
                self._kept.move_to_end(address)
            if until_ms > now_ms:
                found[address] = known
        return found, outdated

    def _join(self, address: str, trunk: str) -> IdentityError | None:
        """Join the fetch of an address, or begin it; return why not."""
        refused = None if address in self._open else self._begin(address, trunk)
        if refused is None:
            self._queued.pop(address, None)
        return refused

    def _begin(self, address: str, trunk: str) -> IdentityError | None:
        """Begin to fetch for a call of a trunk; return why not."""
        try:
            server = self._server(address)
        except (BadIdentityInfoError, ValueError) as error:
            return BadIdentityInfoError(str(error))
        host = urlsplit(address).hostname or ""
        name = self._names.get(host)
        if name is not None and name.is_late:
            return BadIdentityInfoError(f"the name servers do not answer for {host}")
        places = self._places = self._taken()
        if sum(each.trunk == trunk for each in places) >= TRUNK_MAX:
            return _NoRoomError("too many certificates are being fetched for calls of this trunk")
        at_host = [each for each in places if each.host == host]
        if len(at_host) >= HOST_MAX:
            return _NoRoomError(f"too many certificates are being fetched from {host}")
        if name is not None and sum(each.trunk == trunk for each in at_host) >= NAME_MAX:
            return _NoRoomError(f"the name {host} is being looked up")
        if len(places) >= OPEN_MAX:
            return _NoRoomError("too many certificates are being fetched")
        if name is None and not is_address(host) and not _NAMES.kept(host):
            self._look_up(host)
        task = self._open[address] = asyncio.get_running_loop().create_task(self._fetch(address, host, server))
        task.add_done_callback(lambda _: self._has_room())
        places.append(_Place(trunk, host, task))
        return None

    def _look_up(self, host: str) -> None:
        """Begin to look a host up for all fetches there, longer than each may wait."""
        task = asyncio.get_running_loop().create_task(_NAMES.addresses(host))
        self._names[host] = _Name(task)
        task.add_done_callback(partial(self._looked_up, host))

    def _looked_up(self, host: str, task: asyncio.Task[Sequence[str]]) -> None:
        """Begin fetches that have waited for the name."""
        if not task.cancelled():
            task.exception()  # the fetches get it, too: it is no warning of the loop
            self._names.pop(host, None)
            self._has_room()

    def _taken(self) -> list[_Place]:
        """Return the fetches that go on, and one of each host that were given up while its name is looked up still."""
        taken = [each for each in self._places if not each.task.done()]
        late_names = {host for host, name in self._names.items() if name.is_late}
        late = {each.host: each for each in reversed(self._places) if each.task.done() and each.host in late_names}
        return [*late.values(), *taken]

    def _may_wait(self, address: str, trunk: str) -> bool:
        """Return whether an address waits for room already, or still can."""
        if address in self._queued:
            return True
        of_trunk = sum(each == trunk for each in self._queued.values())
        return of_trunk < TRUNK_QUEUED_MAX and len(self._queued) < QUEUED_MAX

    def _has_room(self) -> None:
        """Begin to fetch what has waited for room or a name, and what a call still waits for."""
        self._places = self._taken()
        wanted = {address for call in self._waiting.values() for address in call.missing} if self._queued else set()
        for address, trunk in [*self._queued.items()]:
            refused = self._begin(address, trunk) if address in wanted else None
            if isinstance(refused, _NoRoomError):
                continue
            self._queued.pop(address, None)
            if refused is not None:
                self._ended(address, refused, FAILED_MS)

    def _server(self, address: str) -> HttpServer:
        """Return the server of an address, if it may be asked; raises BadIdentityInfoError and ValueError."""
        url = urlsplit(address)
        port = url.port or 443
        is_plain = address.isascii() and address.isprintable() and " " not in address
        if url.scheme.lower() != "https" or not url.hostname or url.username or not is_plain:
            raise BadIdentityInfoError("the address of the certificate is no https URL")
        if port not in PUBLIC_PORTS and not self.settings.allow_private:
            raise BadIdentityInfoError(f"certificates are not fetched from port {port}")
        now_ms = self._clock.now().mono
        if now_ms >= self._tls_until_ms:
            self._tls, self._tls_until_ms = ClientTls(), now_ms + TRUST_MS
        return HttpServer(address, _NAMES, allow_private=self.settings.allow_private, tls=self._tls)

    async def _fetch(self, address: str, host: str, server: HttpServer) -> None:
        """Fetch and verify a chain, and answer the calls that wait for it."""
        found: Found
        kept_ms = FAILED_MS
        try:
            async with asyncio.timeout(FETCH_SHARE * self.settings.timeout_ms / 1_000):
                answer = await self._ask(server)
            if answer.status in WITHDRAWN:
                raise _WithdrawnError(f"the server of the certificate answers {answer.status}")
            if answer.status != 200:
                raise BadIdentityInfoError(f"the server of the certificate answers {answer.status}")
            at_ms = self._clock.now().wall
            verify = partial(self._trust.certified, answer.body, at_ms)
            found = await asyncio.get_running_loop().run_in_executor(_THREADS, verify)
            kept_ms = kept_for(answer.headers, at_ms, 1_000 * self.settings.cache_ttl_s)
        except TimeoutError:
            if host in self._names and not server.has_addresses:
                self._names[host].is_late = True
            found = BadIdentityInfoError("the server of the certificate does not answer in time")
        except NO_ANSWER as error:
            found = BadIdentityInfoError(f"the certificate was not had: {str(error)[:150] or type(error).__name__}")
        except IdentityError as error:
            found = error
        except Exception as error:  # noqa: BLE001  the boundary of a task: calls wait for what becomes of it
            _log.exception("certificate_fetch_failed", address=address)
            found = BadIdentityInfoError(f"{type(error).__name__}: {error}"[:200])
        del self._open[address]
        self._ended(address, found, kept_ms)

    def _ended(self, address: str, found: Found, kept_ms: int) -> None:
        """Keep what came of an address, and answer the calls that need nothing else."""
        self._keep(address, found, kept_ms)
        has_certificate = isinstance(self._kept[address][0], SigningCertificate)
        for ticket, call in [*self._waiting.items()]:
            if address not in call.missing:
                continue
            known = self._known(call.question)
            if any(each in self._open or each in self._queued for each in call.missing):
                known, _ = self._at_hand(call.question.signature.addresses)
                if not has_certificate or not call.question.is_enough(known):
                    continue
            del self._waiting[ticket]
            self._answer(ticket, known)

    async def _ask(self, server: HttpServer) -> HttpAnswer:
        """Ask on a connection of its own; raises what is in ``NO_ANSWER``."""
        headers = [("Accept", "application/pem-certificate-chain, application/pkix-cert, */*"), ("Connection", "close")]
        return await server.ask_once("GET", server.target, headers, body_max=BODY_MAX)

    def _keep(self, address: str, found: Found, kept_ms: int) -> None:
        """Keep a certificate, or why there is none; one stays a while whose server cannot be asked, or is not well."""
        before = self._kept.pop(address, None)
        if isinstance(found, BadIdentityInfoError):
            self.failed_total += 1
            is_withdrawn = isinstance(found, _WithdrawnError)
            if before is not None and isinstance(before[0], SigningCertificate) and not is_withdrawn:
                found = before[0]
        if len(self._kept) >= self.settings.cache_entries:
            self._kept.popitem(last=False)
        self._kept[address] = found, self._clock.now().mono + kept_ms
        if not isinstance(found, SigningCertificate):  # callers choose the addresses: failures push no certificate out
            self._kept.move_to_end(address, last=False)

    def _known(self, question: WhichCertificates) -> dict[str, Found]:
        """Return what is known now of a call's certificates."""
        none = BadIdentityInfoError("the certificate was not had"), 0
        return {each: self._kept.get(each, none)[0] for each in question.signature.addresses}

    def _answer(self, ticket: Ticket, found: Mapping[str, Found]) -> None:
        if self.wiring is not None:
            self.wiring.answer(ticket, Certificates(found))


def kept_for(headers: Sequence[tuple[bytes, bytes]], at_ms: int, longest_ms: int) -> int:
    """Return for how long an answer is kept (RFC 9111 section 5), within bounds; by default as long as possible."""
    named = {name.lower(): value.decode("latin-1") for name, value in headers}
    life_ms = longest_ms
    control = [part.strip().lower() for part in named.get(b"cache-control", "").split(",")]
    ages = [part.partition("=")[2].strip('"') for part in control if part.startswith(("max-age=", "s-maxage="))]
    if not {"no-store", "no-cache"}.isdisjoint(control):
        life_ms = 0
    elif ages:
        life_ms = 1_000 * (_seconds(ages[-1]) - _seconds(named.get(b"age", "")))
    elif b"expires" in named:
        try:
            life_ms = int(parsedate_to_datetime(named[b"expires"]).timestamp() * 1_000) - at_ms
        except (ValueError, OverflowError):
            life_ms = 0
    return min(max(life_ms, KEPT_MS_MIN), longest_ms)


def _seconds(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 12 else 0
