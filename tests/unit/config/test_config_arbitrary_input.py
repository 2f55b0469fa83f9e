"""Whatever stands in a file, it is either understood or named: never a traceback (property)."""

import tempfile
from pathlib import Path

import yaml
from doubles.exploring import examples
from hypothesis import example, given, settings, strategies as st

from vosd.catalogue.problems import ConfigError
from vosd.config.keys.installation import InstallationKeys
from vosd.config.load import Loaded, load

KNOWN = [
    *InstallationKeys.by_key(), *InstallationKeys.apart, "name", "id", "account", "hosts", "address", "prefixes",
    "rates", "rates_file", "listen", "timers", "t1", "url", "template", "rate_group", "billing_rate", "prefix",
    "SS_BILLINGUNIT",
]  # fmt: skip

WORDS = st.one_of(
    st.sampled_from(
        ["", "0044", "no", "44", "*", "from_rates", "192.0.2.1", "[::1]:5060", "${X}", "${", "30/6", "unlimited", "a",
         "udp:127.0.0.1:5060", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "mysql+aiomysql://[/x", "/", "*/*"]
    ),
    st.text(max_size=12),
)  # fmt: skip
KEYS = st.one_of(st.sampled_from(KNOWN), st.text(max_size=6))
TREES = st.recursive(
    WORDS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=30
)


def outcome(content: bytes) -> Loaded | ConfigError:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "vosd.yaml"
        path.write_bytes(content)
        try:
            return load(path, {"X": "y"})
        except ConfigError as error:
            return error


@settings(max_examples=examples(40, 150), deadline=None)
@given(st.dictionaries(KEYS, TREES, max_size=8))
@example({"include": "*"})
@example({"include": "\0"})
@example({"rate_groups": [{"name": "g", "rates_file": "\0"}]})
@example({"include": "[" * 20 + "**"})
def test_any_tree_is_understood_or_named(tree):
    found = outcome(yaml.safe_dump(tree).encode())

    if isinstance(found, ConfigError):
        assert found.problems
        assert all(problem.file and problem.expected for problem in found.problems)


@settings(max_examples=examples(40, 150), deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text("{}[]:,-&*!|>'\"#%@`?$ \n\tab<0~", max_size=60).map(str.encode)))
@example(b"\xff\xfe\x00")
@example(b"? - : &a *a")
@example(b"--- |\n")
@example(b"%YAML 9.9\n---\na: b")
@example(b"a: !")
def test_any_bytes_are_understood_or_named(content):
    found = outcome(content)

    assert isinstance(found, Loaded) or found.problems
