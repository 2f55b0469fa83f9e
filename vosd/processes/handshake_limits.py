"""Limits of handshakes of TLS that OpenSSL does not have: all calls wait for a handshake on the event loop.

OpenSSL reads the keys of all certificates that a peer shows before it verifies one. A key whose certificate describes a
curve of its own (RFC 5480 section 2.1.1 forbids it) can take 160 ms, and 100 kB of them, which OpenSSL accepts, 28 s.
It compares each key share in a ClientHello with each group that is named there: 65 kB of them took 100 ms.
It skips requests to renegotiate, 4 bytes each, for as long as a server sends them, and reads records of one byte.
Behind a handshake a peer may change its keys without end (RFC 8446 section 4.6.3): 1 MB of that took 0.6 s.
"""

import ctypes
import ssl
from collections.abc import Iterator
from functools import cache, partial
from itertools import islice
from typing import Any, Final

from vosd.processes.key_exchange import openssl, openssl_part

HELLO_BYTES_MAX: Final = 16_384
"""Longest ClientHello; those with keys against quantum computers and a session to resume have 2 to 4 kB."""
CHAIN_MAX: Final = 10
"""Most certificates that a peer may show; the slowest key on a curve with a name takes 1 ms."""
PARTS_MAX: Final = 1_000
"""Most records and messages of a peer in a handshake, which take 2 ms; peers need 20, those with small records 100."""
MESSAGES_BEHIND_MAX: Final = 100
"""Most messages of a peer behind a handshake, where they are counted: it sends some tickets, and changes few keys."""

_OWN_CURVES: Final = (bytes.fromhex("2a8648ce3d0101"), bytes.fromhex("2a8648ce3d0102"))
"""Object identifiers of prime-field and characteristic-two-field, which only descriptions of curves contain."""
_COMPRESSION_SINCE: Final = (3, 2)
_NO_COMPRESSED_CERTIFICATES: Final = 1 << 33
"""SSL_OP_NO_RX_CERTIFICATE_COMPRESSION of OpenSSL's ssl.h (RFC 8879): they could not be looked at."""
_SET_ARGUMENT: Final = 16
"""SSL_CTRL_SET_MSG_CALLBACK_ARG of OpenSSL's ssl.h."""
_RECEIVED_SHUTDOWN: Final = 2
"""SSL_RECEIVED_SHUTDOWN of OpenSSL's ssl.h."""
_HANDSHAKE: Final = 22
_HEAD_BYTES: Final = 4
_TLS_1_3: Final = 0x0304
_CLIENT_HELLO: Final = 1
_CERTIFICATE: Final = 11
_FINISHED: Final = 20


def limit_handshakes(context: ssl.SSLContext, *, until_end: bool = False) -> bool:
    """Refuse long messages in handshakes of new connections; return whether this build of Python lets them be seen.

    With ``until_end`` changes of keys behind a handshake are limited, too, which costs some microseconds a record.
    """
    context.options |= ssl.OP_NO_RENEGOTIATION  # against peers that renegotiate to load the CPU
    if ssl.OPENSSL_VERSION_INFO >= _COMPRESSION_SINCE:
        context.options |= _NO_COMPRESSED_CERTIFICATES
    try:
        set_callback, callback = openssl().SSL_CTX_set_msg_callback, _callback(until_end=until_end)
    except (AttributeError, MemoryError):  # OpenSSL is a part of Python's program, or no memory may be executed
        return False
    set_callback.argtypes = (ctypes.c_void_p, _Callback)
    set_callback.restype = None
    set_callback(openssl_part(context), callback)
    return True


def is_slow(message: bytes, version: int) -> bool:
    """Return whether OpenSSL may take long to read a message of a handshake, of four bytes at least."""
    if message[0] == _CLIENT_HELLO:
        return len(message) > HELLO_BYTES_MAX
    if message[0] != _CERTIFICATE:
        return False
    is_long = next(islice(_chain(message, version), CHAIN_MAX, None), None) is not None
    return is_long or any(each in message for each in _OWN_CURVES)


def _chain(message: bytes, version: int) -> Iterator[int]:
    """Yield the places of the certificates in a message (RFC 5246 section 7.4.2, RFC 8446 section 4.4.2)."""
    has_extensions = version >= _TLS_1_3
    context_bytes = 1 + int.from_bytes(message[_HEAD_BYTES : _HEAD_BYTES + 1], "big") if has_extensions else 0
    place = _HEAD_BYTES + context_bytes + 3
    while place < len(message):
        yield place
        place += 3 + int.from_bytes(message[place : place + 3], "big")
        if has_extensions:
            place += 2 + int.from_bytes(message[place : place + 2], "big")


def _look(
    is_sent: int,
    version: int,
    kind: int,
    place: int | None,
    length: int,
    connection: int,
    parts: int | None,
    behind: object,
) -> None:
    """Have OpenSSL refuse a message that is slow before it reads it; ``behind`` looks once the peer has finished."""
    here = ctypes.c_void_p(connection)
    if (
        is_sent
        or not _is_one_more(here, parts, PARTS_MAX)
        or kind != _HANDSHAKE
        or place is None
        or length < _HEAD_BYTES
    ):
        return
    message = ctypes.string_at(place, length)
    if is_slow(message, version):
        # A callback cannot refuse, but it gets OpenSSL's own buffer: with lengths of 0xFF it is no message.
        ctypes.memset(place + _HEAD_BYTES, 0xFF, length - _HEAD_BYTES)
    elif message[0] == _FINISHED:
        _note(here, 0)
        openssl().SSL_set_msg_callback(here, behind)


def _look_behind(
    is_sent: int, _version: int, kind: int, _place: int | None, _length: int, connection: int, messages: int | None
) -> None:
    """Count the messages behind a handshake."""
    if not is_sent and kind == _HANDSHAKE:
        _is_one_more(ctypes.c_void_p(connection), messages, MESSAGES_BEHIND_MAX)


def _is_one_more(here: ctypes.c_void_p, before: int | None, most: int) -> bool:
    """Count one more; beyond the limit have OpenSSL read nothing more, as if the peer had closed."""
    count = (before or 0) + 1
    if count > most:
        openssl().SSL_set_shutdown(here, _RECEIVED_SHUTDOWN)
        return False
    _note(here, count)
    return True


def _note(here: ctypes.c_void_p, count: int) -> None:
    """Have the next call of the callback know a count."""
    openssl().SSL_ctrl(here, _SET_ARGUMENT, ctypes.c_long(0), ctypes.c_void_p(count))


_Callback: Final = ctypes.CFUNCTYPE(
    None, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p
)
"""Signature of callbacks for messages, as in SSL_CTX_set_msg_callback(3)."""


@cache
def _callback(*, until_end: bool) -> Any:
    """Return the callback, which lives as long as the process: OpenSSL's contexts do not hold it."""
    return _Callback(partial(_look, behind=_Callback(_look_behind) if until_end else None))
