"""Passwords that servers of RADIUS judge (ADR 169): one Access-Request for each request that has a good nonce.

The request waits in the authentication gate meanwhile; no transaction and no call is kept for it. Knows nothing of
lock-outs.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from vosd.base.clock import Clock
from vosd.engine.counting import Counting
from vosd.engine.radius.client import RadiusClient, RadiusUnreachableError
from vosd.engine.registration.authentication import HeldRequest, PasswordVerdict
from vosd.obs.events import log as _log
from vosd.obs.figures import Figure
from vosd.obs.log import LogLimiter
from vosd.radius.digest import DigestParts, digest_attributes
from vosd.radius.packets import RadiusCode, RadiusReply, Value
from vosd.radius.settings import RadiusPurpose, RadiusSettings, Unreachable
from vosd.sip.auth_gate import BY_ADDRESS, Accepted
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.uri import Uri

Judged = Callable[[HeldRequest, PasswordVerdict, Accepted], None]
"""Called with the verdict, and with the terms of an acceptance."""

LONGEST_S_MAX: Final = 604_800
CLASSES_MAX: Final = 4
"""Most attributes Class of one answer that come back in the accounting: the CDR has them, too."""
INTERIM_S_MIN: Final = 60
"""Shortest interval of Interim-Updates that a server may ask for (RFC 2869 section 5.16)."""


class RemotePasswords(Counting):
    """Asks the servers about passwords."""

    def __init__(self, clock: Clock, settings: RadiusSettings | None, judged: Judged) -> None:
        self._settings = settings
        self._client = RadiusClient(clock, RadiusPurpose.AUTHENTICATION, settings)
        self._judged = judged
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._log_limiter = LogLimiter()

    def adjust(self, settings: RadiusSettings | None) -> None:
        """Ask other servers from now on; what is open gets no answer."""
        self._settings = settings
        self._client.adjust(settings)

    def ask(self, held: HeldRequest) -> None:
        """Begin to ask about a request; the verdict comes later."""
        task = asyncio.get_running_loop().create_task(self._ask(held))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """End what is open: the switch stops."""
        for task in tuple(self._tasks):
            task.cancel()
        self._client.close()

    def census(self) -> Mapping[Figure, int]:
        """Count the open questions, and the servers that are out of service."""
        return {Figure.RADIUS_PASSWORDS: len(self._tasks), Figure.RADIUS_AUTH_SERVERS_DOWN: self._client.dead}

    def totals(self) -> Mapping[Figure, int]:
        """Count the questions without an answer."""
        return {Figure.RADIUS_FAILED: self._client.failed_total}

    async def _ask(self, held: HeldRequest) -> None:
        settings = self._settings
        if settings is None:
            self._judged(held, PasswordVerdict.UNKNOWN, BY_ADDRESS)
            return
        try:
            attributes = _attributes(held, settings)
            async with asyncio.timeout(settings.deadline_ms / 1_000):
                reply = await self._client.ask(RadiusCode.ACCESS_REQUEST, lambda _wall_ms: attributes)
        except Exception as error:  # noqa: BLE001  the boundary of a task: the request waits for what becomes of it
            if not isinstance(error, (TimeoutError, RadiusUnreachableError, ParseError)):
                _log.exception("password_question_failed", username=held.username)
            is_local = settings.on_failure is Unreachable.LOCAL
            if self._log_limiter.admits(str(error), self._clock.now().mono):
                why = str(error) or "no answer in time"
                _log.warning(
                    "password_not_judged",
                    username=held.username,
                    why=why,
                    decides=settings.on_failure.value,
                    do="look at the servers of radius (vosd status: radius_auth_servers_down) and the network to them",
                )
            self._judged(held, PasswordVerdict.LOCAL if is_local else PasswordVerdict.UNKNOWN, BY_ADDRESS)
            return
        if reply.code is RadiusCode.ACCESS_ACCEPT:
            self._judged(held, PasswordVerdict.RIGHT, _terms(reply))
            return
        said = reply.text("Reply-Message")
        if said and self._log_limiter.admits(held.source.host, self._clock.now().mono):
            _log.info("password_rejected", username=held.username, source=str(held.source), said=said[:200])
        self._judged(held, PasswordVerdict.WRONG, BY_ADDRESS)


def _terms(reply: RadiusReply) -> Accepted:
    """Return what the server says of the call: its longest time, at least a second, and terms of its accounting."""
    classes = reply.attributes.get("Class", ())
    longest, interim = reply.number("Session-Timeout"), reply.number("Acct-Interim-Interval")
    return Accepted(
        longest_s=None if longest is None else max(1, min(longest, LONGEST_S_MAX)),
        interim_s=None if interim is None else max(INTERIM_S_MIN, min(interim, LONGEST_S_MAX)),
        radius_classes=tuple(each for each in classes if isinstance(each, bytes) and each)[:CLASSES_MAX],
    )


def _attributes(held: HeldRequest, settings: RadiusSettings) -> list[tuple[str, Value]]:
    """Return what is asked; raises ParseError where the request cannot be read."""
    request, claim = held.request, held.proof.claim
    parts = DigestParts(
        username=held.username,
        realm=held.proof.realm,
        nonce=claim.nonce,
        method=held.proof.method,
        uri=claim.uri,
        response=claim.response,
        algorithm=claim.algorithm.value,
        qop="" if claim.qop is None else claim.qop.value,
        cnonce=claim.cnonce,
        nonce_count=claim.nonce_count,
    )
    attributes = digest_attributes(parts, settings.digest)
    attributes.append(("Calling-Station-Id", Uri.parse(request.from_.uri).user))
    if request.method != "REGISTER":
        attributes.append(("Called-Station-Id", request.target.user))
    attributes.append(("h323-remote-address", f"h323-remote-address={held.source.host}"))
    return [(name, value) for name, value in attributes if value != ""]
