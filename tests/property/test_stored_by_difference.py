"""Objects of the database that are taken in by their versions give the same catalogue as when all is read."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import test_catalogue_by_difference as customers
from doubles.exploring import examples
from hypothesis import example, given, settings, strategies as st

from vosd.catalogue import by_difference
from vosd.catalogue.catalogue import Changes
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import Loaded, load
from vosd.config.reader.whole_files import read_by_a_process
from vosd.config.stored import Stored, Wanted
from vosd.config.stored_text import KINDS, read_objects, with_changes

ENVIRON = {"LIMIT": "2", "SECRET": "long-enough-secret"}
NAMES = ["c1", "c2", "t1", "top", "base", "sell", "other", "euro", "bad", "some", "none", "v1", "v2", "1001", "chief"]
"""Names of objects of every kind, which stand in the files now and then and in the database else."""


class Stores:
    """Objects of a database that change from day to day."""

    def __init__(self) -> None:
        self.version = 0
        self.bodies: dict[tuple[str, str], str | None] = {}
        self.history: list[list[ObjectVersion]] = []

    def become(self, bodies: dict[tuple[str, str], str]) -> None:
        """Define these objects from now on, and no others."""
        wanted = {**dict.fromkeys(self.bodies), **bodies}
        changed = {key: body for key, body in wanted.items() if self.bodies.get(key) != body}
        self.version += 1
        self.history.append([self._version(*key, body) for key, body in changed.items()])
        self.bodies = {key: body for key, body in wanted.items() if body is not None}

    def definitions(self, wanted: Wanted) -> Stored:
        since = None if wanted.known is None else wanted.known.version
        changes = [each for versions in self.history[since or 0 :] for each in versions]
        objects = with_changes({} if since is None or wanted.known is None else wanted.known.objects, changes)
        stored = Stored(self.version, objects=objects)
        return stored if since is None else stored._replace(changes=changes)

    def _version(self, kind: str, name: str, body: str | None) -> ObjectVersion:
        return ObjectVersion(
            kind=kind, name=name, version=self.version, body=body, begins_at=0, made_at=0, operator="ann"
        )


def write(path: Path, text: str, stores: Stores, *, is_stored: Callable[[str, str], bool]) -> None:
    """Write a configuration, some of its objects into the database."""
    sections = re.split(r"(?m)^(?=\w)", text)
    head = "".join(each for each in sections if each.partition(":")[0] not in KINDS)
    lists = "".join(each for each in sections if each.partition(":")[0] in KINDS)
    bodies, items = {}, dict[str, list[str]]()
    for each in read_objects(lists, "here", ENVIRON):
        if is_stored(each.kind, each.name):
            bodies[each.kind, each.name] = json.dumps(each.keys)
        else:
            items.setdefault(each.kind, []).append(f"  - {{{KINDS[each.kind]}: {each.name!r}, {str(each.keys)[1:]}\n")
    stores.become(bodies)
    path.write_text(head + "".join(f"{kind}:\n{''.join(those)}" for kind, those in items.items()))


@settings(max_examples=8, deadline=None)
@given(st.lists(customers.DAYS, min_size=1, max_size=3).map(customers.one_change), st.data())
@example([customers.BASE, customers.BASE._replace(accounts={"c1": "rate_group: euro"}), customers.BASE], None)
def test_objects_that_change_and_move_give_the_same_as_when_all_is_read(tmp_path_factory, days, data) -> None:
    path, stores, remembered = tmp_path_factory.mktemp("days") / "vosd.yaml", Stores(), Remembered()
    for day in days:
        in_files = set() if data is None else data.draw(st.sets(st.sampled_from(NAMES)))
        write(path, customers.written(day), stores, is_stored=lambda _kind, name: name not in in_files)  # noqa: B023

        def both(remembered: Remembered | None) -> object:
            return customers.outcome(lambda: load(path, ENVIRON, definitions=stores.definitions, remembered=remembered))

        assert both(remembered) == both(None)


def test_gateways_keep_the_order_of_the_file_after_later_changes(tmp_path: Path) -> None:
    path, remembered = tmp_path / "vosd.yaml", Remembered()
    gateways = "  - {name: v0, account: vendor, address: 192.0.2.7}\n"
    texts = [customers.written(customers.BASE)]
    texts.append(texts[0].replace("routing_gateways:\n", f"routing_gateways:\n{gateways}"))
    texts.append(texts[1].replace('prefixes: "4490"', 'prefixes: "4491"'))
    for text in texts:
        path.write_text(text)
        found = load(path, ENVIRON, remembered=remembered).catalogue
    assert [*found.routing_gateways] == ["v0", "v1", "v2", "v3", "v4"]


def test_one_object_of_the_database_is_all_that_is_looked_at(tmp_path: Path) -> None:
    path, stores, remembered = tmp_path / "vosd.yaml", Stores(), Remembered()
    remembered.reads = read_by_a_process
    path.write_text(customers.CUSTOMERS.replace("$price", "1").replace("phones:", "accounts: [{id: first}]\nphones:"))
    bodies = {("accounts", name): "{}" for name in ("unrated", "top", "gone")}
    bodies["accounts", "vendor"] = '{"rate_group":"other"}'
    stores.become(bodies)
    before = load(path, {}, definitions=stores.definitions, remembered=remembered).catalogue
    del bodies["accounts", "gone"]
    stores.become({**bodies, ("accounts", "new"): '{"max_cps":"3"}'})
    after = load(path, {}, definitions=stores.definitions, remembered=remembered)
    assert after.catalogue.changes == Changes(before.version, {"new", "gone"}, set())
    assert after.catalogue.accounts["top"] is before.accounts["top"]
    path.write_text(path.read_text().replace("{id: first}", "{id: first}, {id: second}"))
    third = load(path, {}, definitions=stores.definitions, remembered=remembered)
    assert third.catalogue.changes == Changes(after.catalogue.version, {"second"}, set())
    assert third.texts == load(path, {}, definitions=stores.definitions).texts


WITH_SECRET = '{"auth":{"username":"u","password_file":"$secret"}}'
FORMS_OF_TEMPLATES = [
    None, '{"max_cps":"3"}', '{"max_cps":"4"}', '{"rate_group":"other"}', '{"max_cps":"x"}', WITH_SECRET
]  # fmt: skip
BUILT = st.sampled_from(["", "big", "small", "$BIG", "none"])
"""Templates of items; one is named by a variable, one does not exist."""
DAYS_OF_TEMPLATES = st.lists(
    st.fixed_dictionaries(
        {
            "big": st.sampled_from(FORMS_OF_TEMPLATES),
            "small": st.sampled_from(FORMS_OF_TEMPLATES[1:]),
            "c1": BUILT,
            "c2": BUILT,
            "t1": BUILT,
            "1001": BUILT,
            "in_files": st.sets(st.sampled_from(["c1", "c2", "t1", "big"])),
            "more": st.sampled_from(["", "limits: {max_call_seconds: 7000}\n"]),
            "secret": st.sampled_from(["first-long-Passw0rd", "second-long-Passw0rd"]),
        }
    ),
    min_size=2,
    max_size=4,
)
FIRST = {
    "big": FORMS_OF_TEMPLATES[1], "small": FORMS_OF_TEMPLATES[1],
    "c1": "big", "c2": "$BIG", "t1": "small", "1001": "big",
    "in_files": set(), "more": "", "secret": "first-long-Passw0rd",
}  # fmt: skip


def write_templates(path: Path, stores: Stores, day: dict[str, Any]) -> None:
    """Write objects that are built on templates; some of both are in the file, and a password of one in another."""
    secret = path.with_name("secret")
    secret.write_text(day["secret"])
    secret.chmod(0o600)
    bodies, written = {}, {"templates": "", "accounts": "", "mapping_gateways": ""}

    def put(kind: str, name: str, keys: dict[str, object]) -> None:
        built = {} if not day.get(name) or kind == "templates" else {"template": day[name].replace("$BIG", "${BIG}")}
        if name not in day["in_files"]:
            bodies[kind, name] = json.dumps({**built, **keys})
        elif kind == "templates":
            written[kind] += f"  {name}: {json.dumps(keys)}\n"
        else:
            written[kind] += f"  - {json.dumps({KINDS[kind]: name, **built, **keys})}\n"

    for name in ("big", "small"):
        if day[name] is not None:
            put("templates", name, json.loads(day[name].replace("$secret", str(secret))))
    put("accounts", "c1", {"rate_group": "sell"})
    put("accounts", "c2", {"rate_group": "sell"})
    put("mapping_gateways", "t1", {"account": "c1", "hosts": ["192.0.2.1"]})
    put("phones", "1001", {"account": "c2", "password": "long-enough-1"})
    for name in ("sell", "other"):
        put("rate_groups", name, {"rates": [{"prefix": "44", "billing_rate": "1"}]})
    stores.become(bodies)
    path.write_text("node: sw1\n" + day["more"] + "".join(f"{kind}:\n{text}" for kind, text in written.items() if text))


@settings(max_examples=examples(20, 400), deadline=None)
@given(DAYS_OF_TEMPLATES)
@example([FIRST, {**FIRST, "big": FORMS_OF_TEMPLATES[2]}, {**FIRST, "big": None}, FIRST])
@example([{**FIRST, "in_files": {"c1"}}, {**FIRST, "in_files": {"c1"}, "big": FORMS_OF_TEMPLATES[2]}])
@example([{**FIRST, "in_files": {"big"}}, {**FIRST, "big": FORMS_OF_TEMPLATES[2]}])
@example(
    [{**FIRST, "in_files": {"t1"}}, {**FIRST, "in_files": {"t1"}, "t1": ""}, {**FIRST, "small": FORMS_OF_TEMPLATES[2]}]
)
@example([{**FIRST, "small": WITH_SECRET}, {**FIRST, "small": WITH_SECRET, "secret": "second-long-Passw0rd"}])
@example([{**FIRST, "c1": ""}, {**FIRST, "big": FORMS_OF_TEMPLATES[2]}, {**FIRST, "big": FORMS_OF_TEMPLATES[3]}])
def test_a_changed_template_gives_the_same_as_when_all_is_read(tmp_path_factory, days: list[dict[str, Any]]) -> None:
    path, stores, remembered = tmp_path_factory.mktemp("days") / "vosd.yaml", Stores(), Remembered()
    environ = {"BIG": "big"}
    for day in days:
        write_templates(path, stores, day)

        def both(remembered: Remembered | None) -> object:
            return customers.outcome(lambda: load(path, environ, definitions=stores.definitions, remembered=remembered))

        assert both(remembered) == both(None)


def test_a_changed_template_has_only_the_objects_read_again_that_are_built_on_it(tmp_path: Path) -> None:
    path, stores, remembered = tmp_path / "vosd.yaml", Stores(), Remembered()
    environ = {"BIG": "big"}
    day = {**FIRST, "t1": "small", "c1": "$BIG", "c2": "", "1001": ""}

    def loaded(**changed: object) -> Loaded:
        write_templates(path, stores, {**day, **changed})
        return load(path, environ, definitions=stores.definitions, remembered=remembered)

    before = loaded().catalogue
    after = loaded(small='{"max_cps":"9"}').catalogue
    assert after.changes == Changes(before.version, set(), {"t1"})
    assert after.mapping_gateways["t1"].max_cps == 9
    last = loaded(small='{"max_cps":"9"}', big='{"max_cps":"5"}').catalogue
    assert last.changes == Changes(after.version, {"c1"}, set())
    assert last.accounts["c1"].max_cps == 5
    assert last.accounts["c2"] is before.accounts["c2"]


def test_a_template_of_very_many_has_all_made_anew_of_what_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, stores, remembered = tmp_path / "vosd.yaml", Stores(), Remembered()
    monkeypatch.setattr(by_difference, "_CHANGED_MAX", 1)
    day = {**FIRST, "c2": "big", "1001": "", "t1": ""}

    def loaded(remembered: Remembered | None, **changed: object) -> Loaded:
        write_templates(path, stores, {**day, **changed})
        return load(path, {}, definitions=stores.definitions, remembered=remembered)

    loaded(remembered)
    one = remembered.whole["mapping_gateways"].sound["t1"]
    found = loaded(remembered, big='{"max_cps":"9"}')
    assert found.catalogue.changes is None
    assert remembered.whole["mapping_gateways"].sound["t1"] is one
    assert customers.outcome(lambda: found) == customers.outcome(lambda: loaded(None, big='{"max_cps":"9"}'))
