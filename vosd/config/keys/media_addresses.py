"""``media.addresses``: the addresses of media for each socket of ``sip.listen``."""

from collections.abc import Mapping
from typing import Final

from vosd.config.reader.addresses import ip, listener
from vosd.config.reader.fields import ExpectedError, FromText, KeyProblemError
from vosd.engine.settings import SipListener
from vosd.trunks.media import MediaAddress

MediaAddresses = Mapping[SipListener | None, tuple[MediaAddress, ...]]
"""Addresses of media by socket; under None those for all sockets."""
_ALL: Final = ""


def media_addresses() -> FromText:
    """Read addresses for all sockets (key None), or for each by ``transport:host:port``."""
    read_listener = listener().read

    def read(written: Mapping[str, object]) -> dict[SipListener | None, tuple[MediaAddress, ...]]:
        found: dict[SipListener | None, tuple[MediaAddress, ...]] = {}
        for name, value in written.items():
            addresses = _addresses(name, [value] if isinstance(value, str) else value)
            if name == _ALL:
                found[None] = addresses
                continue
            try:
                socket = read_listener(name)
            except ValueError:
                expected = "a socket of sip.listen, such as udp:10.0.0.1:5060, before its addresses"
                raise KeyProblemError(name, expected) from None
            assert isinstance(socket, SipListener)
            found[socket] = addresses
        return found

    return FromText("IP addresses, or sockets of sip.listen with addresses each", read, kind=dict)


def one_for_all_sockets(value: object) -> object:
    """Accept addresses for every socket."""
    return {_ALL: value} if isinstance(value, str | list) else value


def _addresses(name: str, written: object) -> tuple[MediaAddress, ...]:
    if not isinstance(written, list) or not written or not all(isinstance(each, str) for each in written):
        raise _address_error(name)
    addresses = tuple(_address(name, text) for text in written)
    if len({":" in each.bind for each in addresses}) < len(addresses):
        raise _address_error(name)
    return addresses


def _address(name: str, text: str) -> MediaAddress:
    bind, _, announced = text.partition("!")
    read = ip().read
    try:
        address = MediaAddress(str(read(bind.strip())), str(read((announced or bind).strip())))
    except ValueError:
        raise _address_error(name) from None
    if (":" in address.bind) is not (":" in address.announced):
        raise _address_error(name)
    return address


def _address_error(name: str) -> ExpectedError:
    expected = (
        "an IP address of this machine, or one of IPv4 and one of IPv6; where peers must send to another one, as "
        "10.0.0.1!203.0.113.1"
    )
    return ExpectedError(expected) if name == _ALL else KeyProblemError(name, expected)
