"""Media ports of a leg, and the description of the peer that may send to them."""

from itertools import islice

import msgspec
from msgspec.structs import replace

from vosd.base.host import UNSPECIFIED, is_private, plain_host
from vosd.trunks.media import MediaTrust


class RelayPort(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A local address and port of one leg, for sending and receiving."""

    id: int
    """Unique over restarts of the switch."""
    host: str
    rtp: int
    rtcp: int | None
    """None = on the port of RTP (RFC 5761)."""


class MediaSource(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Media of a peer, as its session description announces it."""

    host: str
    rtp: int
    """0 = the medium is refused, or has had no address yet."""
    rtcp_host: str
    """Another host than that of RTP, if ``a=rtcp`` says so (RFC 3605)."""
    rtcp: int | None
    """None = on the port of RTP."""
    sip_host: str
    """Address from which the peer's SIP comes."""
    trust: MediaTrust
    payloads: tuple[int, ...]
    """RTP payload types that were agreed, twice where the sides have named one differently.

    Empty = no RTP, such as T.38 over UDPTL, which is passed on unread.
    """
    clocks: tuple[int, ...]
    """Clock rates of the payload types in Hz, one each."""
    codecs: tuple[str, ...] = ()
    """Encoding names of the payload types."""
    named: int = 0
    """Number of payload types that the peer has named itself, which come first; 0 = all of them. It may send the
    others, which its opposite has named, and is sent none of them."""
    judged_for: int = 0
    """Number of the leg whose switch is asked before an address is believed (``scope: rtp``); 0 = none is asked."""

    has_handshake: bool = False
    """Whether the parties agree on keys by DTLS among the media (RFC 5764), before the first RTP."""
    takes_nothing: bool = False
    """Whether neither RTP nor RTCP is sent to the peer, which holds by the address 0.0.0.0 (RFC 3264 section 8.4). It
    may send from the addresses of its description before."""
    is_behind_nat: bool = False
    """Whether the peer's SIP comes from behind NAT: its description may have an address that does not lead to it,
    though that is none of the private ones."""

    def hosts(self) -> frozenset[str]:
        """Return the addresses that the description, and with ``learn`` the SIP, name; others may be forged."""
        host, sip_host = plain_host(self.host), plain_host(self.sip_host)
        if not self.rtp:
            return frozenset()
        is_elsewhere = (":" in host) is not (":" in sip_host)  # it may have no port of ours of that family to send to
        is_learnt = self.trust is MediaTrust.LEARN
        if is_learnt and (self.is_behind_nat or is_elsewhere or host in UNSPECIFIED or is_private(host)):
            return frozenset((host, sip_host))
        return frozenset((host,))

    def is_at_place_of(self, before: "MediaSource") -> bool:
        """Return whether the peer is where a description before has announced it: who is believed stays."""
        return (plain_host(self.host), self.rtp, self.trust, self.sip_host) == (
            plain_host(before.host),
            before.rtp,
            before.trust,
            before.sip_host,
        )

    def with_payloads(
        self, payloads: tuple[int, ...], clocks: tuple[int, ...], codecs: tuple[str, ...]
    ) -> "MediaSource":
        """Return a source that may send by these payload types as well: its opposite has named them.

        Both may have named one number for different codecs. The later entry says what is sent by it, as a party sends
        by the numbers of the other one (RFC 3264 section 5.1).
        """
        own = list(zip(*self.taken(), strict=True))
        known = {(payload, clock, codec.lower()) for payload, clock, codec in own}
        before = zip(self.payloads, self.clocks, self.codecs, strict=True)
        others = [each for each in islice(before, len(own), None) if each[0] not in payloads]
        for payload, clock, codec in zip(payloads, clocks, codecs, strict=True):
            if (payload, clock, codec.lower()) not in known:
                others.append((payload, clock, codec))
        if not others and not self.named:
            return self
        payloads, clocks, codecs = zip(*own, *others, strict=True)
        return replace(self, payloads=payloads, clocks=clocks, codecs=codecs, named=len(own) if others else 0)

    def taken(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[str, ...]]:
        """Return payload types, clocks and names of what the peer takes."""
        end = self.named or len(self.payloads)
        return self.payloads[:end], self.clocks[:end], self.codecs[:end]
