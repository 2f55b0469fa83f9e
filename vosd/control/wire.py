"""Lines of the control socket: one JSON object each, with the version of the protocol.

``{"protocol", "order"}`` in; ``{"protocol", "switch", "result"}`` or ``{"protocol", "switch", "error", "code",
"problems"}`` out. A line of another version is understood as far as its version, so that both sides can say which.
"""

import msgspec

from vosd import __version__
from vosd.control.order import PROTOCOL, TAG_FIELD


class ControlRequest(msgspec.Struct, frozen=True):
    """An order on the wire; one of a version without structs has no ``protocol``."""

    protocol: int = 1
    order: msgspec.Raw = msgspec.Raw()


class Tagged(msgspec.Struct, frozen=True):
    """Name of an order, read before its fields."""

    order: str = ""


assert Tagged.__struct_fields__ == (TAG_FIELD,)


class ControlSuccess(msgspec.Struct, frozen=True):
    """A result on the wire."""

    result: object
    protocol: int = PROTOCOL
    switch: str = __version__


class ControlFailure(msgspec.Struct, frozen=True):
    """Reason why an order was not carried out: a sentence, its code, and lines for people."""

    error: str
    problems: tuple[str, ...] = ()
    code: str = "refused"
    protocol: int = PROTOCOL
    switch: str = __version__


class ControlAnswer(msgspec.Struct, frozen=True):
    """Either of them as a client reads it."""

    protocol: int = 1
    switch: str = "of an earlier version"
    result: msgspec.Raw = msgspec.Raw()
    error: str | None = None
    problems: tuple[str, ...] = ()
    code: str = ""


def request_line(order: msgspec.Struct) -> bytes:
    """Return an order as a line."""
    return msgspec.json.encode({"protocol": PROTOCOL, "order": order}) + b"\n"


def other_version(switch: str, command: str) -> str:
    """Return the sentence of both sides about different versions."""
    return (
        f"the running switch and this command are of different versions ({switch}, {command}) and do not understand"
        " each other: use the command that belongs to the switch, for `vosd restart`, too; a restart by systemctl may"
        " end calls"
    )


def spoken(version: str, protocol: int) -> str:
    """Name a program and its protocol for people."""
    return f"vosd {version} with control protocol {protocol}"
