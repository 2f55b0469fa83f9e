"""Which numbers are refused while their class of destinations is blocked."""

from dataclasses import replace
from decimal import Decimal

import pytest
from doubles.data.builders import catalogue, mapping_gateway

from vosd.billing.accounts import Account, AccountType
from vosd.billing.destinations import DestinationClass, Destinations
from vosd.callcontrol.destinations import destination_objection
from vosd.callcontrol.live_state import LiveState
from vosd.catalogue.overrides import Override, Setting, Target


@pytest.mark.parametrize(("number", "is_refused"), [("33123", True), ("1122", True), ("112", False), ("44123", False)])
def test_a_block_of_all_other_numbers_refuses_no_emergency_call(number, is_refused):
    account, live = Account("acme", AccountType.DIRECT, None, Decimal(0), "USD"), LiveState()
    classes = Destinations((DestinationClass("international", ("*",)), DestinationClass("home", ("44",))))
    content = replace(catalogue([mapping_gateway("acme-pbx")]), destinations=classes)
    block = Override(Target.DESTINATION, "acme/international", Setting.BLOCKED, "", "vosd", 0, None, "")
    live.blocks.block(block)
    assert (destination_objection(account, number, content, live) is not None) == is_refused
