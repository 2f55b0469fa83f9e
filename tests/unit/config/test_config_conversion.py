"""Keys to structs by name: what is copied, and which mistakes of a developer are errors at import."""

from decimal import Decimal
from typing import Annotated, NamedTuple

import msgspec
import pytest

from vosd.config.assembly.conversion import Conversion, require_all_used
from vosd.config.reader.amounts import price
from vosd.config.reader.fields import Keys, milliseconds, object_name, whole


class DoorKeys(Keys):
    name: Annotated[str, object_name()]
    height: Annotated[int | None, whole(1, 9)] = None
    close_after: Annotated[int, milliseconds(0, 9_000)] = 1_000
    colours: tuple[Annotated[str, object_name()], ...] = ()


class Door(NamedTuple):
    name: str
    height: int | None = 2
    close_after_ms: int = 0
    colours: tuple[str, ...] = ()


class Fence(msgspec.Struct, frozen=True):
    name: str
    colour: str
    height: int | None = 2
    close_after_ms: int = 0


class Roof(NamedTuple):
    height: int | None = 2
    close_after_ms: int = 0


class Painted(NamedTuple):
    label: str
    colour: str = "white"


KEYS = DoorKeys.model_validate({"name": "front", "height": "3", "close_after": "2.5", "colours": ["red"]})


def test_keys_are_copied_into_the_fields_of_their_names_with_or_without_unit():
    conversion = Conversion(DoorKeys, Door)
    assert conversion(KEYS) == Door("front", 3, 2_500, ("red",))
    require_all_used(DoorKeys, conversion)


def test_keys_of_another_name_and_those_made_by_hand_stand_in_tables():
    conversion = Conversion(DoorKeys, Painted, renamed={"name": "label"}, by_hand={"colours": "colour"})
    assert conversion(KEYS, colour="red") == Painted("front", "red")
    require_all_used(DoorKeys, conversion, elsewhere={"height": "the frame", "close_after": "the frame"})


def test_items_with_the_same_values_have_a_shared_struct_in_common_and_others_their_own():
    conversion = Conversion(DoorKeys, Painted, renamed={"name": "label"}, by_hand={"colours": "colour"}, is_shared=True)
    first = conversion(KEYS, colour="red")
    assert conversion(KEYS, colour="red") is first
    assert conversion(KEYS, colour="blue") == Painted("front", "blue")
    assert conversion(KEYS.model_copy(update={"name": "back"}), colour="blue") == Painted("back", "blue")
    with pytest.raises(TypeError, match="values are missing: colour"):
        conversion(KEYS)


def test_values_that_are_equal_and_not_the_same_are_no_reason_to_share():
    class PriceKeys(Keys):
        cost: Annotated[Decimal, price()] = Decimal(0)

    class Price(NamedTuple):
        cost: Decimal = Decimal(0)

    conversion = Conversion(PriceKeys, Price, is_shared=True)
    short, long = (conversion(PriceKeys.model_validate({"cost": text})) for text in ("1", "1.0"))
    assert (short, str(short.cost), str(long.cost)) == (long, "1", "1.0")


def test_a_key_that_is_in_no_field_is_an_error_that_names_it():
    conversion = Conversion(DoorKeys, Painted, renamed={"name": "label"}, by_hand={"colours": "colour"})
    with pytest.raises(TypeError, match="key 'close_after' of DoorKeys has no effect"):
        require_all_used(DoorKeys, conversion, elsewhere={"height": "the frame"})


def test_keys_may_be_in_the_fields_of_several_structs():
    painted = Conversion(DoorKeys, Painted, renamed={"name": "label"})
    require_all_used(DoorKeys, painted, Conversion(DoorKeys, Door))
    assert painted.used == {"name"}


def test_a_field_of_the_same_name_and_another_type_is_an_error():
    class Measured(NamedTuple):
        height: int

    with pytest.raises(
        TypeError, match=r"key 'height' of DoorKeys is int \| None, but field 'height' is <class 'int'>"
    ):
        Conversion(DoorKeys, Measured)


def test_a_value_that_is_made_by_hand_cannot_be_forgotten():
    conversion = Conversion(DoorKeys, Painted, renamed={"name": "label"}, by_hand={"colours": "colour"})
    with pytest.raises(TypeError, match="values are missing: colour"):
        conversion(KEYS)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"renamed": {"nam": "label"}}, "no key nam in DoorKeys"),
        ({"by_hand": {"name": "lable"}}, "no field lable in Painted"),
    ],
)
def test_a_table_that_names_what_does_not_exist_is_an_error(tables, message):
    with pytest.raises(TypeError, match=message):
        Conversion(DoorKeys, Painted, **tables)


def test_a_key_that_is_copied_needs_no_exception():
    with pytest.raises(TypeError, match="key 'name' of DoorKeys is copied and named in elsewhere"):
        require_all_used(DoorKeys, Conversion(DoorKeys, Door), elsewhere={"name": "the bell"})


class Gate(msgspec.Struct):
    name: str
    rails: list[str] = []
    colour: str = "white"
    close_after_ms: int = 0
    height: int | None = 2


def test_fields_between_those_that_are_given_keep_their_defaults():
    conversion = Conversion(DoorKeys, Gate)
    first, second = conversion(KEYS), conversion(KEYS)
    assert first == second == Gate("front", [], "white", 2_500, 3)
    assert first.rails is not second.rails


class Slope(msgspec.Struct, kw_only=True):
    height: int | None = 2
    name: str


def test_fields_that_are_passed_by_name_alone_are():
    assert Conversion(DoorKeys, Slope)(KEYS) == Slope(name="front", height=3)


def test_keys_that_are_left_out_have_their_defaults_whatever_others_have():
    conversion = Conversion(DoorKeys, Roof, is_shared=True)
    low, high = (DoorKeys.model_validate({"name": "front", **keys}) for keys in ({}, {"height": "9"}))
    assert [conversion(each) for each in (low, high, low)] == [Roof(None, 1_000), Roof(9, 1_000), Roof(None, 1_000)]
    assert conversion(low) is conversion(low.model_copy(update={"name": "back"}))


def test_an_item_with_few_keys_varies_what_all_have_in_common():
    conversion = Conversion(DoorKeys, Fence, by_hand={"colours": "colour"})
    usual = conversion.usual(colour="white")
    assert usual == Fence(None, "white", None, 1_000)
    front = DoorKeys.model_validate({"name": "front", "height": "3"})
    assert conversion.varied(usual, front) == conversion(front, colour="white") == Fence("front", "white", 3, 1_000)
    assert conversion.varied(usual, front, colour="red") == conversion(front, colour="red")
    back = DoorKeys(name="back")
    assert conversion.varied(usual, back) == conversion(back, colour="white"), "nothing is left of the item before"


def test_items_do_not_vary_a_default_that_each_has_for_itself():
    class Listed(Keys):
        colours: list[str] = []  # noqa: RUF012 - pydantic copies it

    class Colours(msgspec.Struct):
        colours: list[str]

    with pytest.raises(TypeError, match="Listed has keys without constant defaults"):
        Conversion(Listed, Colours).usual()
