"""Connections of unknown sources, by the dialogs of which they have brought messages.

The far end of a dialog may be at any address, so such a connection is kept as long as the dialog. Its tags are known to
its peer, who may send them from any number of addresses: a dialog keeps the connections that brought the last messages
of it, and no others.
"""

from collections.abc import Callable
from typing import Final

from vosd.net.connection import Connection

PER_DIALOG: Final = 2
"""Connections that one dialog keeps: its peer may have connected again, or be a cluster of proxies."""


class FarEnds:
    """The dialogs that keep connections; of all listeners, as their slots are."""

    def __init__(self) -> None:
        self._kept: dict[str, list[Connection]] = {}
        """Connections by our tag of a dialog, the one that brought its last message in the end."""

    def note(self, connection: Connection, tag: str) -> None:
        """Note that a connection has brought a message of the dialog with a tag of ours."""
        connections = self._kept.setdefault(tag, [])
        if connection in connections:
            connections.remove(connection)
        connections.append(connection)
        connection.calls.add(tag)
        connection.has_had_call = True
        if len(connections) > PER_DIALOG:
            connections.pop(0).calls.discard(tag)

    def has_call(self, connection: Connection, has_dialog: Callable[[str], bool]) -> bool:
        """Return whether a dialog keeps a connection; what has ended is forgotten."""
        for tag in [each for each in connection.calls if not has_dialog(each)]:
            for each in self._kept.pop(tag, ()):
                each.calls.discard(tag)
        return bool(connection.calls)

    def forget(self, connection: Connection) -> None:
        """Note that a connection is closed, or that its peer is known by now: it leaves its places to others."""
        for tag in connection.calls:
            connections = self._kept[tag]
            connections.remove(connection)
            if not connections:
                del self._kept[tag]
        connection.calls.clear()
