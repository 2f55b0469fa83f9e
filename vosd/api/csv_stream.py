"""Answers that are CSV in parts: an error before the first part is a problem, and not a broken answer."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from vosd.admin.office.office import Office
from vosd.api.http import Answer, HttpRequest
from vosd.api.listing import CSV


async def begun(parts: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    """Return the parts of a text, once the first one is there; raises what keeps that from being there."""
    first = await anext(parts)

    async def whole() -> AsyncGenerator[str, None]:
        async with aclosing(parts):
            yield first
            async for part in parts:
                yield part

    return whole()


async def csv_answer(_office: Office, _request: HttpRequest, text: AsyncGenerator[str, None]) -> Answer:
    """Return a text as CSV."""

    async def parts() -> AsyncGenerator[bytes, None]:
        async for part in text:
            yield part.encode()

    return Answer(stream=parts(), content_type=f"{CSV}; charset=utf-8")
