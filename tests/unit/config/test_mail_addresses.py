"""Addresses for mail: what no mail server takes is refused, as a mail to it would be lost."""

import pytest

from vosd.config.reader.fields import mail_address


@pytest.mark.parametrize("address", ["noc@example.com", "a.b+c@mx-1.example", "root@localhost", f"{'a' * 64}@b.c"])
def test_an_address_is_read_as_it_is(address: str) -> None:
    assert mail_address().read(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "noc",
        "a@b.",
        "a@.b",
        "a@b..c",
        "a..b@c",
        ".a@c",
        "a.@c",
        "a@b@c",
        "a@b\n",
        "a b@c",
        f"{'a' * 65}@b",
        f"a@{'b' * 191}",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError):
        mail_address().read(address)
