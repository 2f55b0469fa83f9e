"""A caller's identity is the same after a restart, whichever version has written it."""

import msgspec
import pytest

from vosd.b2bua.identity import PLAIN, CallerIdentity
from vosd.b2bua.snapshot.session import _encoded, identity_as_bytes, identity_of
from vosd.sip.headers.diversion import Diversion

IDENTITIES = [
    PLAIN,
    CallerIdentity(display='"Zoë"', is_simple=True),
    CallerIdentity(
        display="\udcff",
        wishes=("id",),
        diversions=(Diversion("sip:4420\udce9@192.0.2.1", "unconditional", "", "off"),),
    ),
    CallerIdentity(is_anonymous=True, hides_party=True, signatures=("a.b.c;ppt=shaken",)),
]


@pytest.mark.parametrize("identity", IDENTITIES, ids=range(len(IDENTITIES)))
def test_it_comes_back(identity: CallerIdentity) -> None:
    assert identity_of(identity_as_bytes(identity)) == identity


@pytest.mark.parametrize("identity", IDENTITIES[1:], ids=range(1, len(IDENTITIES)))
def test_it_is_read_as_earlier_versions_wrote_it(identity: CallerIdentity) -> None:
    written = msgspec.msgpack.encode(_encoded(msgspec.to_builtins(identity)))
    assert identity_of(written) == identity
