"""Thousands of telephones that register over real sockets, each with its digest; many share a socket.

They keep to RFC 3261 as far as it takes: a challenge is answered, and what is not answered is said again.
"""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Final, cast

from doubles.sockets.login import Login, answer_to
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Message, compose
from vosd.base.errors import VosError

AT_ONCE: Final = 100
"""REGISTERs on their way at the same time."""
REPEAT_S: Final = 0.5
ATTEMPTS: Final = 10


_lives: Final = count(1)
"""A telephone that was restarted uses another Call-ID."""


class NotRegisteredError(VosError):
    """A telephone got another answer than 200, or none."""


class Registrants(asyncio.DatagramProtocol):
    """Telephones behind one socket."""

    def __init__(self, switch: Endpoint, password: str) -> None:
        self._switch = switch
        self._password = password
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._sequences: dict[str, int] = {}
        self._life = next(_lives)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.DatagramTransport, transport)  # which it says to be since 3.13 only

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a response; requests (keep-alives) are ignored."""
        if not data.startswith(b"SIP/2.0"):
            return
        message = Message(data, Endpoint(*addr[:2]))
        waiting = self._waiting.get(f"{message['Call-ID']} {message['CSeq']}")
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    async def register(self, number: str, expires: int) -> None:
        """Register one telephone, or renew it.

        Raises:
            NotRegisteredError: it was refused, or not answered.
        """
        proof: str | None = None
        for _ in range(2):
            answer = await self._say(number, expires, proof)
            if answer.status == 200:
                return
            proof = answer_to(answer, Login(number, self._password), "REGISTER", f"sip:{self._switch.host}")
            if proof is None:
                break
        raise NotRegisteredError(f"{number} got {answer}")

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()

    async def _say(self, number: str, expires: int, proof: str | None) -> Message:
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")
        call_id = f"{self._life}-{number}@{host}"
        sequence = self._sequences[number] = self._sequences.get(number, 0) + 1
        data = compose(
            [
                f"REGISTER sip:{self._switch.host} SIP/2.0",
                f"Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK-{self._life}-{number}-{sequence}",
                "Max-Forwards: 70",
                f"From: <sip:{number}@{self._switch.host}>;tag=registrant",
                f"To: <sip:{number}@{self._switch.host}>",
                f"Call-ID: {call_id}",
                f"CSeq: {sequence} REGISTER",
                f"Contact: <sip:{number}@{host}:{port}>",
                f"Expires: {expires}",
                *([proof] if proof else []),
            ],
            "",
        ).encode()
        key = f"{call_id} {sequence} REGISTER"
        waiting: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[key] = waiting
        try:
            for _ in range(ATTEMPTS):
                self._transport.sendto(data, self._switch)
                done, _ = await asyncio.wait({waiting}, timeout=REPEAT_S)
                if done:
                    return waiting.result()
        finally:
            del self._waiting[key]
        raise NotRegisteredError(f"no answer to {number}")


async def register_all(
    switch: Endpoint, sources: Sequence[Endpoint], numbers: Iterable[str], password: str, expires: int
) -> None:
    """Register telephones from these addresses by turns.

    Raises:
        NotRegisteredError: one of them could not.
    """
    loop = asyncio.get_running_loop()
    sockets = [
        (await loop.create_datagram_endpoint(lambda: Registrants(switch, password), local_addr=source))[1]
        for source in sources
    ]
    turns = asyncio.Semaphore(AT_ONCE)

    async def register(place: int, number: str) -> None:
        async with turns:
            await sockets[place % len(sockets)].register(number, expires)

    try:
        await asyncio.gather(*(register(place, number) for place, number in enumerate(numbers)))
    finally:
        for each in sockets:
            each.close()
        await asyncio.sleep(0)  # the loop closes them in its next round
