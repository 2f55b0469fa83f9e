"""Requests with an Idempotency-Key: each is carried out once, and its answer is kept for a day.

The key is written in the transaction of the change, so a process that is killed in the middle has done all of it or
nothing. The answer is written after it.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import msgspec

from vosd.admin.office.taken_change import NotTakenError
from vosd.api.http import JSON, Answer, RequestError
from vosd.api.problems import PROBLEM_JSON, problem_of
from vosd.base.clock import Clock
from vosd.cdr.ports import StoreUnavailable
from vosd.engine.clock import SystemClock
from vosd.engine.steady_clock import SteadyClock
from vosd.storage.audit_line import RequestKey
from vosd.storage.driver_errors import AlreadyThere
from vosd.storage.requests import KeptRequest, SqlRequests

HEADER: Final = "idempotency-key"
REPEAT_HEADER: Final = "idempotency-repeat"
"""The header of a request that must be a repeat: it is refused where the first one has changed nothing."""
KEY_CHARACTERS_MAX: Final = 128
KEPT_MS: Final = 24 * 3_600 * 1_000
FORGET_MS: Final = 600_000
"""Interval at which old keys are removed."""
REPLAYED: Final = ("Idempotent-Replayed", "true")


def has_key(headers: Mapping[str, str]) -> bool:
    """Return whether a request has a key.

    Raises:
        RequestError: it must be a repeat and has none, so that it would be carried out anew.
    """
    if REPEAT_HEADER in headers and HEADER not in headers:
        said = "Idempotency-Repeat needs the Idempotency-Key of the first request"
        raise RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, "bad_key", said, field="Idempotency-Key")
    return HEADER in headers


def key_of(text: str, principal: str, *parts: bytes) -> RequestKey:
    """Return the key that a request has; ``parts`` are all of the request that matters.

    Raises:
        RequestError: the text is none.
    """
    if not (text.isascii() and text.isprintable() and 0 < len(text) <= KEY_CHARACTERS_MAX):
        said = f"Idempotency-Key has 1 to {KEY_CHARACTERS_MAX} printable ASCII characters"
        raise RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, "bad_key", said, field="Idempotency-Key")
    return RequestKey(principal, text, hashlib.sha256(b"\n".join(parts)).hexdigest())


def reference_of(key: RequestKey) -> str:
    """Return the reference of a booking that is the same for every repeat of a request."""
    digest = hashlib.sha256(f"{key.principal}\n{key.key}".encode()).hexdigest()
    return f"key-{digest[:40]}"


class Repeats:
    """Requests with a key."""

    def __init__(self, clock: Clock | None = None) -> None:
        """``clock`` says when keys are old; None = the machine's."""
        self._under_way: set[tuple[str, str]] = set()
        self._clock = clock or SystemClock()
        self._steady = SteadyClock(self._clock)
        self._forgotten_at = self._clock.now().mono - FORGET_MS
        """On the monotonic clock."""

    async def once(
        self,
        key: RequestKey,
        kept: SqlRequests,
        act: Callable[[RequestKey | None], Awaitable[Answer]],
        *,
        is_harmless: bool,
        is_secret: bool = False,
        is_repeat: bool = False,
    ) -> Answer:
        """Carry out a request, unless it was before.

        ``act`` has the key written with its change. ``is_harmless``: to carry it out again changes nothing more.
        ``is_secret``: the answer has a secret and is not kept, so a repeat is refused.
        ``is_repeat``: refuse a request that was not carried out before.

        Raises:
            RequestError: the key is another request's, the same request is under way, its answer is lost, or it is no
                repeat.
        """
        name = (key.principal, key.key)
        if name in self._under_way:
            raise RequestError(
                HTTPStatus.CONFLICT,
                "request_under_way",
                "the request with this key is under way: repeat it later",
                headers=(("Retry-After", "1"),),
            )
        self._under_way.add(name)
        try:
            await self._forget_old(kept)
            found = await kept.find(key)
            if found is None and is_repeat:
                said = "no request with this key has changed anything"
                raise RequestError(HTTPStatus.CONFLICT, "key_unknown", said, remedy="read the object, and decide anew")
            if found is None:
                try:
                    answer = await act(key)
                    return answer if is_secret else await _kept(kept, key, answer)
                except NotTakenError as error:  # the change is made, or was withdrawn
                    await _kept(kept, key, problem_of(error))
                    raise
                except AlreadyThere:  # another process was faster
                    found = await kept.find(key)
                    if found is None:
                        raise
            if is_secret and found.fingerprint == key.fingerprint:
                raise RequestError(
                    HTTPStatus.CONFLICT,
                    "secret_not_kept",
                    "the change was made by a request with this key; its secret was shown once and is not kept",
                    remedy="make another token and revoke this one, or reset the person for another link",
                )
            return await _repeated(found, key, kept, act, is_harmless=is_harmless)
        finally:
            self._under_way.discard(name)

    async def _forget_old(self, kept: SqlRequests) -> None:
        """Remove old keys from time to time, and not by a clock that was just set."""
        now, mono = self._steady.now(), self._clock.now().mono
        if now is not None and mono - self._forgotten_at >= FORGET_MS:
            await kept.forget(now - KEPT_MS)
            self._forgotten_at = mono


async def _repeated(
    found: KeptRequest,
    key: RequestKey,
    kept: SqlRequests,
    act: Callable[[RequestKey | None], Awaitable[Answer]],
    *,
    is_harmless: bool,
) -> Answer:
    if found.fingerprint != key.fingerprint:
        raise RequestError(
            HTTPStatus.CONFLICT, "key_reused", "the key was used for another request", remedy="use a new key"
        )
    if found.status is not None and found.answer is not None:
        headers = msgspec.json.decode(found.headers or "[]", type=tuple[tuple[str, str], ...])
        return Answer(
            status=found.status,
            content=found.answer.encode(),
            content_type=JSON if found.status < HTTPStatus.BAD_REQUEST else PROBLEM_JSON,
            headers=(*headers, REPLAYED),
        )
    if is_harmless:
        answer = await _kept(kept, key, await act(None))
        return msgspec.structs.replace(answer, headers=(*answer.headers, REPLAYED))
    raise RequestError(
        HTTPStatus.CONFLICT,
        "answer_lost",
        "the change was made by a request with this key, and its answer was lost: read the object",
    )


async def _kept(kept: SqlRequests, key: RequestKey, answer: Answer) -> Answer:
    """Keep the answer, where the request has changed something; without it a repeat gets an error."""
    with suppress(StoreUnavailable):
        headers = msgspec.json.encode(answer.headers).decode()
        await kept.answered(key, answer.status, answer.content.decode(), headers)
    return answer
