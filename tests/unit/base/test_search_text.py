"""Things are found by a part of their texts, in the order of their names."""

import pytest

from vosd.base.search_text import Searched, SearchText

THINGS = SearchText(
    [
        Searched("shop-2", "The Second Shop", "calls late"),
        Searched("shop-1", "The First Shop", "pays\nlate"),
        Searched("mill", "Windmühle", ""),
        Searched("442079460000-442079460099"),
        Searched("442079460050-1"),
        Searched("44207946"),
    ]
)


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("SHOP", ["shop-1", "shop-2"]),
        ("first shop", ["shop-1"]),
        ("windmÜHLE", ["mill"]),
        ("late", ["shop-1", "shop-2"]),
        ("pays late", ["shop-1"]),
        ("millshop", []),
        ("442079460050", ["442079460000-442079460099", "442079460050-1"]),
        ("442079460099", ["442079460000-442079460099"]),
        ("442079460100", []),
        ("44207946000a", []),
        ("4420794600\u06600", []),
        ("44207946005", ["442079460050-1"]),
        ("4420794600", ["442079460000-442079460099", "442079460050-1"]),
        ("", ["44207946", "442079460000-442079460099", "442079460050-1", "mill", "shop-1", "shop-2"]),
    ],
)
def test_what_has_a_part_is_found_by_name_in_any_letters_and_a_number_in_its_range(part: str, found: list[str]) -> None:
    assert [*THINGS.having(part)] == found
    for place, name in enumerate(found):
        assert [*THINGS.having(part, name)] == found[place + 1 :]
        assert THINGS.has(name, part, is_inner=True)


def test_inner_texts_are_told_apart() -> None:
    assert [THINGS.has("shop-1", each, is_inner=False) for each in ("SHOP-1", "first", "pays", "second")] == [
        True, True, False, False,
    ]  # fmt: skip
    assert [THINGS.has("shop-1", each, is_inner=True) for each in ("pays", "calls")] == [True, False]
    assert not THINGS.has("shop", "shop", is_inner=True)


def test_nothing_is_found_in_nothing() -> None:
    assert [*SearchText([]).having("")] == []
    assert not SearchText([]).has("", "", is_inner=True)
