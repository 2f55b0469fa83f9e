"""An operation has order, result and permission of its use case, where it gives none."""

from types import NoneType
from typing import Any

import msgspec
import pytest

from vosd.admin.office.office import Office
from vosd.admin.office.people import ListPeople, PersonSheet, list_people
from vosd.admin.office.principal import Permission, Principal
from vosd.api.operation import Listing, Operation


class Question(msgspec.Struct, frozen=True):
    """An order."""


async def answer(_office: Office, _who: Principal, _order: Question) -> None:
    """Do what needs no permission."""


def operation(run: Any, **given: Any) -> Operation:
    return Operation("GET /people", "", run, **given)


def test_order_result_and_permission_are_those_of_the_use_case():
    made = operation(list_people)
    assert (made.takes, made.result, made.permission) == (ListPeople, list[PersonSheet], Permission.PEOPLE_SEE)
    assert operation(answer, permission=None).result is NoneType


def test_the_result_of_a_list_is_that_of_an_item():
    assert operation(list_people, listing=Listing("name")).result is PersonSheet


def test_what_is_given_holds():
    assert operation(answer, permission=None).permission is None
    assert operation(list_people, takes=Question, permission=None).takes is Question


def test_an_operation_without_permission_has_to_say_so():
    """Left out by mistake it would be open to everyone."""
    with pytest.raises(AttributeError):
        operation(answer)
