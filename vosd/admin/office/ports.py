"""Port of the office for the definitions of the configuration; the database is ``storage.stores``."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from vosd.billing.accounts import Account
from vosd.billing.agents import Hierarchy
from vosd.catalogue.problems import DefinitionProblem, SourceLine
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.routing.calendar import Calendar

if TYPE_CHECKING:
    from vosd.admin.agents import NamedGroups
    from vosd.admin.export_profile import ExportProfile
    from vosd.admin.rate_areas import RateGroupSheet
    from vosd.admin.shadow_rating import CdrMap
    from vosd.base.search_text import SearchText
    from vosd.billing.ports import Rates, RateTable
    from vosd.billing.rate_group import RateGroup
    from vosd.billing.rates import RatingPolicy
    from vosd.catalogue.catalogue import Catalogue  # these import much
    from vosd.catalogue.planned_objects import ChangeCheck, CheckedObjects
    from vosd.engine.settings import Settings
    from vosd.routing.special_numbers import SpecialNumbers


class ConfiguredDeck(NamedTuple):
    """Keys of a rate group that takes its rates from a deck."""

    notice_days: int
    """Number of days ahead at which increases have to be known."""
    area_names: "Callable[[dict[str, RateTable]], str | RateTable | None]"
    """Returns what names its areas: another deck, by its name, or the rates of a group without one.

    They are those in the tables that it is given, by their groups; else they are read, and put there.
    """
    billing_unit: "Callable[[], int]"
    """Returns the seconds of one increment of rates that have none of their own."""


class WrittenGateway(msgspec.Struct, frozen=True):
    """A gateway or phone of the files."""

    list: str
    """The list that it stands in, such as ``routing_gateways``."""
    at: str
    """File and line."""
    keys: Mapping[str, str]
    """Keys with their values as text, those of its template included; secrets are left out."""


class WrittenObject(msgspec.Struct, frozen=True):
    """An object of the files."""

    at: str
    """File and line."""
    keys: Any
    """Keys and values without the name, passwords included."""


class CheckedDefinitions(NamedTuple):
    """Findings of a check of the whole configuration; of an invalid one only its problems."""

    problems: Iterable[DefinitionProblem]
    """Every problem, those that make it invalid first."""
    currencies: Mapping[str, str] = MappingProxyType({})
    """Currency of each account."""
    places: Mapping[str, SourceLine] = MappingProxyType({})
    """File and line, or version in the database, of each account."""


class ParameterSheet(msgspec.Struct, frozen=True):
    """A parameter of VOS3000 as it is in force."""

    name: str
    """Name of the parameter, as VOS3000 has it."""
    value: str
    """Value in force, as text."""
    source: str
    """``default``, the preset that has another default, file and line, or the version in the database."""
    meaning: str
    """The meaning of the parameter, or the reason why it has no effect."""


class KeySheet(msgspec.Struct, frozen=True, kw_only=True):
    """The declaration of a key, from which the reference of the configuration and forms are made."""

    name: str
    """Name of the key."""
    meaning: str
    """Meaning of the key, in English."""
    form: str
    """Form of a value. Single values as text: ``text``, ``switch`` (yes or no), ``choice`` (of ``choices``),
    ``number``, ``seconds``, ``amount``, ``moment``, ``secret`` (which never comes back). ``pair`` is a list of two
    texts, ``map`` texts by name, ``text_or_map`` text or such a map. ``keys`` has keys of its own."""
    many: bool
    """Whether it takes a list of these."""
    required: bool
    """Whether an object cannot do without it."""
    expected: str = ""
    """Form of a value in words, in English."""
    default: tuple[str, ...] = ()
    """Values that hold where the key is left out; empty = none, or as the meaning says."""
    lowest: str = ""
    """Least value; empty = no bound."""
    highest: str = ""
    """Greatest value; empty = no bound."""
    unit: str = ""
    """Unit of the value, such as s."""
    choices: tuple[str, ...] = ()
    """Values that it may have; empty = any of its form."""
    names: str = ""
    """Kind of the objects whose names it takes, such as ``rate_groups``; empty = it names none."""
    keys: tuple["KeySheet", ...] = ()
    """Keys inside of it."""


class ObjectKindSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of object with its keys."""

    kind: str
    """Kind of the objects, as in the section of the configuration."""
    meaning: str
    """Meaning of such objects, in English."""
    named: KeySheet | None
    """The key that has the name, which is no key of ``keys``; null = any name."""
    keys: tuple[KeySheet, ...]
    """All keys that an object may have, in the order of the reference."""


class ConfiguredObjects(Protocol):
    """Objects of the configuration, as far as use cases need them; each is read when it is asked for."""

    def accounts(self, ended: Sequence[ObjectVersion] = ()) -> Mapping[str, Account]:
        """Return the accounts, or those that ended, by versions in the database; for these it raises ConfigError."""

    def hierarchy(self) -> Hierarchy:
        """Return which accounts stand above which."""

    def written_gateways(self, name: str) -> Sequence[WrittenGateway]:
        """Return what the files call ``name``, whatever mistakes are elsewhere; raises ConfigError."""

    def written_names(self, kind: str, template: str | None = None) -> Collection[str]:
        """Return the names of the objects of a kind that the files have; raises ConfigError.

        ``template``: only of those that take keys from it.
        """

    async def search_text(self, kind: str) -> "SearchText":
        """Return the texts by which the objects of a kind are found, of files and database; raises ConfigError."""

    def written_object(self, kind: str, name: str) -> "WrittenObject | None":
        """Return one of them; None where the files have none of that name; raises ConfigError."""

    def gateways_by_list(self) -> Mapping[str, frozenset[str]]:
        """Return the names of ``mapping_gateways``, ``phones`` and ``routing_gateways``."""

    def named_groups(self) -> "NamedGroups":
        """Return the rate groups that gateways, phones and other rate groups name."""

    def accounts_of(self, *kinds: str) -> Callable[[], Mapping[str, str]]:
        """Return what finds the account of each object of some kinds that names one, in a thread if they are many."""

    def calendars(self) -> Mapping[str, Calendar]:
        """Return the calendars by name."""

    def calendar(self, name: str, keys: Mapping[str, Any]) -> Calendar:
        """Return a calendar made of keys as an object has them; raises ConfigError."""

    def destination_classes(self) -> Collection[str]:
        """Return the names of the classes of destinations."""

    async def rate_groups(self) -> "Sequence[RateGroupSheet]":
        """Return every rate group; raises ConfigError."""

    def rate_group(self, name: str) -> "RateGroup | None":
        """Return one rate group with its rates; None where there is none; raises ConfigError."""

    def rates_of(self, account: Account, *, is_vendor: bool) -> "Rates | None":
        """Return the rates that price the calls of an account; None where its group is missing; raises ConfigError."""

    def decimals_of(self, account: Account) -> int:
        """Return how many decimals the money of an account has: its own, else those of its currency, else eight."""

    def free_numbers(self) -> "tuple[SpecialNumbers, RatingPolicy]":
        """Return the numbers that are billed otherwise, and how the seconds of calls to free ones are rounded."""

    def parameters(self) -> Sequence[ParameterSheet]:
        """Return the parameters in force, and those of the files that have no effect; raises ConfigError."""

    def key_sheets(self, kind: str) -> ObjectKindSheet:
        """Return the keys of a kind of ``stored_objects.KINDS`` as they are declared."""

    def checked(self, planned: Sequence[ObjectVersion] = ()) -> "CheckedDefinitions":
        """Check the whole configuration as it is now, and, where it is valid, at the first planned moments."""

    def number_for_text(self, kind: str, keys: Any) -> tuple[str, Any] | None:
        """Return the first key that shall be text and has a number or a boolean, with that; None = there is none."""

    async def check_objects(self, asked: "ChangeCheck") -> "CheckedObjects":
        """Check the configuration in each state of a change, and return the findings.

        Raises:
            ConfigError: it would not be valid.
        """

    def catalogue(
        self, file: Path | None = None, versions: Sequence[ObjectVersion] = (), *, written_rates_win: bool = False
    ) -> "Catalogue":
        """Return the configuration, or another ``file``, as calls are decided by it; raises ConfigError.

        ``versions`` are objects as they shall be, in the place of those of the database. ``written_rates_win``: rates
        of the files take the place of a deck of the same rate group, which else is an error.
        """

    @property
    def settings(self) -> "Settings":
        """Settings of the node, with paths as they are found from here; raises ConfigError."""

    def export_profile(self, file: Path) -> "ExportProfile":
        """Return the columns and format of an export that a file says; raises ConfigError."""

    def cdr_map(self, file: Path, price: str | None = None, vendor: str | None = None) -> "CdrMap":
        """Return the columns of another switch's call records that a file says; raises ConfigError.

        With ``vendor`` they are those of calls of that account.
        """

    def deck(self, rate_group: str) -> "ConfiguredDeck":
        """Return what is configured of a deck; raises where the group has none."""

    def files(self) -> Sequence[Path]:
        """Return the files of the configuration, the main one first."""

    def claimed(self) -> AbstractContextManager[None]:
        """Hold the state directory, so that no switch starts meanwhile; raises StateDirectoryError."""

    def confirm_above(self, login: str) -> Decimal | None:
        """Return the highest amount that the person of a login books alone; None = any."""
