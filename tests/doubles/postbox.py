"""A mail server on this machine."""

import asyncio
import email
from collections.abc import Sequence
from email import policy
from email.message import EmailMessage
from typing import Final

from e2e.conditions import a_moment

_LINE_MAX: Final = 998


class Postbox:
    """An SMTP server that takes commands in their order only, as RFC 5321 section 4.1.4 has it, and no 8-bit text."""

    def __init__(self, commands: Sequence[str]) -> None:
        """``commands`` are the beginnings of those of one connection, in lower case."""
        self._commands = commands
        self.coming: list[Sequence[str]] = []
        """Those of the next connections, where they are others."""
        self.put_off: dict[str, int] = {}
        """Number of times that recipients are put off, as by greylisting."""
        self.put_off_answer = b"450 4.2.0 greylisted"
        """Answer to a recipient that is put off; behind 421 the connection ends."""
        self.mails: asyncio.Queue[EmailMessage] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []
        self.faults: list[str] = []
        self.refusals = 0
        """How many connections are refused first."""
        self.taken_answer = b"250 taken"
        """Answer to a mail; empty = the connection ends without one."""
        self.quit_answer = b"221 bye"
        """Answer to QUIT."""
        self.port = 0
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Begin to listen at ``port``."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """End all connections."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        if self.refusals:
            self.refusals -= 1
            writer.write(b"554 no\r\n")
            writer.close()
            return
        writer.write(b"220 here\r\n")
        expected = [*(self.coming.pop(0) if self.coming else self._commands)]
        while line := (await reader.readline()).decode().strip():
            if line.lower() == "quit":
                writer.write(self.quit_answer + b"\r\n")
                break
            wanted = expected.pop(0) if expected else "quit"
            if not line.lower().startswith(wanted):
                self.faults.append(f"{line} instead of {wanted}")
                writer.write(b"503 bad sequence\r\n")
            elif self._is_put_off(wanted):
                writer.write(self.put_off_answer + b"\r\n")
                if self.put_off_answer.startswith(b"421"):
                    break
            elif wanted == "data":
                writer.write(b"354 go on\r\n")
                text = await reader.readuntil(b"\r\n.\r\n")
                if fault := _fault_of(text):
                    self.faults.append(fault)
                    writer.write(b"554 5.6.0 no mail\r\n")
                    continue
                if not text.isascii():  # RFC 5321 section 2.4: it does not offer 8BITMIME
                    self.faults.append("8-bit text")
                    writer.write(b"554 5.6.3 conversion required but not supported\r\n")
                    continue
                message = email.message_from_bytes(text[:-3].replace(b"\r\n..", b"\r\n."), policy=policy.default)
                assert isinstance(message, EmailMessage)
                self.mails.put_nowait(message)
                await a_moment()  # real servers scan a mail before they answer
                if not self.taken_answer:
                    break
                writer.write(self.taken_answer + b"\r\n")
            else:
                writer.write(
                    b"250-here\r\n250 AUTH PLAIN\r\n"
                    if wanted.startswith("ehlo")
                    else b"235 ok\r\n"
                    if "auth" in wanted
                    else b"250 ok\r\n"
                )
        writer.close()

    def _is_put_off(self, command: str) -> bool:
        """Return whether a command names a recipient that is put off, and count it."""
        recipient = command.removeprefix("rcpt to:").strip("<>")
        left = self.put_off.get(recipient, 0)
        self.put_off[recipient] = max(left - 1, 0)
        return left > 0


def _fault_of(text: bytes) -> str:
    """Return why a server refuses a mail by its form (RFC 5321 sections 2.3.8 and 4.5.3.1.6)."""
    if b"\n" in text.replace(b"\r\n", b"") or b"\r" in text.replace(b"\r\n", b""):
        return "the end of a line by half"
    return "a line too long" if max(map(len, text.split(b"\r\n"))) > _LINE_MAX else ""
