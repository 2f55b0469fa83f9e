"""Objects of the configuration beside the switch: one is found without the others."""

import itertools
import sqlite3

import msgspec
import pytest

from vosd.catalogue.stored_objects import ObjectVersion
from vosd.storage.kept_objects import KeptObjects, KeptState, MissingObjectsError

ACME = ObjectVersion(
    kind="accounts", name="acme", version=1, body="{}", begins_at=1, made_at=2, operator="ann", memo="why"
)
SHOP = msgspec.structs.replace(ACME, name="shop", memo=None)
TRUNK = msgspec.structs.replace(ACME, kind="mapping_gateways")


@pytest.fixture
def kept(tmp_path) -> KeptObjects:
    kept = KeptObjects(tmp_path / "below" / "objects.db")
    kept.write(KeptState(7, 100, 200), [ACME, SHOP, TRUNK], everything=True)
    return kept


def test_each_object_is_found_by_kind_and_name(kept):
    accounts = kept.by_kind()["accounts"]
    assert (accounts["acme"], accounts.get("other"), "shop" in accounts) == (ACME, None, True)
    assert dict(accounts) == {"acme": ACME, "shop": SHOP}
    assert (accounts["shop"], len(accounts), [*kept.by_kind()]) == (SHOP, 2, ["accounts", "mapping_gateways"])
    assert kept.state() == KeptState(7, 100, 200)


def test_the_texts_of_some_keys_are_read_without_the_objects(kept):
    body = '{"hosts": ["192.0.2.1", "192.0.2.2"], "account": "acme", "auth": {"username": "t1", "password": "secret"}}'
    trunks = [msgspec.structs.replace(TRUNK, name="in", body=body), msgspec.structs.replace(SHOP, kind=TRUNK.kind)]
    kept.write(KeptState(8, 300, None), trunks, everything=True)
    found = kept.by_kind()["mapping_gateways"].searched(("account", "groups"), ("hosts", "auth.username"))
    assert [(name, shown.split(), inner.split()) for name, shown, inner in found] == [
        ("in", ["acme"], ['["192.0.2.1","192.0.2.2"]', "t1", "why"]),
        ("shop", [], []),
    ]
    assert [each.name for each in kept.by_kind()["mapping_gateways"].searched((), ())] == ["in", "shop"]


def test_many_objects_of_a_kind_are_not_read_one_by_one(kept, monkeypatch):
    many = {f"a{number}": msgspec.structs.replace(ACME, name=f"a{number}") for number in range(100)}
    kept.write(KeptState(8, 300, None), many.values(), everything=True)
    accounts, opened = kept.by_kind()["accounts"], []
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *words, **more: opened.append(1) or connect(*words, **more))
    assert {name: accounts[name] for name in many} == many
    assert "other" not in accounts
    assert len(opened) < 30


def test_a_few_names_are_read_without_all_the_others(kept, monkeypatch):
    many = {f"a{number:05}": msgspec.structs.replace(ACME, name=f"a{number:05}") for number in range(3_500)}
    kept.write(KeptState(8, 300, None), many.values(), everything=True)
    connect, read = sqlite3.connect, []

    class Noted(sqlite3.Cursor):
        def fetchall(self):
            rows = super().fetchall()
            read.extend(rows)
            return rows

    class Connection(sqlite3.Connection):
        def execute(self, *words):
            return self.cursor(Noted).execute(*words)

    monkeypatch.setattr(sqlite3, "connect", lambda *words, **more: connect(*words, factory=Connection, **more))
    accounts = kept.by_kind()["accounts"]
    read.clear()
    first = [*itertools.islice(accounts, 50)]
    assert ([accounts[name] for name in first], len(read)) == ([many[name] for name in first], 1_000)
    assert [*accounts] == [*many]
    assert (dict(accounts), len(accounts), len(read)) == (many, len(many), 1_000 + len(many))


def test_names_are_gone_through_beside_another_one_that_has_not_come_to_the_end_while_one_is_added(kept):
    many = [msgspec.structs.replace(ACME, name=f"a{number:05}") for number in range(2_500)]
    kept.write(KeptState(8, 300, None), many, everything=True)
    accounts = kept.by_kind()["accounts"]
    slow = iter(accounts)
    next(slow)
    names = [*accounts]
    third = iter(accounts)
    next(third)
    kept.write(KeptState(9, 400, None), [msgspec.structs.replace(ACME, name="a01500-new")], everything=False)
    assert "a01500-new" in [*slow]
    assert [*third] == names[1:]


def test_the_texts_of_keys_are_found_without_the_other_objects(kept):
    def account(name: str, body: str) -> ObjectVersion:
        return msgspec.structs.replace(ACME, name=name, body=body)

    written = [
        account("by-name", '{"agent":"shop","memo":"x"}'),
        account("by-number", '{"agent":7}'),
        account("by-variable", '{"agent":"${SHOP}"}'),
        account("by-template", '{"template":"small"}'),
        account("in-a-value", '{"memo":"an agent"}'),
        account("nowhere", '{"memo":"x"}'),
    ]
    kept.write(KeptState(8, 300, None), [*written, TRUNK], everything=True)
    assert kept.by_kind()["accounts"].texts("agent", "template") == [
        ("by-name", ["shop", ""]),
        ("by-number", ["7", ""]),
        ("by-template", ["", "small"]),
        ("by-variable", None),
        ("in-a-value", ["", ""]),
    ]


def test_a_change_replaces_what_it_names_and_nothing_else(kept):
    newer, ended = (msgspec.structs.replace(each, version=2) for each in (ACME, SHOP))
    kept.write(KeptState(8, 300, None), [newer, msgspec.structs.replace(ended, body=None)], everything=False)
    assert {kind: dict(found) for kind, found in kept.by_kind().items()} == {
        "accounts": {"acme": newer},
        "mapping_gateways": {"acme": TRUNK},
    }
    assert kept.state() == KeptState(8, 300, None)
    kept.write(KeptState(9, 400, None), [TRUNK], everything=True)
    assert [*kept.by_kind()] == ["mapping_gateways"]


def test_a_file_that_is_missing_or_damaged_is_named(kept, tmp_path):
    with pytest.raises(MissingObjectsError, match=r"none\.db: objects that the database defines"):
        KeptObjects(tmp_path / "none.db").by_kind()
    (tmp_path / "below" / "objects.db").write_bytes(b"x" * 5_000)
    assert kept.state() is None
    with pytest.raises(MissingObjectsError):
        kept.by_kind()
    with pytest.raises(OSError, match="not a database"):
        kept.write(KeptState(9, 400, None), [TRUNK], everything=False)
    kept.write(KeptState(9, 400, None), [TRUNK], everything=True)
    assert dict(kept.by_kind()["mapping_gateways"]) == {"acme": TRUNK}
