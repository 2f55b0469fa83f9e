"""Streams of live events to clients, as Server-Sent Events."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from http import HTTPStatus
from typing import Final

import msgspec

from vosd.admin.office.events import EventView, WatchEvents
from vosd.admin.office.principal import Principal
from vosd.api.brief_wait import ANSWER_S
from vosd.api.feed import EventFeed, Subscription
from vosd.api.http import EVENT_STREAM, Answer, RequestError
from vosd.base.errors import VosError
from vosd.cdr.ports import StoreUnavailable

CLIENTS_MAX: Final = 200
OF_ACCOUNTS_MAX: Final = 150
"""Most of agents and customers together: the other places are kept for people and programs of the installation."""
OF_ONE_MAX: Final = 20
"""Most of one account, and of one login of the installation."""
HEARTBEAT_S: Final = 15.0
"""A stream without events has a comment so often, so that proxies keep it open."""
CHECK_S: Final = 5.0
"""The token or session of a stream is looked up again so often."""
_RETRY_MS: Final = 2_000
"""Time after which a client connects again, as the stream tells it."""

Admit = Callable[[], Awaitable[EventView]]
"""Returns what the client may see now; raises where its token or session has ended."""


class StreamPlaces:
    """Places of the live events, taken by account, those of the installation by login."""

    def __init__(self) -> None:
        self._taken: Counter[tuple[str, ...]] = Counter()

    def take(self, who: Principal) -> Callable[[], None]:
        """Take a place; return what gives it back.

        Raises:
            RequestError: all are taken that there are for one like this.
        """
        bounds: list[tuple[tuple[str, ...], int]] = [((), CLIENTS_MAX)]
        if who.account is None:
            bounds += [((who.means.value, who.login), OF_ONE_MAX)]
        else:
            bounds += [(("accounts",), OF_ACCOUNTS_MAX), (("account", who.account), OF_ONE_MAX)]
        for place, most in bounds:
            check_places(self._taken[place], most)
        places = [place for place, _ in bounds]
        self._taken.update(places)
        return lambda: self._taken.subtract(places)


def check_places(taken: int, most: int) -> None:
    """Raise RequestError where as many clients as may follow a stream do so."""
    if taken >= most:
        raise RequestError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "too_many_streams",
            f"{most} clients follow this already",
            remedy="close one, or come again later",
            headers=(("Retry-After", "5"),),
        )


def until_check(proof: bytes, now_s: float) -> float:
    """Return the seconds until a sender is looked up again: all its streams do it at one moment, and share the look-up.

    Other senders have other moments.
    """
    own = CHECK_S * int.from_bytes(proof[:2], "big") / (1 << 16)
    return CHECK_S - (now_s - own) % CHECK_S


async def watch_sender(admit: Callable[[], Awaitable[object]], proof: bytes) -> None:
    """Look up the sender of a request again and again, while its answer is sent.

    Raises:
        VosError, RequestError: as ``admit``, where its token or session has ended.
    """
    while True:
        await asyncio.sleep(until_check(proof, asyncio.get_running_loop().time()))
        try:
            async with asyncio.timeout(ANSWER_S):
                await admit()
        except (StoreUnavailable, TimeoutError):
            pass  # tokens are in the database: what its answer is made from may be there yet


async def live_answer(
    feed: EventFeed, admit: Admit, order: WatchEvents, leave: Callable[[], None], proof: bytes
) -> Answer:
    """Return the answer to a client that follows the live events; what happens from now on is in it.

    ``leave`` is called when it ends, or cannot begin; ``proof`` is as for ``until_check``.

    Raises:
        VosError: as ``admit``.
    """
    try:
        return await _begun(feed, admit, order, leave, proof)
    except BaseException:
        leave()
        raise


async def _begun(feed: EventFeed, admit: Admit, order: WatchEvents, leave: Callable[[], None], proof: bytes) -> Answer:
    if order.seconds is not None and order.seconds < 1:
        raise RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, "bad_field", "`seconds` is not positive", field="seconds")
    view = await admit()
    # Before the head is sent: a client reads its lists when it has the head, and nothing may be lost in between.
    subscription = await feed.subscribe(order.after)

    def ended() -> None:
        subscription.leave()
        leave()

    return Answer(
        stream=_events(feed, subscription, admit, view, order, proof),
        content_type=EVENT_STREAM,
        is_live=True,
        headers=(("X-Accel-Buffering", "no"),),  # a proxy that collects answers would hold events back
        ended=ended,
    )


async def _events(
    feed: EventFeed, subscription: Subscription, admit: Admit, view: EventView, order: WatchEvents, proof: bytes
) -> AsyncGenerator[bytes, None]:
    loop = asyncio.get_running_loop()
    until = None if order.seconds is None else loop.time() + order.seconds
    yield b"retry: %d\n\n" % _RETRY_MS
    spoken = loop.time()
    check_at = spoken + until_check(proof, spoken)
    while not feed.is_closed:
        now = loop.time()
        if until is not None and now >= until:
            return
        wait_s = max(check_at - now, 0)
        taken = await subscription.take(wait_s if until is None else min(wait_s, until - now))
        now = loop.time()
        if now >= check_at:
            check_at = now + until_check(proof, now)
            try:
                async with asyncio.timeout(ANSWER_S):
                    view = await admit()
            except (StoreUnavailable, TimeoutError):
                pass  # tokens are in the database: what the switch tells is shown on
            except VosError as error:
                yield b"event: stream.ended\ndata: " + msgspec.json.encode({"why": str(error)}) + b"\n\n"
                return
        lines = b"".join(each.lines(whole=view.is_whole) for each in taken if view.shows(each.event))
        if lines:
            spoken = now
            yield lines
        elif now - spoken >= HEARTBEAT_S:
            spoken = now
            yield b": the stream lives\n\n"
