"""Table of nftables by which the kernel forwards RTP streams between two media ports (ADR 179).

Each stream is an element of a map: by what its packets are known (device, addresses, ports, payload type, SSRC), and
what they get in its place. Whatever does not match reaches the sockets as before. The table belongs to the connection
that made it (``flags owner``): the kernel removes it when this process ends, however it does. One that was killed has
not ended while a thread of it waits in the kernel, and no other one may remove its table: elements end by themselves.
"""

import errno
import struct
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import Final, NamedTuple

from vosd.relay.netlink import (
    ACKNOWLEDGE,
    DONE,
    DUMP,
    ERROR,
    NETFILTER,
    Message,
    Netlink,
    attribute,
    attributes_of,
    error_of,
    nested,
    number,
    text,
)
from vosd.relay.routes import Route
from vosd.relay.table_changes import TableChange, TableChanges

MAPS: Final = ("streams", "streams6")
"""Maps of the streams of IPv4 and of IPv6."""
ELEMENTS_AT_ONCE: Final = 50
"""Most elements of one message."""
ABANDONED_MS: Final = 45_000
"""Time after which the kernel forwards a stream no more that the worker has not taken back, which it does earlier."""

_GENERAL: Final = struct.Struct(">BBH")
"""Family, version, subsystem."""
_SUBSYSTEM: Final = 10
_NETDEV: Final = 5
_BATCH: Final = (0x10, 0x11)
_NEW_TABLE, _NEW_CHAIN, _DELETE_CHAIN, _NEW_RULE, _NEW_SET = 0, 3, 5, 6, 9
_NEW_ELEMENT, _GET_ELEMENTS, _DELETE_ELEMENT = 12, 13, 14
_CREATE: Final = 0x400
_APPEND: Final = 0x800
_ECHO: Final = 0x8
_OWNER: Final = 0x2
_IS_MAP, _ENDS = 0x8, 0x10
_JUMP: Final = -3
_ACCEPT: Final = 1
_FORWARD: Final = "forward"
_ANY_DEVICE, _LOOPBACK = 0, "lo"
_NETWORK, _TRANSPORT = 1, 2
"""Headers that a payload expression counts its offset from."""
_INTERNET_SUM: Final = 1
_WITH_PSEUDO_HEADER: Final = 1
_EQUAL, _UNEQUAL, _NOT_LESS = 0, 1, 5
_PROTOCOL, _INCOMING_DEVICE, _TRANSPORT_PROTOCOL, _PACKET_TYPE = 1, 4, 16, 19
"""Keys of a meta expression."""
_TO_THIS_HOST: Final = b"\0"
"""PACKET_HOST: a device may receive frames to other machines as well, which the kernel drops later."""
_HOPS: Final = 64
"""Time to live of packets as the worker would send them; the kernel takes one off, and drops those with none left."""
_VERDICT: Final = 0
_UDP: Final = b"\x11"
_MASK_OF_RTP: Final = b"\xff\x7f\0\0"
"""First byte, payload type without the marker."""
_FIRST_OF_RTP: Final = 0x80
"""Version 2, no padding, no extension, no CSRC: other packets are left to the worker."""
_SHORTEST: Final = (8 + 12).to_bytes(2, "big")
"""Headers of UDP and RTP: what is behind a shorter datagram pads its frame, and is no payload type and no SSRC."""
_IPV4: Final = bytes(4)
_NO_SUM: Final = b"\0\0"
_TYPE_MARK, _TYPE_DEVICE, _TYPE_IPV4, _TYPE_IPV6 = 19, 20, 7, 8
"""Types of nft, by which it shows elements: five of them fit into one number."""
_TYPE_BITS: Final = 6
_KEY_BYTES: Final = 24
"""Length of a key of IPv4; one of IPv6 is longer."""
_ELEMENT_KEY, _ELEMENT_VALUE, _ELEMENT_EXPRESSION = 1, 2, 7
_ELEMENTS: Final = 3
_COUNTER_PACKETS: Final = 2
_LONG: Final = struct.Struct(">Q")


class KernelStream(NamedTuple):
    """Packets of one direction, and their way."""

    key: bytes
    value: bytes
    is_version6: bool


def kernel_stream(
    peer: tuple[str, int],
    own: tuple[str, int],
    seen: tuple[int, int],
    sender: tuple[str, int],
    receiver: tuple[str, int],
    tos: int,
    ways: tuple[Route, Route],
) -> KernelStream:
    """Return the stream that comes from ``peer`` to ``own`` and leaves from ``sender`` to ``receiver``.

    ``seen`` is its payload type and SSRC; ``ways`` are the routes to both peers.
    """
    payload, ssrc = seen
    back, onward = ways
    source, here, there, target = (ip_address(each[0]).packed for each in (peer, own, sender, receiver))
    key = struct.pack("=I", back.device) + source + here + struct.pack(">HH", peer[1], own[1])
    key += bytes((_FIRST_OF_RTP, payload, 0, 0)) + struct.pack(">I", ssrc)
    is_version6 = len(source) != len(_IPV4)
    begin = (0x6000 | tos << 4) if is_version6 else (0x4500 | tos)
    value = struct.pack(">Hxx", begin) + there + target + struct.pack(">HH", sender[1], receiver[1])
    return KernelStream(key, value + struct.pack("=I", onward.device) + onward.neighbour, is_version6)


class StreamTable:
    """The table of one worker, and the devices whose packets it sees."""

    def __init__(self) -> None:
        """Make the table.

        Raises:
            OSError: the rights are missing (EPERM), or a part of nftables.
        """
        self._changes = TableChanges()
        self._name = f"vosd-media-{self._changes.connection.port}"
        self._counts: Netlink | None = None
        self._questions: Netlink | None = None
        self._hooked: set[int] = set()
        """Numbers of the devices whose packets it sees."""
        try:
            self._counts, self._questions = Netlink(NETFILTER), Netlink(NETFILTER)
            self._make()
        except OSError:
            self.close()
            raise

    @property
    def descriptor(self) -> int:
        """Descriptor that can be read when counts are there."""
        assert self._counts is not None
        return self._counts.sock.fileno()

    @property
    def questions(self) -> Netlink:
        """Connection to netfilter, for questions that are answered at once."""
        assert self._questions is not None
        return self._questions

    @property
    def is_waiting(self) -> bool:
        """Whether changes wait for those of another program: they are made as soon as the kernel lets them."""
        return self._changes.is_waiting

    def hook(self, device: int, name: str) -> None:
        """See the packets of a device from now on; raises OSError."""
        if device in self._hooked:
            return
        chain = _chain_of(device)
        place = nested(4, number(1, 0), number(2, 0), text(3, name))
        jump = _expression("immediate", number(1, _VERDICT), nested(2, nested(2, number(1, _JUMP), text(2, _FORWARD))))
        self._change(
            [
                (_NEW_CHAIN, _CREATE, text(3, chain) + place + number(5, _ACCEPT) + text(7, "filter")),
                (_NEW_RULE, _CREATE | _APPEND, text(2, chain) + nested(4, jump)),
            ],
            may_be_gone=True,
        )
        self._hooked.add(device)

    def forget(self, devices: Iterable[int] | None) -> None:
        """Note that devices may be gone, and their chains with them; None = any. One of that number is hooked anew.

        Raises:
            OSError: the table is not as it was made.
        """
        for device in self._hooked.intersection(self._hooked if devices is None else devices):
            self._hooked.discard(device)
            try:
                self._change([(_DELETE_CHAIN, 0, text(3, _chain_of(device)))], may_be_gone=True)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise

    def add(self, streams: Sequence[KernelStream]) -> None:
        """Forward streams; all, or none if it raises OSError."""
        self._change(
            [
                (_NEW_ELEMENT, _CREATE, content)
                for chosen, members in _by_map(streams)
                for content in _element_lists(chosen, [_element(each.key, each.value) for each in members])
            ]
        )

    def remove(self, streams: Sequence[KernelStream]) -> dict[bytes, int]:
        """Forward streams no more; return how many packets of each were forwarded, by their keys; raises OSError.

        Those that have ended by themselves, as the worker stood still, are left out, and so are those that have to wait
        (``is_waiting``), which ``settled`` returns.
        """
        counts: dict[bytes, int] = {}
        for chosen, members in _by_map(streams):
            keys = [each.key for each in members]
            while keys:
                # One change each: a socket has no room for the counts of a thousand streams at once.
                try:
                    counts.update(self._removed(chosen, keys[:ELEMENTS_AT_ONCE]))
                except OSError as error:
                    # Each change that is refused costs the kernel 10 ms, a question hardly anything.
                    left = [each for each in keys if error.errno == errno.ENOENT and self._is_there(chosen, each)]
                    if error.errno != errno.ENOENT or len(left) == len(keys):
                        raise
                    keys = left
                else:
                    keys = keys[ELEMENTS_AT_ONCE:]
        return counts

    def _removed(self, chosen: str, keys: Sequence[bytes]) -> dict[bytes, int]:
        elements = [_element(each) for each in keys]
        content = text(2, chosen) + nested(_ELEMENTS, *elements)
        return _removed_counts(self._change([(_DELETE_ELEMENT, _ECHO, content)], keys))

    def settled(self) -> dict[bytes, int]:
        """Return how many packets were forwarded of streams whose removal had to wait, and does no more.

        Raises:
            OSError: the kernel refuses a change that had to wait.
        """
        counts: dict[bytes, int] = {}
        for change in self._changes.finished():
            is_gone = change.error == errno.ENOENT
            if is_gone and change.keys:  # some have ended by themselves, and so none was removed
                counts.update(self.remove([KernelStream(each, b"", len(each) != _KEY_BYTES) for each in change.keys]))
            elif not is_gone or not change.may_be_gone:
                change.check()
                counts.update(_removed_counts(change.said))
        return counts

    def _is_there(self, chosen: str, key: bytes) -> bool:
        """Return whether an element has not ended by itself; raises OSError."""
        content = _GENERAL.pack(_NETDEV, 0, 0) + text(1, self._name) + text(2, chosen)
        content += nested(_ELEMENTS, _element(key))
        try:
            self.questions.request([self.questions.message(_SUBSYSTEM << 8 | _GET_ELEMENTS, ACKNOWLEDGE, content)])
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return False
        return True

    def ask_for_counts(self, chosen: str) -> None:
        """Let the kernel report the packets of all streams of a map; raises OSError."""
        assert self._counts is not None
        content = _GENERAL.pack(_NETDEV, 0, 0) + text(1, self._name) + text(2, chosen)
        self._counts.send([self._counts.message(_SUBSYSTEM << 8 | _GET_ELEMENTS, DUMP, content)])

    def read_counts(self) -> tuple[list[tuple[bytes, int]], bool]:
        """Return some of the counts, by the keys of streams, and whether there are no more; raises OSError."""
        assert self._counts is not None
        found: list[tuple[bytes, int]] = []
        for kind, content in self._counts.receive():
            if kind == ERROR:
                raise OSError(error_of(content), "counts of streams")
            if kind == DONE:
                return found, True
            found += _counts_of(content)
        return found, False

    def close(self) -> None:
        """Remove the table: the kernel does when its owner closes its connection."""
        self._changes.close([each for each in (self._counts, self._questions) if each is not None])

    def _make(self) -> None:
        self._change([(_NEW_TABLE, _CREATE, number(2, _OWNER))])
        changes = [
            (_NEW_SET, _CREATE, _map(chosen, at, key_bytes, value_bytes, address))
            for chosen, at, key_bytes, value_bytes, address in (
                (MAPS[0], 1, _KEY_BYTES, 24, _TYPE_IPV4),
                (MAPS[1], 2, 48, 60, _TYPE_IPV6),
            )
        ]
        changes.append((_NEW_CHAIN, _CREATE, text(3, _FORWARD)))
        changes += [
            (_NEW_RULE, _CREATE | _APPEND, text(2, _FORWARD) + nested(4, *expressions))
            for expressions in (_rule(has_sum=True), _rule(has_sum=False), _rule_of_version6())
        ]
        self._change(changes)
        self.hook(_ANY_DEVICE, _LOOPBACK)  # shows whether devices can be hooked at all
        self.forget([_ANY_DEVICE])

    def _change(
        self, changes: Sequence[tuple[int, int, bytes]], keys: Sequence[bytes] = (), *, may_be_gone: bool = False
    ) -> list[Message]:
        """Make changes of the table, all or none; return what the kernel says of them; raises OSError.

        Where they have to wait it says nothing yet, and ``settled`` has the rest: ``keys`` are those of elements that
        they remove, ``may_be_gone`` = what they are about may be gone.
        """
        if not changes:
            return []
        edge, message = _GENERAL.pack(0, 0, _SUBSYSTEM), self._changes.connection.message
        messages = [message(_BATCH[0], 0, edge)]
        for kind, flags, content in changes:
            about = _GENERAL.pack(_NETDEV, 0, 0) + text(1, self._name)
            messages.append(message(_SUBSYSTEM << 8 | kind, flags | ACKNOWLEDGE, about + content))
        messages.append(message(_BATCH[1], 0, edge))
        return self._changes.make(TableChange(messages, keys, may_be_gone=may_be_gone)) or []


# ---- elements ----


def _chain_of(device: int) -> str:
    return f"device{device}"


def _by_map(streams: Sequence[KernelStream]) -> Iterator[tuple[str, list[KernelStream]]]:
    for chosen, is_version6 in zip(MAPS, (False, True), strict=True):
        members = [each for each in streams if each.is_version6 is is_version6]
        if members:
            yield chosen, members


def _element(key: bytes, value: bytes | None = None) -> bytes:
    parts = [nested(_ELEMENT_KEY, attribute(1, key))]
    if value is not None:
        parts.append(nested(_ELEMENT_VALUE, attribute(1, value)))
    return nested(1, *parts)


def _element_lists(chosen: str, elements: Sequence[bytes]) -> Iterator[bytes]:
    for start in range(0, len(elements), ELEMENTS_AT_ONCE):
        yield text(2, chosen) + nested(_ELEMENTS, *elements[start : start + ELEMENTS_AT_ONCE])


def _removed_counts(said: Sequence[Message]) -> dict[bytes, int]:
    """Return how many packets were forwarded of elements that were removed, by their keys."""
    removed = _SUBSYSTEM << 8 | _DELETE_ELEMENT
    return {key: count for kind, answer in said if kind == removed for key, count in _counts_of(answer)}


def _counts_of(content: bytes) -> Iterator[tuple[bytes, int]]:
    for kind, elements in attributes_of(content, _GENERAL.size):
        if kind != _ELEMENTS:
            continue
        for _, element in attributes_of(elements):
            parts = dict(attributes_of(element))
            if _ELEMENT_KEY in parts and _ELEMENT_EXPRESSION in parts:
                _, counter = attributes_of(parts[_ELEMENT_EXPRESSION])
                packets = dict(attributes_of(counter[1]))[_COUNTER_PACKETS]
                yield next(attributes_of(parts[_ELEMENT_KEY]))[1], _LONG.unpack(packets)[0]


# ---- the rules ----


def _map(chosen: str, at: int, key_bytes: int, value_bytes: int, address: int) -> bytes:
    """Return a map whose elements count their packets; ``at`` is its number in the batch."""
    key = _types(_TYPE_DEVICE, address, address, _TYPE_MARK, _TYPE_MARK)
    value = _types(_TYPE_MARK, address, address, _TYPE_MARK, _TYPE_DEVICE)
    kinds = number(4, key) + number(5, key_bytes) + number(6, value) + number(7, value_bytes)
    ends = attribute(11, _LONG.pack(ABANDONED_MS))
    return text(2, chosen) + number(3, _IS_MAP | _ENDS) + kinds + number(10, at) + ends + _expression_as(17, "counter")


def _types(*types: int) -> int:
    joined = 0
    for each in types:
        joined = joined << _TYPE_BITS | each
    return joined


def _rule(*, has_sum: bool) -> tuple[bytes, ...]:
    """Rule of IPv4: without options, not a fragment; a packet without a check sum of UDP stays without."""
    register = _register
    return (
        *_is(_meta(_PROTOCOL), b"\x08\x00"),
        *_is(_meta(_PACKET_TYPE), _TO_THIS_HOST),
        *_is(_load(_NETWORK, 0, 1), b"\x45"),
        *_is(_meta(_TRANSPORT_PROTOCOL), _UDP),
        _load(_NETWORK, 6, 2),
        _expression(
            "bitwise",
            number(1, register(0)),
            number(2, register(0)),
            number(3, 2),
            _data(4, b"\x3f\xff"),
            _data(5, _NO_SUM),
        ),
        _compare(_EQUAL, _NO_SUM),
        _load(_TRANSPORT, 6, 2),
        _compare(_UNEQUAL if has_sum else _EQUAL, _NO_SUM),
        _load(_TRANSPORT, 4, 2),
        _compare(_NOT_LESS, _SHORTEST),
        _meta(_INCOMING_DEVICE),
        _load(_NETWORK, 12, 8, 1),
        *_seen(3),
        _expression("lookup", text(1, MAPS[0]), number(2, register(0)), number(3, register(6))),
        _store(6, _NETWORK, 0, 2, 10),
        _store(7, _NETWORK, 12, 8, 10, flags=_WITH_PSEUDO_HEADER if has_sum else 0),
        _store(9, _TRANSPORT, 0, 4, 6 if has_sum else None),
        _set(0, bytes((_HOPS,)) + _UDP),
        _store(0, _NETWORK, 8, 2, 10),
        _expression("fwd", number(1, register(10)), number(2, register(11)), number(3, 2)),
    )


def _rule_of_version6() -> tuple[bytes, ...]:
    """Rule of IPv6: without extension headers, so not a fragment."""
    register = _register
    return (
        *_is(_meta(_PROTOCOL), b"\x86\xdd"),
        *_is(_meta(_PACKET_TYPE), _TO_THIS_HOST),
        *_is(_load(_NETWORK, 6, 1), _UDP),
        _load(_TRANSPORT, 4, 2),
        _compare(_NOT_LESS, _SHORTEST),
        _meta(_INCOMING_DEVICE),
        _load(_NETWORK, 8, 32, 1),
        *_seen(9),
        _expression("lookup", text(1, MAPS[1]), number(2, register(0)), number(3, register(0))),
        _store(0, _NETWORK, 0, 2, None),
        _store(1, _NETWORK, 8, 32, None, flags=_WITH_PSEUDO_HEADER),
        _store(9, _TRANSPORT, 0, 4, 6),
        _set(15, bytes((_HOPS,))),
        _store(15, _NETWORK, 7, 1, None),
        _expression("fwd", number(1, register(10)), number(2, register(11)), number(3, 10)),
    )


def _seen(at: int) -> tuple[bytes, ...]:
    """Load ports, payload type and SSRC into registers from ``at`` on."""
    register = _register
    return (
        _load(_TRANSPORT, 0, 4, at),
        _load(_TRANSPORT, 8, 2, at + 1),
        _expression(
            "bitwise",
            number(1, register(at + 1)),
            number(2, register(at + 1)),
            number(3, 4),
            _data(4, _MASK_OF_RTP),
            _data(5, bytes(4)),
        ),
        _load(_TRANSPORT, 16, 4, at + 2),
    )


def _register(at: int) -> int:
    """Return the kernel's number of a register of 32 bits."""
    return 8 + at


def _expression(name: str, *attributes: bytes) -> bytes:
    return _expression_as(1, name, *attributes)


def _expression_as(kind: int, name: str, *attributes: bytes) -> bytes:
    return nested(kind, text(1, name), nested(2, *attributes))


def _meta(key: int) -> bytes:
    return _expression("meta", number(1, _register(0)), number(2, key))


def _load(header: int, offset: int, size: int, at: int = 0) -> bytes:
    """Load a part of a packet into a register."""
    return _expression("payload", number(1, _register(at)), number(2, header), number(3, offset), number(4, size))


def _set(at: int, value: bytes) -> bytes:
    return _expression("immediate", number(1, _register(at)), _data(2, value))


def _store(at: int, header: int, offset: int, size: int, sum_at: int | None, flags: int = 0) -> bytes:
    """Write a register into a packet; ``sum_at`` is the offset of the check sum of the header, None = it has none."""
    parts = [number(5, _register(at)), number(2, header), number(3, offset), number(4, size)]
    parts += [number(6, 0 if sum_at is None else _INTERNET_SUM), number(7, sum_at or 0), number(8, flags)]
    return _expression("payload", *parts)


def _is(loaded: bytes, value: bytes) -> tuple[bytes, bytes]:
    return loaded, _compare(_EQUAL, value)


def _compare(how: int, value: bytes) -> bytes:
    return _expression("cmp", number(1, _register(0)), number(2, how), _data(3, value))


def _data(kind: int, value: bytes) -> bytes:
    return nested(kind, attribute(1, value))
