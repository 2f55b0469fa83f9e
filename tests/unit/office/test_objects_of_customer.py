"""The objects of a file as one new customer."""

import pytest

from vosd.admin.office.customers import NewObject, NotOneCustomerError, ProvisionCustomer, objects_of_customer
from vosd.admin.office.planned_change import WantedObject

ACCOUNT = WantedObject("accounts", "cafe", {"type": "clearing"})
GATEWAY = WantedObject("mapping_gateways", "cafe-pbx", {"address": "192.0.2.7"})
PHONE = WantedObject("phones", "49301234", {})
GROUP = WantedObject("rate_groups", "cafe-rates", {"rates": []})


def test_they_are_the_fields_of_an_order() -> None:
    order = ProvisionCustomer(**objects_of_customer([GATEWAY, ACCOUNT, PHONE, GROUP], "customer.yaml"))
    assert (order.account, order.keys) == ("cafe", {"type": "clearing"})
    assert order.rate_group == NewObject("cafe-rates", {"rates": []})
    assert order.mapping_gateways == (NewObject("cafe-pbx", {"address": "192.0.2.7"}),)
    assert order.phones == (NewObject("49301234"),)


def test_an_account_alone_is_a_customer() -> None:
    order = ProvisionCustomer(**objects_of_customer([ACCOUNT], "customer.yaml"))
    assert (order.rate_group, order.mapping_gateways, order.phones) == (None, (), ())


@pytest.mark.parametrize(
    "objects",
    [[], [GATEWAY], [ACCOUNT, ACCOUNT], [ACCOUNT, GROUP, GROUP], [ACCOUNT, WantedObject("calendars", "work", {})]],
    ids=["nothing", "no account", "two accounts", "two rate groups", "a calendar"],
)
def test_other_objects_are_refused_with_the_name_of_the_file(objects: list[WantedObject]) -> None:
    with pytest.raises(NotOneCustomerError, match=r"^customer\.yaml: expected one account, its mapping_gateways"):
        objects_of_customer(objects, "customer.yaml")
