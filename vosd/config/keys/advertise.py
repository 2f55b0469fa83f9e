"""``sip.advertise``: the address that each socket of ``sip.listen`` puts into Contact and Via."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from vosd.base.host import UNSPECIFIED
from vosd.config.reader.addresses import ip, listener
from vosd.config.reader.fields import FromText, KeyProblemError
from vosd.engine.settings import SipListener

Advertised = Mapping[SipListener | None, str]
"""Address by socket; under None the one for all sockets of its family."""

_ALL: Final = ""


def one_for_all(value: object) -> object:
    """Accept one address for every socket."""
    return {_ALL: value} if isinstance(value, str) else value


def advertised() -> FromText:
    """Read an address for all sockets (key None), or one for each by ``transport:host:port``."""
    read_listener, read_ip = listener().read, ip().read

    def read(written: Mapping[str, object]) -> dict[SipListener | None, str]:
        found: dict[SipListener | None, str] = {}
        for name, value in written.items():
            address = _read_or_none(read_ip, value)
            if name == _ALL:
                if address is None:
                    raise ValueError
                found[None] = str(address)
                continue
            socket = _read_or_none(read_listener, name)
            if not isinstance(socket, SipListener):
                raise KeyProblemError(name, "a socket of sip.listen, such as udp:10.0.0.1:5060, before the address")
            if address is None or (":" in str(address)) is not (":" in socket.host):
                raise KeyProblemError(name, "an IP address without port, of the socket's family")
            found[socket] = str(address)
        return found

    return FromText("an IP address without port, or sockets of sip.listen with an address each", read, kind=dict)


def _read_or_none(read: Callable[[Any], object], value: object) -> object:
    try:
        return read(value) if isinstance(value, str) else None
    except ValueError:
        return None


def advertise_fault(listen: Sequence[SipListener], advertise: Advertised | None) -> str | None:
    """Return what was expected where an address belongs to no socket, or None."""
    families = {":" in each.host for each in listen}
    for socket, address in (advertise or {}).items():
        if socket is not None and socket not in listen:
            return f"sockets of sip.listen as keys: {', '.join(map(str, listen))}"
        if socket is None and (":" in address) not in families:
            return "an address of a family that sip.listen has a socket of"
    return None


def announced(listen: Sequence[SipListener], advertise: Advertised | None) -> tuple[str | None, ...]:
    """Return what each socket puts into Contact and Via; None = its own address.

    The address for all sockets holds for its family. Where it is the own address of another socket, only sockets on a
    wildcard address use it.
    """
    for_all = (advertise or {}).get(None)
    hosts = {each.host for each in listen}

    def by_all(socket: SipListener) -> str | None:
        if for_all is None or (":" in for_all) is not (":" in socket.host):
            return None
        is_anothers = for_all in hosts and socket.host != for_all and socket.host not in UNSPECIFIED
        return None if is_anothers else for_all

    return tuple((advertise or {}).get(each) or by_all(each) for each in listen)
