"""Messages between the switch and a process beside it: a length, then the content."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # programs that read files send messages, too, and have no event loop
    import asyncio

LENGTH_BYTES: Final = 4
"""Bytes of the length of a message."""


def send(writer: "asyncio.StreamWriter", *contents: bytes) -> None:
    """Send messages; raises EOFError where the other process has ended."""
    if writer.is_closing():  # uvloop's transport raises RuntimeError
        raise EOFError("its channel is closed")
    writer.writelines(map(message, contents))


def message(content: bytes) -> bytes:
    """Return a message as it is sent: its length, then the content."""
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


async def received(reader: "asyncio.StreamReader") -> bytes:
    """Return the content of the next message; raises EOFError where the other process has ended."""
    length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
    return await reader.readexactly(length)


async def first_message(reader: "asyncio.StreamReader") -> bytes | None:
    """Return the content of the first message; None = the other process has ended before it sent one."""
    try:
        return await received(reader)
    except (EOFError, ConnectionError):
        return None
