"""Addresses of all parties in the scenarios: a loopback network for each run, so that two runs never interfere."""

import re
import socket
from pathlib import Path
from typing import Final

from doubles.sockets.loopback import Endpoint

_CLAIM_PORT: Final = 15_059


def is_used(number: int) -> bool:
    """Return whether a socket has an address of a network: a run that was killed may have left its switches there."""
    of_network = re.compile(rf"^ *\d+: [0-9A-F]{{2}}00{number:02X}7F:", re.MULTILINE)
    return any(of_network.search(Path(f"/proc/net/{kind}").read_text()) for kind in ("udp", "tcp"))


def _claim_network() -> tuple[str, socket.socket]:
    """Take the first of 127.1.0 to 127.254.0 that no other run has; the socket keeps it while this run lives."""
    for number in range(1, 255):
        if is_used(number):
            continue
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind((f"127.{number}.0.1", _CLAIM_PORT))
        except OSError:
            claim.close()
            continue
        return f"127.{number}.0", claim
    raise RuntimeError("every loopback network is taken by another run")


NETWORK, _claimed = _claim_network()

SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_060)
OPERATED_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_061)
DOOMED_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_062)
LOADED_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_063)
SPENDING_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_064)
VERSATILE_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_065)
"""Over UDP and TCP."""
SECURE_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_066)
"""The same over TLS."""
CONNECTED_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_067)
SECURE_CONNECTED_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_068)
"""Another one of this kind."""
CHALLENGING_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_058)
"""With telephones at unknown addresses."""

REGISTRAR_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_069)
KEEPING_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_070)
TELEPHONE_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_071)
DOOMED_TELEPHONE_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_098)
"""With telephones."""
WARY_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_080)
"""Its vendors want proof, registrations, or to be asked."""
OTHER_SWITCH: Final = Endpoint(f"{NETWORK}.2", 15_081)
"""One of those vendors."""

REPORTING_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_072)
"""With telephones, and a program that is told of them."""

TIMED_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_090)
"""Its trunks have session timers of every profile."""
FLOODED_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_082)
"""With more calls, or more junk, than it can bear."""
DUAL_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_083)
"""It has an IPv6 socket beside this one."""
LARGE_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_084)
"""It has TCP at the same port."""

WEB_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_111)
"""With telephones in browsers and others."""
WEBSOCKET: Final = Endpoint(f"{NETWORK}.1", 15_112)
SECURE_WEBSOCKET: Final = Endpoint(f"{NETWORK}.1", 15_113)
"""The sockets of the telephone switch for browsers."""

MEASURED_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_091)
MEASURED_SWITCH_HTTP: Final = Endpoint(f"{NETWORK}.1", 15_092)
"""Its metrics."""
MEASURING: Final = Endpoint(f"{NETWORK}.1", 15_094)
"""Prometheus, which asks for them."""

CUSTOMERS: Final = {
    "acme": f"{NETWORK}.11",
    "poor": f"{NETWORK}.12",
    "narrow": f"{NETWORK}.13",
    "hasty": f"{NETWORK}.14",
    "prepaid": f"{NETWORK}.15",
    "credit": f"{NETWORK}.16",
    "shared": f"{NETWORK}.17",
    "topped-up": f"{NETWORK}.18",
}
"""The one address of each customer; their ports differ from call to call."""
PHONES: Final = {
    "desk": f"{NETWORK}.51",
    "guesser": f"{NETWORK}.52",
    "office": f"{NETWORK}.53",
    "scanner": f"{NETWORK}.54",
}
"""Where telephones are; no switch knows their addresses."""
ASKING_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_085)
"""Its calls ask where their number is before they are routed."""
OVERRIDDEN_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_087)
"""Its operators block gateways and accounts."""
STOPPED_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_086)
"""Another one of this kind."""
BLACKLISTING_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_102)
"""It refuses callers for what they did."""
CHOOSING_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_088)
"""Whose vendors are chosen by calendars, causes and timers."""
NUMBERING_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_089)
"""It checks and rewrites numbers."""
DECK_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_057)
"""Its rates come from the database."""
LOOKING_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_100)
"""It asks other servers about numbers."""
LOOKUP_SERVER: Final = Endpoint(f"{NETWORK}.61", 15_061)
"""A redirect server, and over TCP an HTTP server."""
QUALITY_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_093)
RELAYING_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_095)
"""It relays the media of its calls."""
DOOMED_RELAYING_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_096)
SMALL_RELAYING_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_097)
"""It has ports for one call."""
"""It orders vendors by quality."""
PLANNING_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_101)
"""Its customers have routing plans."""
LEVELLED_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_103)
"""Its customer has agents at three levels."""
EXEMPLARY_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_104)
"""It bills the worked examples, by a clock of its own."""
ALARMING_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_105)
"""It reports alarms to a server."""
ALARM_SERVER: Final = Endpoint(f"{NETWORK}.62", 15_062)
FENCED_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_106)
"""It takes calls from some networks and countries only."""
REPORT_SERVER: Final = Endpoint(f"{NETWORK}.63", 15_062)
"""It receives states of calls."""
OTHER_REPORT_SERVER: Final = Endpoint(f"{NETWORK}.64", 15_062)
GUARDED_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_107)
"""It watches what its customers use by class of destinations."""
API_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_108)
"""It is watched over the management API."""
TRUNKS_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_109)
"""A switch whose trunks have names, routes and header rules of their own."""
SIGNING_SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_110)
"""It signs calls, and verifies signatures."""
CERTIFICATE_SERVER: Final = Endpoint(f"{NETWORK}.65", 15_063)
UNKNOWN_SOURCE: Final = Endpoint(f"{NETWORK}.99", 15_099)
"""An unused address."""

VENDORS: Final = {
    "carrier-a": Endpoint(f"{NETWORK}.21", 16_001),
    "carrier-b": Endpoint(f"{NETWORK}.22", 16_002),
    "carrier-c": Endpoint(f"{NETWORK}.23", 16_003),
    "carrier-silent": Endpoint(f"{NETWORK}.24", 16_004),
    "carrier-rings": Endpoint(f"{NETWORK}.25", 16_005),
    "carrier-narrow": Endpoint(f"{NETWORK}.26", 16_006),
    "carrier-hasty": Endpoint(f"{NETWORK}.27", 16_007),
    "carrier-d": Endpoint(f"{NETWORK}.28", 16_008),
    "carrier-spending": Endpoint(f"{NETWORK}.34", 16_034),
    "carrier-tired": Endpoint(f"{NETWORK}.29", 16_009),
    "carrier-elsewhere": Endpoint(f"{NETWORK}.30", 16_010),
    "carrier-tcp": Endpoint(f"{NETWORK}.31", 16_031),
    "carrier-tls": Endpoint(f"{NETWORK}.32", 16_032),
    "carrier-private": Endpoint(f"{NETWORK}.34", 16_035),
    "carrier-wary": Endpoint(f"{NETWORK}.41", 16_041),
    "carrier-doubtful": Endpoint(f"{NETWORK}.42", 16_042),
    "carrier-asked": Endpoint(f"{NETWORK}.43", 16_043),
    "carrier-away": Endpoint(f"{NETWORK}.33", 16_033),
    "carrier-shut": Endpoint(f"{NETWORK}.33", 16_034),
}
