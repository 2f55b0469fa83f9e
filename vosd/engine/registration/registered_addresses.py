"""Index of the addresses from which users are registered.

Answers questions about an address without going through the bindings: whether a user is registered there, which users
a connection reaches, which addresses need keep-alives.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from vosd.sip.flows import Flows
from vosd.sip.nat import needs_keep_alive
from vosd.sip.registration.registrar import Binding, Bindings
from vosd.sip.wire.outgoing import Peer

Key = TypeVar("Key")


class RegisteredAddresses:
    """Counts the bindings at each address; ``replace`` keeps it in step with them."""

    def __init__(self, flows: Flows) -> None:
        self._flows = flows
        self._peers: dict[Peer, int] = {}
        """Number of bindings at each address and port, in the order in which they were first seen."""
        self._hosts: dict[str, int] = {}
        """Number of bindings at each address, for any port."""
        self._hidden: dict[Peer, int] = {}
        """Registered addresses over UDP that are not those of their Contact, or have a private one there or in Via."""
        self._connected: dict[Peer, dict[str, None]] = {}
        """Users reached over each connection."""

    def replace(self, name: str, before: Bindings, after: Bindings) -> None:
        """Replace the bindings of a user; a refresh from the same address changes nothing."""
        if _addresses(after) == _addresses(before):
            return
        for binding in after:  # added first, so that an address in both keeps its position
            self._add(name, binding)
        for binding in before:
            self._remove(binding)

    def peers(self) -> Sequence[Peer]:
        """Return every address that users are reached at, each once, in the order first seen."""
        return tuple(self._peers)

    def hidden_peers(self) -> Sequence[Peer]:
        """Return only the addresses that need keep-alives in any case."""
        return tuple(self._hidden)

    def knows(self, host: str, port: int) -> bool:
        """Return whether a user is registered from an address."""
        if host not in self._hosts:
            return False
        return any(Peer(flow, host, port) in self._peers for flow in range(len(self._flows.listeners)))

    def knows_host(self, host: str) -> bool:
        """Return whether a user is registered from an address, with any port."""
        return host in self._hosts

    def connected(self, peer: Peer) -> Iterable[str]:
        """Return the names of the users reached over a connection."""
        return tuple(self._connected.get(peer, ()))

    def _add(self, name: str, binding: Binding) -> None:
        peer = binding.peer
        self._peers[peer] = self._peers.get(peer, 0) + 1
        self._hosts[peer.host] = self._hosts.get(peer.host, 0) + 1
        if self._flows.reliable[peer.flow]:
            self._connected.setdefault(peer, {})[name] = None
        elif _needs_keep_alive(binding):
            self._hidden[peer] = self._hidden.get(peer, 0) + 1

    def _remove(self, binding: Binding) -> None:
        peer = binding.peer
        _decrement(self._hosts, peer.host)
        if not _decrement(self._peers, peer):
            self._connected.pop(peer, None)
        if not self._flows.reliable[peer.flow] and _needs_keep_alive(binding):
            _decrement(self._hidden, peer)


def _needs_keep_alive(binding: Binding) -> bool:
    return needs_keep_alive(binding.contact, binding.peer, has_private_via=binding.has_private_via)


def _addresses(bindings: Bindings) -> list[tuple[str, Peer, bool]]:
    return [(binding.contact, binding.peer, binding.has_private_via) for binding in bindings]


def _decrement(counts: dict[Key, int], key: Key) -> int:
    """Decrement a count and return it; remove it at zero."""
    left = counts[key] - 1
    if left:
        counts[key] = left
    else:
        del counts[key]
    return left
