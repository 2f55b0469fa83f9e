"""A large mapping that shares its entries with an earlier one holds what a copy would hold."""

from collections.abc import Mapping
from unittest.mock import patch

from doubles.exploring import examples
from hypothesis import given, settings, strategies as st

from vosd.base import edited as module
from vosd.base.edited import Edited, edited

KEYS = st.sampled_from("abcdefghij")
EDITS = st.lists(st.tuples(st.frozensets(KEYS, max_size=3), st.dictionaries(KEYS, st.integers(0, 3), max_size=3)))


def in_order(before: Mapping[str, int], without: frozenset[str], things: dict[str, int]) -> dict[str, int]:
    return {**{key: each for key, each in before.items() if key not in without and key not in things}, **things}


@given(st.dictionaries(KEYS, st.integers(0, 3), min_size=1), EDITS, st.integers(0, 12))
@settings(max_examples=examples(100, 3_000))
def test_an_edited_mapping_is_a_copy_with_the_edits(start, edits, most):
    with patch.object(module, "LARGE", 1), patch.object(module, "EDITS_MAX", most):
        mapping, model = start, start
        earlier = []
        for without, things in edits:
            earlier.append((mapping, {**model}))
            mapping, model = edited(mapping, without, things), in_order(model, without, things)
            assert {**mapping} == dict(mapping.items()) == model
            assert len(mapping) == len(model) == len(mapping.values())
            assert [*mapping] == [key for key, _ in mapping.items()]
            assert [*mapping.values()] == [mapping[key] for key in mapping]
            for key in "abcdefghijk":
                assert (key in mapping) == (key in model)
                assert mapping.get(key, "none") == model.get(key, "none")
        for kept, model in earlier:
            assert dict(kept.items()) == model


def test_what_is_new_or_other_comes_last_and_no_entry_of_a_large_mapping_is_copied():
    large = {f"a{number}": number for number in range(module.LARGE)}
    made = edited(large, {"a1"}, {"new": 1, "a2": 5})
    assert isinstance(made, Edited)
    assert [*made][:2] == ["a0", "a3"]
    assert [*made][-2:] == ["new", "a2"]
    assert "a1" not in made
    assert made.get("a1") is None
    assert large["a2"] == 2
    assert edited(made, {"a1"}, {}) is made
    for number in range(module.EDITS_MAX - 4):
        made = edited(made, set(), {f"b{number}": number})
    assert isinstance(made, Edited)
    made = edited(made, set(), {"one more": 1})
    assert type(made) is dict
    assert len(made) == module.LARGE + module.EDITS_MAX - 3
