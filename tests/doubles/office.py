"""An office of the test's own: on a database, without a running switch, at a moment that the test says."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from pathlib import Path

from doubles.virtual.scene import usual_catalogue
from vosd.admin.office.office import Office
from vosd.admin.office.ports import WrittenGateway
from vosd.admin.office.principal import Means, Principal, Role
from vosd.base.secret import Secret
from vosd.billing.accounts import Account
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.problems import ConfigError
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.control.client import RunningSwitch
from vosd.engine.settings import Settings
from vosd.sip.settings import SipSettings
from vosd.storage.database import Database
from vosd.storage.stores import SqlStores

NOWHERE = Path("/nonexistent/vosd.sock")


class Defined:
    """Accounts of the test."""

    def __init__(self, *accounts: Account, confirm_above: Decimal | None = None, state_dir: Path) -> None:
        self.confirm_above = confirm_above
        sip = SipSettings()
        self.settings = Settings("sw1", (), (), sip, Secret(""), state_dir=state_dir, control_socket=NOWHERE)
        self._accounts = {account.id: account for account in accounts}

    def accounts(self) -> Mapping[str, Account]:
        """Return the accounts."""
        return self._accounts

    def agents(self) -> Mapping[str, str]:
        """Return the agent of each account that names one."""
        return {name: account.agent for name, account in self._accounts.items() if account.agent is not None}

    def files(self) -> Sequence[Path]:
        """Return the one file of the configuration."""
        return [self.settings.state_dir / "vosd.yaml"]

    def claimed(self) -> AbstractContextManager[None]:
        """Hold nothing: no switch starts in the test."""
        return nullcontext()

    def check_kind(self, kind: str) -> None:
        """Accept any kind."""

    def check_objects(self, versions: Sequence[ObjectVersion]) -> None:
        """Refuse objects that are called ``bad``."""
        if any(each.name == "bad" for each in versions):
            raise ConfigError([])

    def catalogue(self) -> Catalogue:
        """Return the usual catalogue of scenes, whatever the accounts of the test."""
        return usual_catalogue()

    def gateways(self) -> Collection[str]:
        """Return no name: the test has none."""
        return ()

    def written_gateways(self, name: str) -> Sequence[WrittenGateway]:
        """Return one phone alone."""
        return [WrittenGateway("phones", "vosd.yaml:7", {"number": name})] if name == "7001" else []


def office_on(
    database: Database, *accounts: Account, now: int, socket: Path = NOWHERE, confirm_above: Decimal | None = None
) -> Office:
    """Return an office; ``now`` is UTC milliseconds, the state of the switch is beside ``socket``."""
    stores, defined = SqlStores(database), Defined(*accounts, confirm_above=confirm_above, state_dir=socket.parent)
    return Office(defined, lambda: stores, lambda: RunningSwitch(socket), lambda: now)


def operator(name: str = "ann") -> Principal:
    """Return an operator at the terminal."""
    return Principal(role=Role.OPERATOR, name=name, login=name, means=Means.TERMINAL)


def agent(account: str) -> Principal:
    """Return an agent at the terminal."""
    return Principal(role=Role.AGENT, name="root", login="root", means=Means.TERMINAL, account=account)
