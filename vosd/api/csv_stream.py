"""Answers that are CSV in parts."""

from collections.abc import AsyncGenerator

from vosd.admin.office.office import Office
from vosd.api.http import Answer, HttpRequest
from vosd.api.listing import CSV


async def csv_answer(_office: Office, _request: HttpRequest, text: AsyncGenerator[str, None]) -> Answer:
    """Return a text as CSV."""

    async def parts() -> AsyncGenerator[bytes, None]:
        async for part in text:
            yield part.encode()

    return Answer(stream=parts(), content_type=f"{CSV}; charset=utf-8")
