"""Sources of mapping gateways in which one looks up whether those of a further gateway meet them.

Packets of both might be taken for each other then, whatever the tech prefixes are.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from vosd.base.networks import Network, NetworkTable
from vosd.trunks.gateways import HostPattern, MappingGateway

_ANY: Final = -1
"""In place of a port: sources with every port, and those without one."""


class OtherSources:
    """Finds one of these sources that packets of a pattern fit, too; the cost does not grow with their number.

    Two gateways that prove who they are do not meet: their calls stay theirs.
    """

    def __init__(self, sources: Iterable[tuple[HostPattern, MappingGateway]]) -> None:
        entries: dict[tuple[bool, int | None], list[tuple[Network, MappingGateway]]] = defaultdict(list)
        for (network, port), gateway in sources:
            for proves in (True, False) if gateway.credentials is None else (False,):
                entries[proves, port].append((network, gateway))
                entries[proves, _ANY].append((network, gateway))
        self._tables = {key: NetworkTable(found) for key, found in entries.items()}
        """By whether the other gateway proves who it is, and by port."""

    def met_by(self, pattern: HostPattern, *, proves: bool) -> MappingGateway | None:
        """Return a gateway whose packets fit a pattern of another one, which may prove who it is; None = none."""
        for port in (_ANY,) if pattern.port is None else (None, pattern.port):
            table = self._tables.get((proves, port))
            found = None if table is None else table.meeting(pattern.network)
            if found is not None:
                return found[1]
        return None
