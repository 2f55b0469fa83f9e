"""``sip.advertise``: the address that each socket of ``sip.listen`` puts into Contact and Via."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from vosd.config.reader.addresses import ip, listener
from vosd.config.reader.fields import FromText, KeyProblemError
from vosd.engine.settings import Listener

Advertised = Mapping[Listener | None, str]
"""An address by the socket that announces it; under None is that for all of its family."""

_ALL: Final = ""
_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})


def one_for_all(value: object) -> object:
    """Let one address hold for every socket."""
    return {_ALL: value} if isinstance(value, str) else value


def advertised() -> FromText:
    """Read an address for all sockets, or one for each, by ``transport:host:port``; under None is that for all."""
    read_listener, read_ip = listener().read, ip().read

    def read(written: Mapping[str, object]) -> dict[Listener | None, str]:
        found: dict[Listener | None, str] = {}
        for name, value in written.items():
            address = _read_or_none(read_ip, value)
            if name == _ALL:
                if address is None:
                    raise ValueError
                found[None] = str(address)
                continue
            socket = _read_or_none(read_listener, name)
            if not isinstance(socket, Listener):
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


def advertise_fault(listen: Sequence[Listener], advertise: Advertised | None) -> str | None:
    """Return what was expected where an address stands for no socket, or None."""
    families = {":" in each.host for each in listen}
    for socket, address in (advertise or {}).items():
        if socket is not None and socket not in listen:
            return f"sockets of sip.listen as keys: {', '.join(map(str, listen))}"
        if socket is None and (":" in address) not in families:
            return "an address of a family that sip.listen has a socket of"
    return None


def announced(listen: Sequence[Listener], advertise: Advertised | None) -> tuple[str | None, ...]:
    """Return what each socket puts into Contact and Via; None = its own address.

    The address for all holds for its family, and not where it is another socket's own, but on a wildcard address.
    """
    for_all = (advertise or {}).get(None)
    hosts = {each.host for each in listen}

    def by_all(socket: Listener) -> str | None:
        if for_all is None or (":" in for_all) is not (":" in socket.host):
            return None
        is_anothers = for_all in hosts and socket.host != for_all and socket.host not in _WILDCARDS
        return None if is_anothers else for_all

    return tuple((advertise or {}).get(each) or by_all(each) for each in listen)
