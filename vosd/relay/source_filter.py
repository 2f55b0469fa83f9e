"""Let the kernel drop datagrams of all sources but one: a flood takes no time of the worker and no room in the socket.

A classic BPF program on the socket (SO_ATTACH_FILTER), which takes no privilege. Packets in the socket's buffer were
received before it.
"""

import ctypes
import socket
import struct
from ipaddress import ip_address
from typing import Final

from vosd.relay.sockets import PlainSocket

_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27
_SO_MEMINFO: Final = 55
_MEMINFO: Final = struct.Struct("=9I")
_DROPS: Final = 8
_LOAD_WORD: Final = 0x20
_LOAD_HALF: Final = 0x28
_JUMP_IF_EQUAL: Final = 0x15
_RETURN: Final = 0x06
_SOURCE_PORT: Final = 0
"""The program of a UDP socket sees the header of UDP first."""
_NETWORK_HEADER: Final = 0x1_0000_0000 - 0x10_0000
"""SKF_NET_OFF: offsets from here are counted from the IP header."""
_IPV4_SOURCE: Final = _NETWORK_HEADER + 12
_IPV6_SOURCE: Final = _NETWORK_HEADER + 8
_WHOLE: Final = 0xFFFF_FFFF
_INSTRUCTION: Final = struct.Struct("=HBBI")
_PROGRAM: Final = struct.Struct("HP")


def take_only(sock: PlainSocket, host: str, port: int | None = None) -> bool:
    """Let the kernel drop packets of other sources; return whether it does. Without ``port`` all of a host pass."""
    address = ip_address(host.partition("%")[0])
    start = _IPV4_SOURCE if address.version == 4 else _IPV6_SOURCE
    packed = address.packed
    words = [(_LOAD_WORD, start + at, int.from_bytes(packed[at : at + 4], "big")) for at in range(0, len(packed), 4)]
    compared = words if port is None else [(_LOAD_HALF, _SOURCE_PORT, port), *words]
    code = bytearray()
    for number, (load, offset, wanted) in enumerate(compared):
        to_drop = 2 * (len(compared) - number - 1) + 1
        code += _INSTRUCTION.pack(load, 0, 0, offset) + _INSTRUCTION.pack(_JUMP_IF_EQUAL, 0, to_drop, wanted)
    code += _INSTRUCTION.pack(_RETURN, 0, 0, _WHOLE) + _INSTRUCTION.pack(_RETURN, 0, 0, 0)
    program = ctypes.create_string_buffer(bytes(code), len(code))
    order = _PROGRAM.pack(len(code) // _INSTRUCTION.size, ctypes.addressof(program))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, order)
    except OSError:
        return False
    return True


def take_all(sock: PlainSocket) -> None:
    """Let the kernel drop nothing any more."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
    except FileNotFoundError:
        return  # there was no program


def drops_of(sock: PlainSocket) -> int:
    """Return how many datagrams the kernel has dropped, by the program or because the socket was full."""
    return int(_MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[_DROPS])
