"""Senders that were known of late, while the database is away."""

import asyncio
from functools import partial

import pytest

from vosd.admin.office.principal import Means, Principal, Role
from vosd.admin.office.tokens import UnauthorizedError
from vosd.api import known_senders
from vosd.api.brief_wait import ANSWER_S, PAUSE_S
from vosd.api.known_senders import KEPT_S, LATELY_S, KnownSenders
from vosd.cdr.ports import StoreUnavailable

WHO = Principal(role=Role.PROGRAM, name="crm", login="token 1", means=Means.TOKEN, permissions=frozenset())


async def late(found: Principal | Exception) -> Principal:
    await asyncio.sleep(0)
    return await answered(found)


async def answered(found: Principal | Exception) -> Principal:
    if isinstance(found, Exception):
        raise found
    return found


def away() -> StoreUnavailable:
    return StoreUnavailable("the database is away")


async def test_a_sender_is_known_for_a_while_after_the_database_knew_it():
    senders = KnownSenders()
    with pytest.raises(StoreUnavailable):
        await senders.look(b"1", partial(answered, away()), 0.0, is_use=True)
    await senders.look(b"1", partial(answered, WHO), 10.0, is_use=True)
    assert await senders.look(b"1", partial(answered, away()), 10.0 + KEPT_S, is_use=True) == WHO
    with pytest.raises(StoreUnavailable):
        await senders.look(b"2", partial(answered, away()), 11.0, is_use=True)
    with pytest.raises(StoreUnavailable):
        await senders.look(b"1", partial(answered, away()), 10.1 + KEPT_S, is_use=True)


async def test_a_sender_is_known_to_requests_at_the_same_time():
    senders = KnownSenders()
    await senders.look(b"1", partial(answered, WHO), 0.0, is_use=True)
    both = (senders.look(b"1", partial(late, away()), 1.0, is_use=True) for _ in range(2))
    assert await asyncio.gather(*both) == [WHO, WHO]


async def test_a_token_that_was_revoked_is_not_taken_again():
    senders = KnownSenders()
    await senders.look(b"1", partial(answered, WHO), 0.0, is_use=True)
    with pytest.raises(UnauthorizedError):
        await senders.look(b"1", partial(answered, UnauthorizedError("it was revoked")), 1.0, is_use=True)
    with pytest.raises(StoreUnavailable):
        await senders.look(b"1", partial(answered, away()), 2.0, is_use=True)


async def test_of_too_many_the_one_that_asked_longest_ago_is_forgotten(monkeypatch):
    monkeypatch.setattr(known_senders, "SENDERS_MAX", 1)
    senders = KnownSenders()
    for digest in (b"1", b"2"):
        await senders.look(digest, partial(answered, WHO), 0.0, is_use=True)
    assert await senders.look(b"2", partial(answered, away()), 1.0, is_use=True) == WHO
    with pytest.raises(StoreUnavailable):
        await senders.look(b"1", partial(answered, away()), 1.0, is_use=True)


async def test_a_database_that_hangs_is_waited_for_shortly_and_then_not_at_all_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, senders, asked = asyncio.get_running_loop(), KnownSenders(), 0
    await senders.look(b"1", partial(answered, WHO), 0.0, is_use=True)
    later, now = 0.0, loop.time

    async def hang() -> Principal:
        nonlocal asked, later
        asked += 1
        later += ANSWER_S
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(loop, "time", lambda: now() + later)
    assert [await senders.look(b"1", hang, 1.0, is_use=True) for _ in range(3)] == [WHO] * 3
    assert asked == 1
    later += PAUSE_S
    assert await senders.look(b"1", hang, 2.0, is_use=True) == WHO
    assert asked == 2
    later += PAUSE_S
    assert await senders.look(b"1", partial(answered, WHO), 3.0, is_use=True) == WHO
    with pytest.raises(StoreUnavailable):
        await senders.look(b"2", partial(answered, away()), 3.0, is_use=True)


async def test_a_page_that_reads_on_is_looked_up_every_few_seconds():
    senders = KnownSenders()
    assert senders.lately(b"1", 0.0, is_use=False) is None
    await senders.look(b"1", partial(answered, WHO), 10.0, is_use=True)
    assert senders.lately(b"1", 9.9 + LATELY_S, is_use=True) == WHO
    assert senders.lately(b"1", 10.0 + LATELY_S, is_use=True) is None
    await senders.look(b"1", partial(answered, WHO), 20.0, is_use=False)
    assert senders.lately(b"1", 21.0, is_use=False) == WHO
    assert senders.lately(b"1", 21.0, is_use=True) is None, "the use of its session is to be noted"
    senders.forget(b"1")
    assert senders.lately(b"1", 21.0, is_use=False) is None


async def test_the_first_look_up_that_is_no_use_lets_none_be_missed():
    senders = KnownSenders()
    await senders.look(b"1", partial(answered, WHO), 10.0, is_use=False)
    assert senders.lately(b"1", 10.0, is_use=True) is None
