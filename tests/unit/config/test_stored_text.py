"""Objects of the database in the document of a configuration: each reads back as what was stored."""

import json
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given, strategies as st

from vosd.catalogue.problems import DefinitionProblem, ProblemList, SourceLine
from vosd.catalogue.stored_objects import KINDS, BadObjectError, ObjectVersion
from vosd.config.reader.document import Node, Scalar, Section, YamlList
from vosd.config.stored_text import (
    Object,
    document_of,
    naming_objects,
    place_of,
    read_object,
    read_objects,
    section_of,
    yaml_of,
)

CONFIG = Path("/etc/vosd/vosd.yaml")
DIRECTORY = str(CONFIG.parent)
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
        kind=each.kind,
        name=each.name,
        version=version,
        body=json.dumps(each.keys, ensure_ascii=False),
        begins_at=0,
        made_at=0,
        operator="ann",
    )


def document(*objects: Object) -> Section:
    problems = ProblemList()
    found = document_of(map(version_of, objects), CONFIG, {}, problems)
    assert not len(problems)
    return found


@given(st.sampled_from(["accounts", "phones", "templates"]), st.dictionaries(NAMES, KEYS, min_size=1, max_size=5))
def test_what_is_stored_is_read_back_whatever_it_contains(kind, by_name):
    objects = [Object(kind, name, keys) for name, keys in by_name.items()]
    objects = [each._replace(keys=eval(repr(each.keys).replace("${", "$ {"))) for each in objects]
    node = document(*objects).entries[kind].node
    if isinstance(node, Section):
        read = {name: plain(entry.node) for name, entry in node.entries.items()}
    else:
        read = {item.entries[KINDS[kind]].node.text: without(plain(item), KINDS[kind]) for item in node.items}
    assert read == {each.name: without(each.keys, KINDS[kind]) for each in objects}


def without(keys: dict[str, object], key: str | None) -> dict[str, object]:
    return {name: value for name, value in keys.items() if name != key}


def plain(node: Node) -> object:
    match node:
        case Scalar():
            return node.text
        case YamlList():
            return [plain(item) for item in node.items]
        case Section():
            return {name: plain(entry.node) for name, entry in node.entries.items()}


def test_objects_of_a_kind_are_in_the_order_of_their_names_and_parameters_keep_their_values():
    found = document(*(Object("accounts", name, {"memo": name}) for name in "bac"), Object("parameters", "SS_X", "12"))
    assert [item.entries["id"].node.text for item in found.entries["accounts"].node.items] == ["a", "b", "c"]
    assert found.entries["parameters"].node.entries["SS_X"].node.text == "12"


def test_a_variable_of_an_object_is_replaced_but_in_its_name_and_one_that_is_not_set_is_named_with_the_object():
    problems = ProblemList()
    each = version_of(Object("phones", "${PW}", {"password": "${PW}", "memo": "${GONE}"}))
    section = section_of(each, DIRECTORY, {"PW": "secret"}, problems)
    assert section.entries["password"].node.text == "secret"
    assert section.entries["number"].node.text == "${PW}"
    (found,) = naming_objects(problems.in_order(), CONFIG)
    assert str(found).startswith("phones ${PW} (version 1) in the database: memo: value '${GONE}': expected the env")


def test_a_problem_names_the_object_and_its_version_without_a_line():
    one, other = (version_of(Object("accounts", name, {"memo": "x"}), 3) for name in ("a", "../b c/d"))
    assert Path(place_of(other, DIRECTORY).file).parent == CONFIG.parent, "paths are relative to the configuration"
    problems = ProblemList()
    problems.error(
        place_of(other, DIRECTORY), "accounts[b].memo", f"something else than at {place_of(one, DIRECTORY)}", "x"
    )
    problems.error(document_of([one], CONFIG, {}, problems).entries["accounts"].place, "accounts", "a list")
    problems.error(
        SourceLine(str(CONFIG), 7), "accounts[a].id", f"each id once; it also stands at {place_of(one, DIRECTORY)}"
    )
    first = "accounts a (version 3) in the database"
    second = "accounts ../b c/d (version 3) in the database"
    assert sorted(str(each) for each in naming_objects(problems.in_order(), CONFIG)) == [
        f"/etc/vosd/vosd.yaml:7: accounts[a].id: expected each id once; it also stands at {first}",
        f"{second}: accounts[b].memo: value 'x': expected something else than at {first}",
        "accounts in the database: accounts: expected a list",
    ]


def test_problems_of_files_stay_as_they_are():
    found = DefinitionProblem("/etc/vosd/vosd.yaml", 3, "node", "x", "a name")
    assert naming_objects([found], CONFIG) == (found,)


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


def test_text_in_another_order_is_escaped_on_terminals_and_read_as_it_was():
    keys = {"label": "acm\u00e9 \u202e001\u2069", "currency": "USD"}
    shown = yaml_of(keys)
    assert shown.isascii()
    assert yaml.safe_load(shown) == keys
    assert yaml_of({"label": "acm\u00e9"}) == "label: acm\u00e9\n"
