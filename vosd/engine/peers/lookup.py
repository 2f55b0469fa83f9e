"""Background lookup of names: cache of answers, expiry, retries.

Owns the life of an answer: its TTL within limits, the waits after a failure, and how long an old answer is used when no
new one can be had (RFC 8767). ``engine.peers.directory`` decides which names are looked up.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from vosd.base.clock import Clock
from vosd.engine.settings import DnsSettings
from vosd.obs.events import log as _log
from vosd.sip.flows import Hop
from vosd.sip.locate import (
    DnsAnswer,
    DnsQuestion,
    Known,
    NoAnswerError,
    RecordType,
    SipServer,
    Survey,
    UsableTransports,
    survey,
)

LOOKUP_S: Final = 30.0
"""Time limit of one lookup, with all its questions."""
QUESTIONS_MAX: Final = 16
"""Most open questions; others wait."""
RETRY_MS: Final = 5_000
RETRY_MAX_MS: Final = 60_000
"""A failed lookup is repeated after the first, then after twice as long each time, up to the second.

So is one of a gateway's name that finds no server: name servers say for some minutes of a name that it does not exist,
as before a VPN is up, and its calls fail until it is asked for again.
"""
EARLY: Final = 10
"""An answer is renewed when the last of so many parts of its life begins."""

Answers = dict[DnsQuestion, tuple[DnsAnswer, int]]
"""Answers, and when each was given, in milliseconds of the monotonic clock."""

_ADDRESSES: Final = frozenset({RecordType.A, RecordType.AAAA})

_NO_SERVER: Final = "no SIP server is published under this name, or none for a transport and family of sip.listen"


class Resolver(Protocol):
    """Client of name servers."""

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        """Return the records, perhaps none; raises NoAnswerError where no name server gave a usable answer."""


class CachedName:
    """Cached state of one name; instants are milliseconds of the monotonic clock."""

    __slots__ = ("answers", "due", "failures", "hosts", "is_known", "lookup", "problem", "seen_at", "servers", "sought")

    def __init__(self, sought: Hop, due: int) -> None:
        self.sought = sought
        self.due = due
        """Time of the next lookup."""
        self.servers: tuple[SipServer, ...] = ()
        self.hosts: frozenset[str] = frozenset()
        """Addresses of all of them."""
        self.answers: Answers = {}
        """Answers that ``servers`` follow from."""
        self.is_known = False
        """Whether a lookup has ever completed."""
        self.failures = 0
        """Consecutive failed lookups."""
        self.problem = ""
        """Problem found by the last lookup; empty = none."""
        self.lookup: asyncio.Task[None] | None = None
        self.seen_at: frozenset[str] = frozenset()
        """Addresses of the name at which a peer was seen that uses it in a dialog."""

    def lead_to(self, servers: tuple[SipServer, ...], answers: Answers) -> None:
        """Use these servers, which follow from the answers."""
        self.servers, self.answers = servers, answers
        self.hosts = frozenset(hop.host for server in servers for family in server.families for hop in family)


class NameLookups:
    """Looks names up, one task for each; ``learned`` is called after each, with the problem before it."""

    def __init__(
        self,
        resolver: Resolver,
        clock: Clock,
        means: UsableTransports,
        settings: DnsSettings,
        learned: Callable[[CachedName, str], None],
        *,
        are_needed: bool = False,
    ) -> None:
        """``are_needed``: calls fail without these names, so one that leads nowhere is soon asked for again."""
        self._resolver = resolver
        self._clock = clock
        self._means = means
        self._settings = settings
        self._learned = learned
        self._are_needed = are_needed
        self._turns = asyncio.Semaphore(QUESTIONS_MAX)
        self._open: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, cached: CachedName) -> asyncio.Task[None]:
        """Start a lookup of a name, unless one is open."""
        if cached.lookup is None:
            cached.lookup = asyncio.create_task(self._look_up(cached), name=f"lookup of {cached.sought.host}")
            self._open.add(cached.lookup)
            cached.lookup.add_done_callback(self._open.discard)
        return cached.lookup

    def recall(self, cached: CachedName, answers: Answers) -> None:
        """Have a name that was not looked up yet use these answers, as long as no lookup is successful."""
        cached.answers = answers
        self._use_in_need(cached, {})

    async def settled(self) -> None:
        """Wait until none is open."""
        while self._open:
            await asyncio.wait(self._open)

    def cancel(self) -> None:
        """Cancel all open lookups."""
        for task in self._open:
            task.cancel()

    async def _look_up(self, cached: CachedName) -> None:
        before, had_servers = cached.problem, bool(cached.servers)
        answers: Answers = {}
        failures: list[str] = []
        try:
            async with asyncio.timeout(LOOKUP_S):
                await self._ask_all(cached.sought, answers, failures)
        except TimeoutError:
            failures = [f"not done after {LOOKUP_S:g} s: are the name servers silent?"]
        except Exception:  # noqa: BLE001  after an error the name must be looked up again
            _log.exception("lookup_failed", name=cached.sought.host)
            failures = ["an error in the switch"]
        finally:
            cached.lookup = None
        if failures:
            self._failed(cached, "; ".join(failures))
            self._use_in_need(cached, answers)
        else:
            self._take(cached, answers)
        if had_servers and not cached.servers:
            before = ""  # what was said of an earlier problem, that the last addresses are used, holds no more
        self._learned(cached, before)

    async def _ask_all(self, sought: Hop, answers: Answers, failures: list[str]) -> None:
        """Ask until no answer is missing; fill ``answers``, and ``failures`` with the reasons why some are missing."""
        failed: set[DnsQuestion] = set()

        async def ask(question: DnsQuestion) -> None:
            try:
                async with self._turns:
                    answer = await self._resolver.ask(question)
                answers[question] = answer, self._clock.now().mono
            except NoAnswerError as error:
                failed.add(question)
                failures.append(str(error))

        while missing := survey(sought, self._means, _known(answers, failed)).missing:
            await asyncio.gather(*map(ask, missing))

    def _take(self, cached: CachedName, answers: Answers) -> None:
        settings = self._settings
        found = survey(cached.sought, self._means, _known(answers))
        ttl_s = settings.max_ttl_s if found.ttl_s is None else found.ttl_s
        ttl_ms = 1000 * max(settings.min_ttl_s, min(settings.max_ttl_s, ttl_s))
        if self._are_needed and not found.servers:
            ttl_ms = min(ttl_ms, _wait_ms(cached))
            cached.failures += 1
        else:
            cached.failures = 0
        cached.lead_to(found.servers, answers)
        # Renewed before it expires, so that calls never find an expired answer while the servers respond.
        cached.due = self._clock.now().mono + ttl_ms - ttl_ms // EARLY
        cached.is_known = True
        cached.problem = "" if found.servers else _NO_SERVER

    def _use_in_need(self, cached: CachedName, answers: Answers) -> None:
        """Use an incomplete result: the last answer stands for one that is missing (RFC 8767).

        Only addresses may be missing even so. Without the services of the name, or while services have no address yet
        and some host of theirs is new, the last answers are used as they were. A host that was known keeps no address
        that the name servers have removed, and no server stays in use for a family that had no address before: the
        question for it may always fail.
        """
        oldest = self._clock.now().mono - 1000 * self._settings.stale_s
        last = {question: answer for question, answer in cached.answers.items() if answer[1] >= oldest}
        had_servers, is_some_expired = bool(cached.servers), len(last) < len(cached.answers)
        known = {question.name for question in last if question.kind in _ADDRESSES}
        families = {question.kind for question, (answer, _) in last.items() if answer.records}
        cached.lead_to((), cached.answers)
        for usable in (last | answers, last):
            found, used, failed = self._survey_by(usable, cached.sought)
            gaps = (question for question in failed if question.name not in known and question.kind in families)
            is_complete = bool(found.servers) or not any(gaps)
            if is_complete and all(question.kind in _ADDRESSES for question in failed):
                cached.lead_to(found.servers, used)
                break
        if had_servers and not cached.servers:
            why = "the last answer is too old" if is_some_expired else "it has no address any more"
            _log.warning("name_expired", name=cached.sought.host, why=why)

    def _survey_by(self, usable: Answers, sought: Hop) -> tuple[Survey, Answers, set[DnsQuestion]]:
        """Survey a name by some answers alone; return also those that it takes, and the questions without one."""
        used: Answers = {}
        failed: set[DnsQuestion] = set()
        while (found := survey(sought, self._means, _known(used, failed))).missing:
            used |= {question: usable[question] for question in found.missing if question in usable}
            failed.update(question for question in found.missing if question not in usable)
        return found, used, failed

    def _failed(self, cached: CachedName, why: str) -> None:
        cached.problem = why
        cached.due = self._clock.now().mono + _wait_ms(cached)
        cached.is_known = True
        cached.failures += 1


def _wait_ms(cached: CachedName) -> int:
    """Return how long a name waits until it is looked up again, after those failures."""
    return min(RETRY_MS << min(cached.failures, 8), RETRY_MAX_MS)


def _known(answers: Answers, failed: Iterable[DnsQuestion] = ()) -> Known:
    return {**{question: answer for question, (answer, _) in answers.items()}, **dict.fromkeys(failed)}
