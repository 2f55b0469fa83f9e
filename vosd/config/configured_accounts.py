"""The accounts of a configuration, each read and validated when it is looked up; most commands need one of many."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import msgspec

from vosd.billing.accounts import Account
from vosd.billing.currencies import Currencies
from vosd.catalogue.exchange import Exchange
from vosd.catalogue.problems import ConfigError, ProblemList, SourceLine
from vosd.catalogue.rate_choices import currency_from
from vosd.catalogue.references import check_currency
from vosd.catalogue.settle import settled
from vosd.catalogue.source import DEFAULT_CURRENCY, Definition, report_unknown
from vosd.config.assembly.accounts import Accounts
from vosd.config.assembly.inventory import label_of
from vosd.config.keys.accounts import AccountKeys
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.reader.amounts import currency_code
from vosd.config.reader.document import Section
from vosd.config.reader.fields import Keys
from vosd.config.reader.lists import ACCOUNTS, RATE_GROUPS
from vosd.config.reader.long_lists import LongList
from vosd.config.reader.reading import read_section
from vosd.config.reader.templates import TEMPLATE, fill_from_template

if TYPE_CHECKING:
    from vosd.config.keys.rate_groups import RateGroupKeys


class _PricedIn(Keys):
    """The one key of a rate group that its accounts need; the model of all takes long to build."""

    currency: Annotated[str, currency_code()] = DEFAULT_CURRENCY


class ConfiguredAccounts(Mapping[str, Account]):
    """The accounts by id, in the order of the file."""

    def __init__(
        self,
        sections: LongList,
        groups: Mapping[str, Section],
        templates: dict[str, Section],
        parameters: ParameterKeys,
        exchange: Currencies,
    ) -> None:
        """``groups`` are the rate groups, of which only the currency is read."""
        self._exchange = exchange
        self._sections = sections
        self._groups = groups
        self._alike: dict[object, Account] = {}
        """By what an item has beside its id: of a hundred thousand accounts most differ by no more than that."""
        self._currencies: dict[str, str] = {}
        """By rate group, of those that were looked up."""
        self._templates = templates
        self._accounts = Accounts(parameters)

    def place_of(self, account_id: str) -> SourceLine | None:
        """Return where an account is defined; None = nowhere."""
        section = self._sections.get(account_id)
        return None if section is None else section.place

    def __getitem__(self, account_id: str) -> Account:
        """Return an account.

        Raises:
            KeyError: there is none.
            ConfigError: it has mistakes.
        """
        likeness = self._sections.likeness(account_id)
        alike = self._alike.get(likeness)
        if alike is not None:
            return msgspec.structs.replace(alike, id=account_id)
        problems = ProblemList()
        written = self._written(self._sections[account_id], problems)
        currency = self._currency(written, problems)
        account = settled(problems.checked(written).value, currency)
        if len(problems) == 0:
            self._alike[likeness] = account
        return account

    def alone(self, section: Section) -> Account:
        """Return the account of a section that need not be configured, without a look at its rate group.

        Raises:
            ConfigError: it has mistakes.
        """
        problems = ProblemList()
        return problems.checked(self._written(section, problems)).value

    def _written(self, section: Section, problems: ProblemList) -> Definition[Account]:
        label = label_of(section, ACCOUNTS, "id", 0)
        filled = fill_from_template(section, self._templates, label, problems)
        keys = read_section(AccountKeys, filled, label, problems)
        if keys is None:
            raise ConfigError(problems.in_order())
        return Definition(self._accounts.account(keys), label, filled)

    def _currency(self, account: Definition[Account], problems: ProblemList) -> str | None:
        """Return the currency of an account's rate group; None where it has none, or a problem was reported."""
        priced_by = currency_from(account.value)
        if priced_by is None:
            return None
        key, name = priced_by
        group = self._groups.get(name)
        if group is None:
            report_unknown("rate group", name, self._groups, account, key, problems)
            return None
        if name not in self._currencies:
            label = label_of(group, RATE_GROUPS, "name", 0)
            filled = fill_from_template(group, self._templates, label, problems)
            written = filled.entries.get("currency")
            if written is None and get_close_matches("currency", filled.entries, n=1):
                # A key that may be meant as the currency is a mistake, or another key: only the model of all can tell.
                from vosd.config.assembly.rate_groups import read_group_keys

                read: _PricedIn | RateGroupKeys | None = read_group_keys(filled, label, problems)
            else:
                alone = Section(group.place, {} if written is None else {"currency": written})
                read = read_section(_PricedIn, alone, label, problems)
            if read is None:
                return None
            self._currencies[name] = read.currency
        check_currency(account, self._currencies[name], Exchange(self._exchange, problems), problems)
        return self._currencies[name]

    def agents(self) -> dict[str, str]:
        """Return the agent of each account that names one, as written: no account is validated."""
        return dict(self._sections.written(["agent"], self._templates, TEMPLATE))

    def __contains__(self, account_id: object) -> bool:
        """Return whether an account of that id is configured, with mistakes or without."""
        return account_id in self._sections

    def __iter__(self) -> Iterator[str]:
        return iter(self._sections)

    def __len__(self) -> int:
        return len(self._sections)
