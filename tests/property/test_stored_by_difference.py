"""Objects of the database that are taken in by their versions give the same catalogue as when all is read."""

import re
from collections.abc import Callable
from pathlib import Path

import test_catalogue_by_difference as customers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vosd.catalogue.catalogue import Changes
from vosd.catalogue.decks import DATABASE
from vosd.catalogue.source import CatalogueSource
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import load
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
        stored = Stored(CatalogueSource(DATABASE), self.version, objects=objects)
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
            bodies[each.kind, each.name] = each.body
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
