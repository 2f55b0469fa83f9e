"""A check that takes from the last one what is the same finds what a check without it finds, whatever happened between.

Changes are stored or not, others are stored by other processes, files are edited, moments are planned, the database is
put back, and the switch starts, which a copy of it goes on from.
"""

import asyncio
import json
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import test_catalogue_by_difference as customers
from doubles.exploring import examples
from doubles.migrated import migrated
from hypothesis import example, given, settings, strategies as st

from vosd.catalogue.asked_changes import answer_of, found_in
from vosd.catalogue.planned_objects import ChangeCheck, states_of
from vosd.catalogue.problems import ConfigError
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.stored_text import read_object
from vosd.daemon.definitions import StoredDefinitions
from vosd.daemon.start import load_at_start
from vosd.storage.database import Database
from vosd.storage.decks import SqlDecks
from vosd.storage.stored_objects import SqlObjects
from vosd.wiring.change_check import LastLoad, check_here
from vosd.wiring.configured_switch import ConfiguredSwitch

ASKED = ("c1", "c2", "top", "led")
VARIABLES = {"UNSET": "", "LIMIT": "", "SECRET": ""}
"""Variables that objects name; none is set where they are read."""
LATER = 9_000_000_000_000
"""Moment of planned versions, UTC milliseconds."""


BROKEN = ["max_cps: x", "rate_group: none, max_cps: x", "rate_group: sell, no_such_key: 1", "max_cps: '${UNSET}'"]
"""Forms with mistakes that are found in the item alone."""


class Change(NamedTuple):
    """Objects that are checked; each is a kind, a name and the text of its keys, None = it ends."""

    objects: Sequence[tuple[str, str, str | None]]
    is_stored: bool = True
    is_checked: bool = True
    """Whether it is; else another process stores it."""
    is_planned: bool = False


class Edit(NamedTuple):
    """Another file."""

    price: str
    more: str = ""


class Start(NamedTuple):
    """The switch starts, and a copy of it checks changes from then on."""


class PutBack(NamedTuple):
    """The database as it was so many changes ago."""

    changes: int


OBJECTS = st.one_of(
    st.tuples(
        st.just("accounts"),
        st.sampled_from(["c1", "c2", "c3"]),
        st.none()
        | st.sampled_from(customers.NEVER_WRONG)
        | st.sampled_from([*customers.FORMS_OF_ACCOUNTS, *BROKEN, "agent: c3, max_cps: x"]),
    ),
    st.tuples(
        st.just("mapping_gateways"),
        st.sampled_from(["t1", "t2", "1001"]),
        st.none()
        | st.builds(
            "account: {}, {}".format,
            st.sampled_from(["base", "base", "led", "c1", "c2"]),
            st.sampled_from([*customers.FORMS_OF_TRUNKS, *BROKEN]),
        ),
    ),
    st.tuples(
        st.just("rate_groups"),
        st.just("more"),
        st.none()
        | st.sampled_from(["currency: EUR, ", ""]).map("{}rates: [{{prefix: '44', billing_rate: '0.02'}}]".format),
    ),
    st.tuples(st.just("accounts"), st.sampled_from(["c1", "c4"]), st.just("rate_group: more")),
    st.tuples(st.just("templates"), st.just("big"), st.sampled_from([None, "max_cps: 3", "max_cps: 4"])),
    st.tuples(st.just("accounts"), st.just("c2"), st.just("rate_group: sell, template: big")),
)
STEPS = st.one_of(
    st.builds(
        Change,
        st.lists(OBJECTS, min_size=1, max_size=2, unique_by=lambda each: each[:2]),
        st.booleans(),
        st.sampled_from([True, True, True, False]),
        st.sampled_from([False, False, False, True]),
    ),
    st.builds(
        Edit, st.sampled_from(["0.012", "0.013"]), st.sampled_from(["", "  - {id: c1, rate_group: sell}\n", "  - {}\n"])
    ),
    st.builds(PutBack, st.integers(1, 3)),
    st.builds(Start),
)


class Installation:
    """A configuration with objects in its database."""

    def __init__(self, directory: Path) -> None:
        self.file, self.database = directory / "vosd.yaml", directory / "vosd.db"
        self.url = migrated(self.database)
        self.copies = [directory / "copy-0"]
        shutil.copy(self.database, self.copies[0])
        self.time = 0
        self.edit(Edit("0.012"))

    def edit(self, edit: Edit) -> None:
        head = f"database: {{url: '{self.url}'}}\nstate_dir: {self.file.parent}/state\n"
        kept = "".join(f"  - {{id: {each}}}\n" for each in (*customers.KEPT, "chief, rate_group: sell"))
        text = customers.CUSTOMERS.replace("$price", edit.price)
        self.file.write_text(f"{head}{text}accounts:\n{kept}{edit.more}")

    def put_back(self, changes: int) -> None:
        """Go back to an earlier database; later copies are those of another history."""
        del self.copies[max(1, len(self.copies) - changes) :]
        shutil.copy(self.copies[-1], self.database)

    def versions(self, change: Change) -> list[ObjectVersion]:
        return asyncio.run(self._versions(change))

    async def _versions(self, change: Change) -> list[ObjectVersion]:
        self.time += 1
        database, made = Database(self.url), []
        for kind, name, text in change.objects:
            known = await SqlObjects(database).history(kind, name)
            keys = None if text is None else read_object(kind, name, f"{{{text}}}", "here", VARIABLES).keys
            body = None if keys is None else json.dumps(keys)
            number = known[0].version + 1 if known else 1
            at = LATER + self.time if change.is_planned else self.time
            made.append(
                ObjectVersion(
                    kind=kind, name=name, version=number, body=body, begins_at=at, made_at=self.time, operator="ann"
                )
            )
        await database.close()
        return made

    def store(self, versions: Sequence[ObjectVersion]) -> None:
        asyncio.run(self._store(versions))
        self.copies.append(self.file.with_name(f"copy-{len(self.copies)}"))
        shutil.copy(self.database, self.copies[-1])

    async def _store(self, versions: Sequence[ObjectVersion]) -> None:
        database = Database(self.url)
        await SqlObjects(database).add(versions)
        await database.close()

    def checked(self, versions: Sequence[ObjectVersion], last: LastLoad | None) -> object:
        """Return the findings of a check, or the mistakes."""
        with closing(ConfiguredSwitch(self.file)) as switch:
            asked = ChangeCheck([*states_of(versions, asyncio.run(self._planned()))], ASKED)
            try:
                found = check_here(switch, asked, last)
            except ConfigError as error:
                return [str(each) for each in error.problems]
        assert found_in(answer_of(found)) == found
        return found

    def started(self) -> LastLoad | None:
        """Return the last load of a copy of a switch that starts; None = it starts otherwise, or not at all."""
        try:
            started = load_at_start(self.file, StoredDefinitions(SqlDecks, SqlObjects).read)
        except ConfigError:
            return None
        return None if started.wanted is None else LastLoad.of_start(started.remembered, started.wanted)

    async def _planned(self) -> Sequence[ObjectVersion]:
        database = Database(self.url)
        found = await SqlObjects(database).planned(LATER - 1)
        await database.close()
        return found


def sold(name: str, *keys: str) -> Change:
    return Change([("accounts", name, ", ".join(("rate_group: sell", *keys)))])


LOOK = Change([("accounts", "c4", "rate_group: sell")], is_stored=False)
"""A check that reads what was stored before, and changes nothing."""
TRUNK = Change([("mapping_gateways", "t1", "account: c1, hosts: 198.51.100.7")])
ENDED = Change([("accounts", "c1", None)], is_stored=False)


@settings(max_examples=examples(6, 100), deadline=None)
@given(st.lists(STEPS, min_size=2, max_size=6))
@example([sold("c1"), LOOK, PutBack(1), LOOK._replace(objects=sold("c3", "agent: c1").objects)])
@example([sold("c1"), LOOK, PutBack(1), sold("c2")._replace(is_checked=False), sold("c3", "agent: c1")])
@example([sold("c1"), sold("c2", "agent: c1"), sold("c2"), LOOK, PutBack(1), ENDED])
@example([sold("c1"), sold("c2")._replace(is_checked=False), sold("c3", "agent: c2")])
@example([sold("c1"), sold("c2"), LOOK, sold("c2", "agent: c1")._replace(is_checked=False), ENDED])
@example([sold("c1"), sold("c2", "agent: c1")._replace(is_stored=False), ENDED])
@example([sold("c1", "max_cps: x"), sold("c1")._replace(is_stored=False), sold("c3", "agent: c1")])
@example([sold("c1"), TRUNK, sold("c1", "max_cps: x")])
@example([sold("c1"), TRUNK, sold("c1", "max_cps: x")._replace(is_checked=False), LOOK, sold("c1")])
@example([sold("c1"), Edit("0.012", "  - {id: c1, max_cps: x}\n"), LOOK])
@example([sold("c2", "max_cps: x")._replace(is_checked=False), Edit("0.012", "  - {id: c2, max_cps: y}\n"), LOOK])
@example([sold("c1"), Edit("0.012", "  - {id: c2, rate_group: sell}\n"), sold("c2")])
@example([sold("c1"), Start(), TRUNK, sold("c1", "max_cps: x"), ENDED])
@example([sold("c1"), Start(), PutBack(1), sold("c2")._replace(is_checked=False), sold("c3", "agent: c1")])
@example([sold("c1"), Edit("0.012", "  - {id: c1, max_cps: x}\n"), Start(), LOOK])
@example([sold("c1"), Start(), Edit("0.013", "  - {id: c2, rate_group: sell}\n"), sold("c2")])
@example([sold("c1")._replace(is_planned=True), Change([("accounts", "top", None)]), sold("c2", "agent: c1")])
def test_every_check_finds_the_same_as_one_that_reads_everything(
    tmp_path_factory, steps: list[Change | Edit | PutBack | Start]
) -> None:
    installation, last = Installation(tmp_path_factory.mktemp("checked")), LastLoad()
    for step in steps:
        match step:
            case Edit():
                installation.edit(step)
            case PutBack():
                installation.put_back(step.changes)
            case Start():
                last = installation.started() or LastLoad()
            case Change():
                versions = installation.versions(step)
                if step.is_checked:
                    assert installation.checked(versions, last) == installation.checked(versions, None)
                if step.is_stored or not step.is_checked:
                    installation.store(versions)
