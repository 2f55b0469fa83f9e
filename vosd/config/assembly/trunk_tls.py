"""Identities of TLS that vendors' own ``tls`` describes, beside those of ``sip.tls.identities``."""

from pathlib import Path

from vosd.config.assembly.inventory import Written
from vosd.config.keys.trunks import RoutingGatewayKeys
from vosd.config.reader.own_tls import OwnTls
from vosd.net.settings import TlsIdentity


def own_identity(written: Written[RoutingGatewayKeys]) -> TlsIdentity | None:
    """Return the identity that a gateway has in its ``tls``; None = it names one, or has the common one.

    The name is made of what it has: gateways with the same share one, and may have the same address.
    """
    own = written.thing.tls
    if not isinstance(own, OwnTls):
        return None
    section, _ = written.inner("tls")

    def file(path: Path | None, key: str) -> Path | None:
        return None if path is None else Path(section.place_of(key).file).parent / path

    certificate, key = file(own.certificate, "certificate"), file(own.key, "key")
    name = f"{certificate or 'the common certificate'} {key or ''} {own.name}"
    return TlsIdentity(name, certificate, key, server_name=own.name)


def identity_name(written: Written[RoutingGatewayKeys]) -> str:
    """Return the name of the identity that a gateway is connected with; empty = the common one."""
    named, own = written.thing.tls, own_identity(written)
    return own.name if own is not None else str(named)
