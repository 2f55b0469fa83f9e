"""Answers in parts: an error before the first part is a problem, and not a broken answer."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

Part = TypeVar("Part", str, bytes)


async def begun(parts: AsyncGenerator[Part, None]) -> AsyncGenerator[Part, None]:
    """Return the parts of an answer, once the first one is there; raises what keeps that from being there."""

    async def whole() -> AsyncGenerator[Part, None]:
        async with aclosing(parts):
            first = await anext(parts)
            yield first  # taken below: a generator that has not begun would not close the parts
            yield first
            async for part in parts:
                yield part

    answer = whole()
    await anext(answer)
    return answer
