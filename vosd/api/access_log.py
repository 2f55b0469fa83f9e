"""Access log of the API: one line an answer, ``api_request``, or one a minute for answers that are alike."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from vosd.api.address_gate import Served
from vosd.api.http import SENDER, Receive, Scope, Send
from vosd.api.request_rates import network_of
from vosd.base.errors import VosError
from vosd.control.client import RunningSwitch
from vosd.control.installation import CountApiAnswers
from vosd.engine.settings import AccessLogLines
from vosd.obs.events import log as _log

REPORT_S: Final = 2.0
"""Answers are reported to the switch so often."""
PERIOD_S: Final = 60.0
ALIKE_MAX: Final = 4_096
"""Kinds of answers that are counted at a time, of known senders and of others each.

Further answers are alike by login and status alone.
"""
PATH_MAX: Final = 300
"""Characters of a path in the log."""
_API: Final = "/api/"
_READS: Final = frozenset({"GET", "HEAD"})

Later = Callable[[float, Callable[[], None]], object]
"""Calls a function after so many seconds, as ``loop.call_later``."""


@dataclass(slots=True)
class _Alike:
    """Answers of one kind since the line before."""

    facts: dict[str, Any]
    count: int = 0
    size: int = 0


class AccessLog:
    """Writes lines about the answers of applications; neither queries nor headers nor bodies are in them.

    The first answer of a kind has its line at once; those that follow within a minute share one, with their number and
    bytes. Alike are reads of one sender and address with the same path and status, and failures of one sender and
    address with the same status, whatever is asked. Each change that is carried out has its line, and so has one of a
    known sender that may have been.
    """

    def __init__(self, lines: AccessLogLines, later: Later) -> None:
        self._lines = lines
        self._later = later
        self._answers = Counter[str]()
        """Answers that the switch does not know yet, by the class of their status."""
        self._of_known, self._of_others = dict[tuple[str, ...], _Alike](), dict[tuple[str, ...], _Alike]()

    def around(self, served: Served) -> Served:
        """Return an application whose answers are logged and counted."""

        async def logged(scope: Scope, receive: Receive, send: Send) -> None:
            status, size, began = None, 0, time.monotonic()

            async def counting(message: Any) -> None:
                nonlocal status, size
                status = message.get("status", status)
                size += len(message.get("body", b""))
                await send(message)

            try:
                await served(scope, receive, counting)
            finally:
                self.note(scope, status, size, round(1_000 * (time.monotonic() - began)))

        return logged

    def note(self, scope: Scope, status: int | None, size: int, ms: int) -> None:
        """Log an answer, or count it; ``status`` None = the client has gone without one."""
        method, path = scope["method"], scope["path"][:PATH_MAX]
        if path.startswith(_API):
            self._answers["none" if status is None else f"{status // 100}xx"] += 1
        if self._lines is AccessLogLines.NONE:
            return
        is_failure = status is None or status >= HTTPStatus.BAD_REQUEST
        if not is_failure and (
            not path.startswith(_API) or (method in _READS and self._lines is AccessLogLines.CHANGES_AND_FAILURES)
        ):
            return
        sender: dict[str, str] = scope.get(SENDER, {})
        login = sender.get("login", "")
        address = scope["client"][0] if scope.get("client") else ""
        outcome = {"status": status, "bytes": size, "ms": ms}
        facts = {**sender, "address": address, "method": method, "path": path, **outcome}
        is_open = login != "" and (status is None or status >= HTTPStatus.INTERNAL_SERVER_ERROR)
        if method not in _READS and (is_open or not is_failure):
            _log.info("api_request", **facts)
            return
        kind: tuple[str, ...] = (network_of(address), login, str(status))
        if not is_failure:
            kind = (*kind, method, path)
        kinds = self._of_known if login else self._of_others
        if kind not in kinds and len(kinds) >= ALIKE_MAX:
            # Such answers have neither address nor path in common: those of the last one would stand for all of them.
            kind = (login, str(status))
            facts = {**sender, **outcome}
        alike = kinds.get(kind)
        if alike is None:
            _log.info("api_request", **facts)
            kinds[kind] = _Alike(facts)
            self._later(PERIOD_S, lambda: self._end_period(kinds, kind))
            return
        alike.facts, alike.count, alike.size = facts, alike.count + 1, alike.size + size

    async def report_answers(self, switch: Callable[[], RunningSwitch]) -> None:
        """Report the answers under ``/api/`` to the switch, whose metrics have them, until cancelled."""
        while True:
            await asyncio.sleep(REPORT_S)
            answers, self._answers = self._answers, Counter()
            if not answers:
                continue
            try:
                await switch().ask(CountApiAnswers(dict(answers)))
            except VosError:  # it is away, or of another version: they are in the next report
                self._answers += answers

    def close(self) -> None:
        """Log what was counted."""
        for kinds in (self._of_known, self._of_others):
            for alike in kinds.values():
                self._write(alike)
            kinds.clear()

    def _end_period(self, kinds: dict[tuple[str, ...], _Alike], kind: tuple[str, ...]) -> None:
        alike = kinds.pop(kind, None)
        if alike is None or not alike.count:
            return
        self._write(alike)
        kinds[kind] = _Alike(alike.facts)
        self._later(PERIOD_S, lambda: self._end_period(kinds, kind))

    def _write(self, alike: _Alike) -> None:
        if alike.count:
            _log.info("api_request", **{**alike.facts, "bytes": alike.size, "count": alike.count})
