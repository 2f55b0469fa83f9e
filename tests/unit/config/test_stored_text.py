"""Objects of the database as lines of YAML: each reads back as what was stored, and is found by its name."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vosd.catalogue.problems import Place, Problem, ProblemList
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.reader.document import parse_document
from vosd.config.reader.regions import split
from vosd.config.stored_text import (
    KINDS,
    BadObjectError,
    Object,
    file_of,
    naming_objects,
    read_object,
    read_objects,
    with_changes,
)

CONFIG = Path("/etc/vosd/vosd.yaml")
NAMES = st.text(string.ascii_letters + string.digits + "._@/+- é&#:'\"\\", min_size=1, max_size=8).filter(
    lambda name: name == name.strip()
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
VALUES = st.recursive(
    TEXTS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(string.ascii_lowercase, min_size=1, max_size=6), inner, max_size=3),
    ),
    max_leaves=6,
)
KEYS = st.dictionaries(st.text(string.ascii_lowercase + "_", min_size=3, max_size=8), VALUES, max_size=4)


def version_of(each: Object, version: int = 1) -> ObjectVersion:
    return ObjectVersion(
        kind=each.kind, name=each.name, version=version, body=each.body, begins_at=0, made_at=0, operator="ann"
    )


def end_of(kind: str, name: str) -> ObjectVersion:
    return ObjectVersion(kind=kind, name=name, version=9, body=None, begins_at=0, made_at=0, operator="ann")


def text_of(*objects: Object) -> str:
    return with_changes("", objects[0].kind, map(version_of, objects))


@given(st.sampled_from(["accounts", "phones", "templates"]), st.dictionaries(NAMES, KEYS, min_size=1, max_size=5))
def test_what_is_stored_is_read_back_whatever_it_contains(kind, by_name):
    objects = [Object(kind, name, keys) for name, keys in by_name.items()]
    text = text_of(*objects).replace("${", "$ {")
    expected = {each.name: str(each.keys).replace("${", "$ {") for each in objects}
    read = read_objects(text, "here", {})
    assert {each.name: str(each.keys) for each in read} == expected


@given(st.dictionaries(NAMES, KEYS, min_size=1, max_size=5))
def test_each_object_is_one_item_of_a_list_that_can_be_split(by_name):
    text = text_of(*(Object("accounts", name, keys) for name, keys in by_name.items()))
    found = split(text)
    assert found is not None
    assert [len(region.bodies) for region in found.regions] == [len(by_name)]


@given(st.sampled_from([*KINDS]), st.lists(st.tuples(st.sampled_from(["a", "a.b", "a+", "b"]), st.booleans())))
def test_a_change_replaces_the_line_of_its_object_and_no_other(kind, changes):
    text, expected = "", {}
    for number, (name, is_there) in enumerate(changes, start=1):
        keys = str(number) if kind == "parameters" else {"memo": str(number)}
        change = version_of(Object(kind, name, keys), number) if is_there else end_of(kind, name)
        text = with_changes(text, kind, [change])
        expected.pop(name, None)
        if is_there:
            expected[name] = keys
    assert {each.name: each.keys for each in read_objects(text, "here", {})} == expected
    assert text == "" or expected


def test_lines_are_those_that_a_person_would_write():
    acme = Object("accounts", "acme", {"rate_group": "sell", "credit_limit": "5.00", "memo": "A & B: 1"})
    assert text_of(acme) == (
        'accounts:\n- {id: acme, rate_group: sell, credit_limit: 5.00, memo: "A \\u0026 B: 1"} # 1\n'
    )
    assert text_of(Object("parameters", "SS_SIP_SESSION_TTL", "900")) == "parameters:\n  SS_SIP_SESSION_TTL: 900 # 1\n"


def test_a_problem_names_the_object_and_its_version_instead_of_a_line():
    file = file_of("accounts", CONFIG)
    text = with_changes("", "accounts", [version_of(Object("accounts", name, {"memo": "x"}), 3) for name in "ab"])
    problems = ProblemList()
    problems.error(Place(str(file), 3), "accounts[b].memo", f"something else than at {file}:2", "x")
    problems.error(Place(str(file), 1), "accounts", "a list")
    problems.error(Place(str(CONFIG), 7), "accounts[a].id", f"each id once; it also stands at {file}:2")
    first = "accounts a (version 3) in the database"
    assert [str(each) for each in naming_objects(problems.in_order(), {file: text})] == [
        "accounts in the database: accounts: expected a list",
        f"accounts b (version 3) in the database: accounts[b].memo: value 'x': expected something else than at {first}",
        f"/etc/vosd/vosd.yaml:7: accounts[a].id: expected each id once; it also stands at {first}",
    ]


def test_problems_of_files_stay_as_they_are():
    found = Problem("/etc/vosd/vosd.yaml", 3, "node", "x", "a name")
    assert naming_objects([found], {}) == (found,)


def test_an_object_is_read_with_or_without_its_name_and_its_variables_stay():
    text = "rate_group: sell\npassword: ${PW}\nhosts: [192.0.2.1]\nmemo:\n"
    keys = {"rate_group": "sell", "password": "${PW}", "hosts": ["192.0.2.1"]}
    assert read_object("accounts", "acme", text, "f", {"PW": "x"}) == Object("accounts", "acme", keys)
    assert read_object("accounts", "acme", f"id: acme\n{text}", "f", {"PW": "x"}).keys == keys
    assert read_object("parameters", "SS_X", "12\n", "f", {}) == Object("parameters", "SS_X", "12")


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("acounts", "", "'acounts' is no kind of object; did you mean 'accounts'"),
        ("accounts", "id: other\n", "f: id: value 'other': expected acme, the name that was given"),
        ("accounts", "- a\n", "f:1: expected keys and values at the top level"),
        ("accounts", "a: 1\na: 2\n", "f:2: a: expected each key once"),
    ],
)
def test_what_is_no_object_is_refused_with_its_place(kind, text, message):
    with pytest.raises(BadObjectError) as refused:
        read_object(kind, "acme", text, "f", {})
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sip: {}\n", "'sip' is no kind of object"),
        ("accounts: {a: 1}\n", "f:1: accounts: expected a list of objects"),
        ("templates: [a]\n", "f:1: templates: expected a mapping of objects"),
        ("accounts: [{memo: x}]\n", "f:1: accounts.id: expected keys and values in each item, with its name"),
        ("accounts: [{id: a}, {id: a}]\n", "f: accounts: value 'a': expected each object once"),
    ],
)
def test_a_file_of_objects_has_only_objects(text, message):
    with pytest.raises(BadObjectError) as refused:
        read_objects(text, "f", {})
    assert message in str(refused.value)


def test_lists_of_the_database_are_read_as_those_of_files():
    text = text_of(Object("phones", "1001", {"password": "a: b", "account": "acme"}))
    document = parse_document(text, "f", {}, ProblemList())
    assert document is not None
    assert document.entries["phones"].node.items[0].entries["password"].node.text == "a: b"
