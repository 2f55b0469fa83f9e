"""Answers about the names of gateways in a small file of ``state_dir``: for a start while the name servers are away.

They are used as long as a running switch would use them (``sip.dns.stale``, RFC 8767), and only until there are new
ones.
"""

import asyncio
from pathlib import Path
from typing import Final

import msgspec

from vosd.base.clock import Clock, Instant
from vosd.engine.kept_file import KeptFile
from vosd.engine.peers.directory import NameDirectory
from vosd.engine.peers.lookup import Answers
from vosd.sip.flows import Hop
from vosd.sip.locate import DnsAnswer, DnsQuestion, Naptr, RecordType, Srv

NAMES: Final = "names.json"
ROUND_S: Final = 60.0
"""Interval at which new answers are written; a crash loses those since."""


class KeptAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer; its records are those of the one kind that was asked for."""

    kind: RecordType
    name: str
    ttl_s: int
    at: int
    """Time of the answer, UTC milliseconds."""
    services: tuple[Naptr, ...] = ()
    servers: tuple[Srv, ...] = ()
    addresses: tuple[str, ...] = ()


class KeptName(msgspec.Struct, frozen=True):
    """A name of a gateway with the answers that its servers follow from."""

    sought: Hop
    answers: tuple[KeptAnswer, ...]


class NamesFile:
    """The file of one switch: read at the start, replaced when there are new answers."""

    def __init__(self, state_dir: Path, directory: NameDirectory, clock: Clock) -> None:
        self._file = KeptFile(state_dir / NAMES, list[KeptName], "names")
        self._directory = directory
        self._clock = clock
        self._written = directory.learned

    def restore(self) -> None:
        """Let the directory have the answers of the run before; call it before the first names are looked up."""
        now = self._clock.now()
        self._directory.recall({each.sought: _answers_of(each, now) for each in self._file.read() or ()})

    async def run(self) -> None:
        """Keep the file up to date; runs until cancelled."""
        while True:
            learned = self._directory.learned
            if learned != self._written and await asyncio.to_thread(self._file.write, self._names()):
                self._written = learned
            await asyncio.sleep(ROUND_S)

    def write_last(self) -> None:
        """Write what was learned since: the switch stops."""
        if self._directory.learned != self._written:
            self._file.write(self._names())

    def _names(self) -> list[KeptName]:
        now = self._clock.now()
        return [_kept(sought, answers, now) for sought, answers in self._directory.known().items()]


def _kept(sought: Hop, answers: Answers, now: Instant) -> KeptName:
    kept = []
    for question, (answer, at_mono) in answers.items():
        own = KeptAnswer(*question, answer.ttl_s, now.wall - (now.mono - at_mono))
        match question.kind:
            case RecordType.NAPTR:
                own = msgspec.structs.replace(own, services=answer.records)
            case RecordType.SRV:
                own = msgspec.structs.replace(own, servers=answer.records)
            case RecordType.A | RecordType.AAAA:
                own = msgspec.structs.replace(own, addresses=answer.records)
        kept.append(own)
    return KeptName(sought, tuple(kept))


def _answers_of(kept: KeptName, now: Instant) -> Answers:
    """Return the answers with their times on the clock of this run; one of a clock that was ahead is of now."""
    return {
        DnsQuestion(each.kind, each.name): (
            DnsAnswer((*each.services, *each.servers, *each.addresses), each.ttl_s),
            now.mono - max(0, now.wall - each.at),
        )
        for each in kept.answers
    }
