"""Masking of numbers: what is kept, what is lost, and that nothing is left of a number in any text of a call."""

import json
import re

from hypothesis import assume, example, given, strategies as st

from vosd.cdr.masking import KEPT, MASKED, Mask, masked

NUMBERS = st.from_regex(r"\+?[0-9]{1,15}", fullmatch=True)
PREFIXES = st.lists(st.from_regex(r"[0-9]{1,15}", fullmatch=True), max_size=4)
AROUND = st.text(alphabet="abc+@. -:", max_size=12)


def test_a_number_keeps_what_it_was_rated_by():
    assert masked("442079460123", ("44", "44207", "*")) == "44207xxxxxxx"
    assert masked("+442079460123", ("44207",)) == "+44207xxxxxxx"
    assert masked("442079460123", ()) == "4420xxxxxxxx"
    assert masked("442079460123", ("442079460123",)) == "44207946xxxx"
    assert [masked(each) for each in ("112", "2001", "20011", "alice", "anonymous", "")] == [
        "xxx", "xxxx", "2xxxx", "axxxx", "anonymous", "",
    ]  # fmt: skip


@given(number=NUMBERS, prefixes=PREFIXES)
@example(number="4420794601", prefixes=["442079460", "44"])
def test_the_last_digits_go_and_a_repeat_changes_nothing(number, prefixes):
    once = masked(number, prefixes)
    body = number.lstrip("+")
    assert len(once) == len(number)
    assert once.endswith("x" * min(MASKED, len(body)))
    kept = once.rstrip("x").lstrip("+")
    assert body.startswith(kept)
    assert len(kept) <= max([KEPT, *(len(each) for each in prefixes if body.startswith(each))])
    assert masked(once, prefixes) == once


@given(numbers=st.lists(NUMBERS, min_size=1, max_size=3), prefixes=PREFIXES, parts=st.lists(AROUND, min_size=1))
def test_no_long_number_is_left_in_a_text(numbers, prefixes, parts):
    mask = Mask(numbers, prefixes)
    text = "".join(part + numbers[place % len(numbers)] for place, part in enumerate(parts))
    document = json.dumps({"refusal": text, "left": [{"reason": text}], "weight": 100})
    for result in (mask.text(text), mask.document(document)):
        for number in numbers:
            digits = number.lstrip("+")
            assert len(digits) < 6 or digits[-8:] not in result
    assert json.loads(mask.document(document))["weight"] == 100


@given(number=NUMBERS)
def test_the_name_of_a_phone_is_its_number(number):
    assume(len(number.lstrip("+")) > 3)
    assert Mask([number], ()).name(number) == masked(number)
    assert Mask([number], ()).name("carrier-a") == "carrier-a"


def test_other_notations_of_a_number_go_as_well():
    mask = Mask(["442079460123", "2001"], ("4420",))
    assert mask.text("from 02079460123 to 00442079460123") == "from 020xxxxxxxx to 004420xxxxxxxx"
    assert mask.text("caller 2001, 200 OK, a20015") == "caller xxxx, 200 OK, a20015"
    assert not re.search(r"\d", mask.text("a84b-442079460123@10").partition("@")[0].removeprefix("a84b-4420"))


def test_a_document_without_a_number_stays_byte_for_byte():
    document = '{ "plan": "premium",  "refusal": "zu teuer" }'
    assert Mask(["442079460123"], ()).document(document) is document
    assert Mask(["442079460123"], ()).document('{"broken": "442079460123') == '{"broken": "4420xxxxxxxx'


def test_a_number_that_begins_with_another_one_of_the_call_is_masked_to_its_end():
    for numbers in (["207946", "20794601"], ["20794601", "207946"]):
        assert Mask(numbers, ()).text("20794601 by 207946") == "xxxxxxxx by xxxxxx"
