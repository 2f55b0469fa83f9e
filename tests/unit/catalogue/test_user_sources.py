"""Addresses that phones may be at, and what it costs to find out."""

import sys
from types import FrameType

import pytest
from doubles.data.builders import phone

from vosd.catalogue.users import UserSources, user_sources


def of(*hosts: tuple[str, ...]) -> UserSources:
    phones = [phone(str(1_000 + number), *each).gateway for number, each in enumerate(hosts)]
    found = user_sources(phones, phones)
    assert found is not None
    return found


class Calls:
    """Counts the functions of vosd that are called, and what they generate one by one."""

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> "Calls":
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _count(self, frame: FrameType, event: str, _argument: object) -> None:
        self.number += event == "call" and "/vosd/" in frame.f_code.co_filename


@pytest.mark.parametrize(
    ("host", "port", "is_known"),
    [
        ("10.0.0.77", 5062, True), ("10.0.1.1", 5062, False), ("10.0.1.1", 5060, True), ("10.1.0.1", 5060, False),
        ("192.0.2.9", 1, True), ("::ffff:192.0.2.9", 1, True), ("2001:db8::1%eth0", 1, True), ("2001:db9::1", 1, False),
    ],
)  # fmt: skip
def test_a_phone_may_be_in_any_of_its_networks_with_their_port(host, port, is_known):
    index = of(("10.0.0.0/24",), ("10.0.0.0/16@5060", "192.0.2.9"), ("2001:db8::/32",))
    assert index.knows(host, port) is is_known


def test_a_user_without_hosts_may_be_anywhere():
    bounded, roaming = phone("1001", "10.0.0.0/24").gateway, phone("1002").gateway
    assert user_sources([bounded, roaming], [bounded, roaming]) is None


def test_phones_of_one_office_cost_what_one_of_them_costs():
    """They were compared with each other for an index, and sorted for each address: 5,000 phones took seconds."""

    def cost(number: int) -> int:
        phones = [phone(str(1_000 + each), "10.0.0.0/16").gateway for each in range(number)]
        with Calls() as calls:
            index = user_sources((), phones)
            assert index is not None
            assert index.knows("10.0.3.4", 5060)
        return calls.number

    assert cost(500) == cost(1)
