"""``sip``: sockets, timers, name servers, the registrar, and challenges."""

import re
from enum import Enum
from typing import Annotated, ClassVar, Final

from pydantic import BeforeValidator

from vosd.config.keys.access import Networks
from vosd.config.keys.advertise import Advertised, advertise_fault, advertised, one_for_all
from vosd.config.keys.protection import ConnectionKeys, OverloadKeys, ShieldKeys
from vosd.config.keys.tls import TlsKeys
from vosd.config.reader.addresses import listener, name_server
from vosd.config.reader.fields import (
    ONE_OR_MANY,
    FromText,
    KeyProblemError,
    Keys,
    choice,
    line_of_text,
    milliseconds,
    switch,
    whole,
)
from vosd.engine.settings import NameServer, SipListener
from vosd.net.settings import ANY_ORIGIN
from vosd.sip.digest.hashing import Algorithm
from vosd.sip.wire.uri import SECURE, WEBSOCKETS

HIDDEN: Final = "hidden"
"""``sip.server`` of a switch that sends neither Server nor User-Agent."""


_ORIGIN: Final = re.compile(r"https?://[a-z0-9.\-]+(?::[1-9]\d{0,4})?\Z|https?://\[[0-9a-f:.]+\](?::[1-9]\d{0,4})?\Z")


def origin() -> FromText:
    """Read the origin of a page (RFC 6454), as browsers send it, or ``*``."""

    def read(text: str) -> str:
        written = text.lower()
        if written != ANY_ORIGIN and not _ORIGIN.match(written):
            raise ValueError
        return written

    return FromText("scheme and host of a page, such as https://phone.example.org, or *", read)


class WebSocketKeys(Keys):
    """SIP over WebSocket (RFC 7118). A reload changes it for new connections."""

    origins: Annotated[tuple[Annotated[str, origin()], ...], ONE_OR_MANY] = ()
    """Pages whose scripts may connect, by scheme, host and port, as the Origin of their requests says; ``*`` for every
    page. Programs that send no Origin may always connect. Needed where `sip.listen` has a ``ws:`` or a ``wss:``
    socket."""


class UnknownSource(Enum):
    """Answer to a request from an unknown address."""

    DROP = "drop"
    REJECT = "reject"


def digest_algorithm() -> FromText:
    """Read the name of a digest algorithm."""

    def read(text: str) -> Algorithm:
        algorithm = Algorithm.named(text)
        if algorithm is None:
            raise ValueError
        return algorithm

    return FromText(" or ".join(each.value for each in Algorithm), read, lambda each: str(each.value))


class TimerKeys(Keys):
    """Base timers of RFC 3261 section 17."""

    t1: Annotated[int, milliseconds(10, 10_000)] = 500
    """Estimate of the round-trip time; the first retransmission follows after it, and a transaction times out after 64
    times as long."""
    t2: Annotated[int, milliseconds(10, 60_000)] = 4_000
    """Longest interval between retransmissions of requests other than INVITE."""
    t4: Annotated[int, milliseconds(10, 60_000)] = 5_000
    """Longest time a message stays in the network."""

    def _judge(self) -> None:
        if self.t2 < self.t1:
            raise KeyProblemError("t2", "no less than t1")


class SipLimitKeys(Keys):
    """Largest messages that are parsed; larger ones are refused."""

    max_message_bytes: Annotated[int, whole(1_000, 65_535)] = 65_535
    """Bytes of a whole message."""
    max_headers: Annotated[int, whole(20, 10_000)] = 256
    """Header fields of a message. Together they have at most 16,384 characters, or ``max_line`` where that is more."""
    max_line: Annotated[int, whole(200, 65_535)] = 8_192
    """Characters of one header field, folded lines together."""


class DnsKeys(Keys):
    """Name servers for the host names of vendors (RFC 3263), and for how long their answers are used."""

    servers: Annotated[tuple[Annotated[NameServer, name_server()], ...], ONE_OR_MANY] = ()
    """Name servers in the order in which they are asked; port 53. Default: those of /etc/resolv.conf, read at each
    lookup."""
    timeout: Annotated[int, milliseconds(100, 30_000)] = 2_000
    """Without an answer within this time the next server is asked."""
    attempts: Annotated[int, whole(1, 5)] = 2
    """Rounds through all servers before a lookup has failed."""
    min_ttl: Annotated[int, whole(1, 3_600, "seconds")] = 5
    """Shortest time between two lookups of a name, whatever the TTL of its records."""
    max_ttl: Annotated[int, whole(1, 604_800, "seconds")] = 3_600
    """Longest time between two lookups of a name, whatever the TTL of its records."""
    stale: Annotated[int, whole(0, 604_800, "seconds")] = 86_400
    """For how long the last answer is used while lookups fail; after that calls skip the gateway."""

    def _judge(self) -> None:
        if self.max_ttl < self.min_ttl:
            raise KeyProblemError("max_ttl", "no less than min_ttl")


class DigestKeys(Keys):
    """Challenges to phones and trunks (RFC 3261 section 22, RFC 7616, RFC 8760)."""

    algorithms: Annotated[tuple[Annotated[Algorithm, digest_algorithm()], ...], ONE_OR_MANY] = (Algorithm.MD5,)
    """Algorithms of the challenges, in this order: ``MD5``, ``SHA-256`` or both. Old phones support MD5 only, and
    some of them fail on two challenges."""

    def _judge(self) -> None:
        if not self.algorithms or len(set(self.algorithms)) < len(self.algorithms):
            raise KeyProblemError("algorithms", "at least one algorithm, each once")


class RegistrarKeys(Keys):
    """Registrations of phones and gateways with us. Needs a restart."""

    default_expires: Annotated[int | None, whole(10, 604_800, "seconds")] = None
    """Granted where a request names no expiry. Default: an hour, within the bounds below."""
    min_expires: Annotated[int, whole(10, 3_600, "seconds")] = 60
    """A request for less gets 423 with this as Min-Expires."""
    max_expires: Annotated[int, whole(60, 604_800, "seconds")] = 7_200
    """Granted where a request asks for more."""
    max_contacts: Annotated[int, whole(1, 100)] = 10
    """Contacts of one user; one more replaces the contact that would expire first."""
    max_registrations: Annotated[int, whole(1, 10_000_000)] = 100_000
    """Contacts of all users together; a further registration gets 503."""
    proxies: Networks = ()
    """Networks of proxies whose Path is followed also to another of these proxies than the REGISTER came from, such
    as session border controllers with an address for each side. A Path always leads back to where the REGISTER came
    from."""

    def _judge(self) -> None:
        if self.max_expires < self.min_expires:
            raise KeyProblemError("max_expires", "no less than min_expires")
        if not self.min_expires <= self.granted_by_default <= self.max_expires:
            raise KeyProblemError("default_expires", "no less than min_expires and no more than max_expires")

    @property
    def granted_by_default(self) -> int:
        """The seconds of ``default_expires``, settled."""
        if self.default_expires is not None:
            return self.default_expires
        return max(self.min_expires, min(3_600, self.max_expires))


class NatKeys(Keys):
    """Endpoints behind NAT. The parameters ``SS_SIP_NAT_KEEP_ALIVE_…`` set interval and content of keep-alives."""

    keepalive_all: Annotated[bool, switch()] = True
    """``no`` sends keep-alives only to endpoints whose packets come from another address than their Contact says, or
    whose Contact or Via is private."""


class SipKeys(Keys):
    """Sockets and behaviour of SIP."""

    listen: Annotated[tuple[Annotated[SipListener, listener()], ...], ONE_OR_MANY] = (
        SipListener("udp", "127.0.0.1", 5060),
    )
    """Sockets that take calls, one or a list."""
    advertise: Annotated[Advertised | None, advertised(), BeforeValidator(one_for_all)] = None
    """Address in Contact and Via, where it is not the one listened on: one for all sockets of its family, or
    ``{"udp:10.0.0.1:5060": 203.0.113.1}``, an address for each socket of ``listen`` that needs one. An address that
    another socket of ``listen`` has is used only for the sockets on ``0.0.0.0`` and ``::``."""
    unknown_source: Annotated[UnknownSource, choice(UnknownSource)] = UnknownSource.DROP
    """Answer to a request from an unknown address: no answer, or 403. Dropped requests are counted and logged."""
    timers: TimerKeys = TimerKeys()
    limits: SipLimitKeys = SipLimitKeys()
    connections: ConnectionKeys = ConnectionKeys()
    shield: ShieldKeys = ShieldKeys()
    overload: OverloadKeys = OverloadKeys()
    tls: TlsKeys = TlsKeys()
    websocket: WebSocketKeys = WebSocketKeys()
    dns: DnsKeys = DnsKeys()
    registrar: RegistrarKeys = RegistrarKeys()
    nat: NatKeys = NatKeys()
    server: Annotated[str | None, line_of_text(1, 100)] = None
    """Text of Server and User-Agent; ``hidden`` sends neither. Default: vosd and its version."""
    realm: Annotated[str, line_of_text(1, 100)] = "vosd"
    """Realm of the challenges to phones and trunks. Hashes of passwords are valid for one realm only."""
    digest: DigestKeys = DigestKeys()

    not_built: ClassVar[frozenset[str]] = frozenset({"qos", "outbound_proxy"})

    def _judge(self) -> None:
        if not self.listen or len(set(self.listen)) < len(self.listen):
            raise KeyProblemError("listen", "at least one socket, each once")
        streams = [(host, port) for transport, host, port in self.listen if transport != "udp"]
        if len(set(streams)) < len(streams):
            raise KeyProblemError("listen", "another port for each of TCP, TLS and WebSocket")
        fault = advertise_fault(self.listen, self.advertise)
        if fault is not None:
            raise KeyProblemError("advertise", fault)
        spoken = {transport for transport, _, _ in self.listen}
        if self.tls.certificate is None and spoken & SECURE:
            raise KeyProblemError("listen", "sip.tls with certificate and private_key, which tls: and wss: need")
        if spoken & WEBSOCKETS and not self.websocket.origins:
            raise KeyProblemError("listen", "sip.websocket.origins, which ws: and wss: need")
