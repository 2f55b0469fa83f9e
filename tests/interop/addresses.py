"""Where the peers of these tests live, in the run's own loopback network."""

from typing import Final

from doubles.sockets.loopback import Endpoint
from e2e.addresses import NETWORK

SWITCH: Final = Endpoint(f"{NETWORK}.2", 5060)
TLS_SWITCH: Final = Endpoint(SWITCH.host, 5061)

HOME_SWITCH: Final = Endpoint(f"{NETWORK}.3", 5060)
TLS_HOME_SWITCH: Final = Endpoint(HOME_SWITCH.host, 5061)
"""With telephones that register."""
FIRST_PHONE: Final = Endpoint(f"{NETWORK}.41", 5060)
SECOND_PHONE: Final = Endpoint(f"{NETWORK}.42", 5060)
THIRD_PHONE: Final = Endpoint(f"{NETWORK}.44", 5060)
FOURTH_PHONE: Final = Endpoint(f"{NETWORK}.45", 5060)

CUSTOMER_PHONE: Final = Endpoint(f"{NETWORK}.31", 5060)
VENDOR_PHONE: Final = Endpoint(f"{NETWORK}.32", 5060)
OTHER_VENDOR_PHONE: Final = Endpoint(f"{NETWORK}.35", 5060)

CUSTOMER_PROXY: Final = Endpoint(f"{NETWORK}.33", 5060)
VENDOR_PROXY: Final = Endpoint(f"{NETWORK}.34", 5060)

FORWARDING_PROXY: Final = Endpoint(f"{NETWORK}.46", 5060)
"""Sends the calls of the switch back to it."""

REGISTERING_SWITCH: Final = Endpoint(f"{NETWORK}.2", 5062)
"""A switch whose vendor is a registrar."""
VENDOR_REGISTRAR: Final = Endpoint(f"{NETWORK}.36", 5060)

SOFTPHONE_SWITCH: Final = Endpoint(f"{NETWORK}.2", 5064)
"""A switch for telephones of PJSIP and twinkle."""
PJSIP_PHONES: Final = tuple(Endpoint(f"{NETWORK}.{number}", 5060) for number in (51, 52, 53))
TWINKLES: Final = tuple(Endpoint("127.0.0.1", port) for port in (15_190, 15_191, 15_192))
"""twinkle listens at every address, and sends from the one that the kernel chooses."""
TWINKLE_MEDIA: Final = dict(zip(TWINKLES, (15_194, 15_200, 15_206), strict=True))
"""First port for its sound; it has two for each of its lines."""

RADIUS_SWITCH: Final = Endpoint(f"{NETWORK}.2", 5070)
RADIUS_SERVER: Final = Endpoint(f"{NETWORK}.37", 1812)
"""FreeRADIUS; it takes accounting at the port behind that."""
RADIUS_PHONE: Final = Endpoint(f"{NETWORK}.43", 5060)
RADIUS_CUSTOMER: Final = Endpoint(f"{NETWORK}.38", 5060)
RADIUS_VENDOR: Final = Endpoint(f"{NETWORK}.39", 5060)
