"""Keys that fields declare: how each form is read, its default and its documentation (ADR 40)."""

from enum import Enum
from typing import Annotated, ClassVar

import msgspec
import pytest
from pydantic import ValidationError

from vosd.config.keys.trunks import DeclaredKeys
from vosd.config.reader.fields import object_name
from vosd.trunks.keys import limit, seconds, switch, whole, word


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Gate(msgspec.Struct):
    name: str
    code: Annotated[int, whole(1, 9, "Opens it.")]
    colour: Annotated[Colour, word("Its paint.")] = Colour.RED
    is_locked: Annotated[bool, switch("Whether it is locked.")] = True
    close_after_ms: Annotated[int, seconds(50, 9_000, "When it closes.")] = 1_000
    guests: Annotated[int | None, limit("At once.")] = None


class GateKeys(DeclaredKeys):
    name: Annotated[str, object_name()]

    declared_by: ClassVar[tuple[type[msgspec.Struct], ...]] = (Gate,)


def test_each_form_is_read_and_a_key_that_is_left_out_has_the_default_of_its_field():
    written = {"name": "a", "code": "7", "colour": "Blue", "is_locked": "no", "close_after": "0.5", "guests": "12"}
    assert GateKeys.model_validate(written).model_dump() == {
        "name": "a",
        "code": 7,
        "colour": Colour.BLUE,
        "is_locked": False,
        "close_after": 500,
        "guests": 12,
    }
    assert GateKeys.model_validate({"name": "a", "code": "7"}).model_dump() == {
        "name": "a",
        "code": 7,
        "colour": Colour.RED,
        "is_locked": True,
        "close_after": 1_000,
        "guests": None,
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [("code", "10"), ("colour", "green"), ("is_locked", "7"), ("close_after", "9.001"), ("guests", "0")],
)
def test_a_value_outside_its_bounds_is_refused(key, value):
    with pytest.raises(ValidationError, match=key):
        GateKeys.model_validate({"name": "a", "code": "7", key: value})


def test_a_key_without_default_is_required_and_each_has_its_meaning():
    with pytest.raises(ValidationError, match="code"):
        GateKeys.model_validate({"name": "a"})
    meanings = {name: field.description for name, field in GateKeys.by_key().items() if name != "name"}
    assert meanings == {
        "code": "Opens it.",
        "colour": "Its paint.",
        "is_locked": "Whether it is locked.",
        "close_after": "When it closes.",
        "guests": "At once.",
    }


def test_a_key_that_the_model_and_a_struct_declare_is_an_error():
    with pytest.raises(TypeError, match="key 'code' of Twice is declared twice"):

        class Twice(DeclaredKeys):
            code: Annotated[str, object_name()]

            declared_by: ClassVar[tuple[type[msgspec.Struct], ...]] = (Gate,)
