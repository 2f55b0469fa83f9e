"""Interfaces by which the engine sends and closes connections; the listeners of ``net`` implement it."""

from collections.abc import Callable

Transmit = Callable[[bytes, tuple[str, int]], None]
"""Send a message to a host and port, from one listener."""
CloseConnection = Callable[[int, str, int, str], None]
"""Close the connection of a flow with a host and port, for a reason; do nothing if there is none."""
HasConnection = Callable[[int, str, int], bool]
"""Return whether a flow has an open connection with a host and port."""
