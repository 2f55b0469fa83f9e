"""Files that the switch may open: as many as its configuration may need, as far as the operator's limit goes."""

import resource
from typing import Final

from vosd.config.load import Loaded
from vosd.obs.events import log as _log
from vosd.trunks.media import PortRange

FILES_BESIDE: Final = 500
"""Files that the process has open besides connections and media ports, at most: listeners, journal, commands."""

COPIES: Final = 2
"""Files for each media port at most: a worker that is started in the place of another one is sent a copy of each."""


def allow_files(loaded: Loaded, *, relays: bool, before: Loaded | None = None) -> None:
    """Let this process open what a configuration may need, and warn where the operator's limit is lower.

    ``relays`` says whether the switch relays media itself: then each port is a file, and for moments two. Behind a
    reload, ``before`` was in force: a limit that was too low for as much is not warned of again.
    """
    wanted = _wanted(loaded, relays=relays)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted and soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    if hard < wanted and (before is None or wanted > _wanted(before, relays=relays)):
        _log.warning(
            "file_limit_low",
            may_open=hard,
            wanted=wanted,
            connections=loaded.transports.connections.most,
            media_ports=media_ports(loaded) if relays else 0,
            change="LimitNOFILE or ulimit -n",
        )


def _wanted(loaded: Loaded, *, relays: bool) -> int:
    return loaded.transports.connections.most + COPIES * (media_ports(loaded) if relays else 0) + FILES_BESIDE


def media_ports(loaded: Loaded) -> int:
    """Return how many ports the relay may have open: those of all ranges, at each of its addresses."""
    parameters, catalogue = loaded.catalogue.parameters.media, loaded.catalogue
    settings = [each.media for each in catalogue.mapping_gateways.values()]
    settings += [each.media for each in catalogue.routing_gateways.values()]
    ranges = {parameters.ports, parameters.ivr_ports, *(each.ports for each in settings if each.ports)}
    hosts = {each.bind for addresses in loaded.settings.media.addresses for each in addresses}
    return _ports_in(ranges) * len(hosts)


def _ports_in(ranges: set[PortRange]) -> int:
    count = last = 0
    for each in sorted(ranges):
        count += max(0, each.last - max(each.first - 1, last))
        last = max(last, each.last)
    return count
