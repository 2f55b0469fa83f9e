"""YAML files as they are read: text stays text, and a broken file is a problem with a line."""

import gc

import pytest

from vosd.config import load
from vosd.config.reader.document import ALIASED_NODES_MAX, DEPTH_MAX
from vosd.config.reader.includes import FILE_BYTES_MAX
from vosd.config.reader.whole_files import with_items


@pytest.mark.parametrize("text", ["0044", "no", "10:30", "0.10", "1_000", "0x10", "~", "null", "2026-01-01", "1e3"])
def test_a_name_keeps_every_character_that_is_written(site, text):
    assert site.load(f"node: {text}\n").settings.node == text


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        (
            "node: [1, 2\nsip: }",
            2,
            "valid YAML: did not find expected ',' or ']' (while parsing a flow sequence of line 1)",
        ),
        ("node: sw1\n\tsip: x", 2, "blanks instead of the tab at the beginning of the line"),
        ("listen: x\nnode:sw1\n# the rest\nsip: x", 2, "a blank behind the colon of `key: value`"),
        ("node:sw1\nsip: x", 1, "a blank behind the colon"),
        ("node: \x01", 1, "valid YAML"),
        ("accounts:\n  - id: a\n  type: x", 3, "other blanks at the beginning of the line"),
        ("accounts:\n  - {id: a}\n - {id: b}", 3, "other blanks at the beginning of the line"),
        ("accounts:\n  - id: a\n     type: x", 3, "other blanks at the beginning of the line"),
        ("sip:\n  a: x\n b: x", 3, "stand one below the other"),
        (" node: a\nsip: b", 2, "other blanks at the beginning of the line"),
        ("node: a: b", 1, "quotes around a value that has a colon and a blank in it"),
        ("node: 'a' b", 1, "valid YAML: did not find expected key"),
        ("- one\n- two", 1, "keys and values at the top level"),
        ("node: sw1\n---\nnode: sw2", 2, "one YAML document"),
        ("node: *sw1", 1, "an anchor before its alias"),
        ("node: &n [*n]", 1, "an anchor before its alias"),
        ("node: !!python/object:os.system {}", 1, "no YAML tag"),
        ("? [a, b]\n: 1", 1, "a key that is one word"),
        ("a: " + "[" * (DEPTH_MAX + 2), 1, "levels of nesting"),
    ],
)
def test_a_file_that_is_no_configuration_is_named_with_its_line(site, text, line, expected):
    first = site.errors(text)[0]

    assert first.startswith(f"vosd.yaml:{line}: ")
    assert expected in first


def test_what_the_file_leaves_out_has_its_default(site):
    loaded = site.load("accounts: []\n")

    assert loaded.settings.node == "vosd"
    assert str(loaded.settings.listen[0]) == "udp:127.0.0.1:5060"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the file is empty"),
        (" \n\n", "the file is empty"),
        ("# nothing yet\n", "not only comments"),
        ("---\n...\n", "not only comments"),
        ("{}\n", "not only comments"),
    ],
)
def test_a_file_without_a_key_is_an_error(site, text, what):
    assert site.errors(text) == [f"vosd.yaml: expected keys and values; {what}"]


def test_a_section_with_everything_commented_out_means_its_defaults(site):
    loaded = site.load("limits:\n#  max_call_seconds: 60\naccounts:\nparameters:\ntemplates:\n")

    assert loaded.catalogue.parameters.max_call_seconds == 43_200


def test_a_key_that_stands_twice_is_named_with_both_lines(site):
    errors = site.errors("node: a\nsip:\n  server: x\n  server: y\nnode: b\n")

    assert errors == [
        "vosd.yaml:4: server: expected each key once; it also stands at vosd.yaml:3",
        "vosd.yaml:5: node: expected each key once; it also stands at vosd.yaml:1",
    ]


def test_a_key_that_stands_twice_in_an_object_is_named_with_the_object(site):
    errors = site.errors(
        "sip: {server: x, server: y}\n"
        "accounts:\n  - overdraft_limit: 1\n    overdraft_limit: 2\n    id: acme\n"
        "phones:\n  - {number: '100', account: acme, media: {codecs: [PCMU], codecs: [PCMA]}}\n"
    )

    assert [each for each in errors if "each key once" in each] == [
        "vosd.yaml:1: server: expected each key once; it also stands at vosd.yaml:1",
        "vosd.yaml:4: accounts[acme].overdraft_limit: expected each key once; it also stands at vosd.yaml:3",
        "vosd.yaml:7: phones[100].codecs: expected each key once; it also stands at vosd.yaml:7",
    ]


def test_anchors_and_merges_fill_what_an_object_leaves_open(site):
    loaded = site.load(
        """
        accounts:
          - &acme {id: acme, max_concurrent: 5, max_cps: 2}
          - {<<: *acme, id: globex, max_cps: 7}
        """
    )

    globex = loaded.catalogue.accounts["globex"]
    assert (globex.max_concurrent, globex.max_cps) == (5, 7)


def test_a_merge_of_something_else_than_a_mapping_is_an_error(site):
    assert site.errors("node: &text hello\nlimits: {<<: *text}\n") == [
        "vosd.yaml:2: <<: expected an alias of a mapping, or a list of them"
    ]


def test_aliases_that_grow_without_bound_are_stopped(site):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]

    (error,) = site.errors("\n".join(lines))

    assert f"aliases that stand for at most {ALIASED_NODES_MAX} values" in error


def test_a_file_that_is_too_large_is_not_read(site):
    (error,) = site.errors("#" * (FILE_BYTES_MAX + 1))

    assert f"expected a file of at most {FILE_BYTES_MAX} bytes" in error


def test_a_file_that_is_not_utf8_is_named_with_its_line(site):
    (site.directory / "vosd.yaml").write_bytes(b"node: sw1\n# caf\xe9\n")

    assert site.errors() == ["vosd.yaml:2: expected UTF-8 text"]


def test_a_missing_file_is_a_problem_like_any_other(site):
    (error,) = site.errors()

    assert error == "vosd.yaml: value 'vosd.yaml': expected a readable file: no such file or directory"


def test_environment_variables_are_put_into_values(site):
    site.environ = {"NODE": "sw7", "PORT": "5070"}

    settings = site.load("node: ${NODE}\nsip: {listen: 'udp:127.0.0.1:${PORT}'}\n").settings

    assert settings.node == "sw7"
    assert settings.listen[0].port == 5070


def test_a_variable_that_is_not_set_is_named(site):
    assert "vosd.yaml:1: node: value '${NODE}': expected the environment variable NODE to be set" in site.errors(
        "node: ${NODE}\n"
    )


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A B}", "x${A-B}"])
def test_a_variable_without_a_proper_name_is_an_error(site, text):
    assert "${NAME} with the name of an environment variable" in site.errors(f"node: '{text}'\n")[0]


def test_the_garbage_collector_pauses_while_a_file_is_read_and_goes_on_afterwards(site, monkeypatch):
    paused = []

    def note(*arguments, **options):
        paused.append(not gc.isenabled())
        return with_items(*arguments, **options)

    monkeypatch.setattr(load, "with_items", note)
    site.load("node: sw1")
    assert (paused, gc.isenabled()) == ([True], True)
    site.errors("nodes: sw1")
    assert gc.isenabled()
