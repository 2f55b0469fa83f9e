"""The management API over an office that is not asked: a request that is taken is answered with 503."""

from vosd.admin.office.office import Office
from vosd.admin.office.principal import ALL, Means, Principal, Role
from vosd.api.application import Application
from vosd.api.routes import Routes
from vosd.api.table import OPERATIONS
from vosd.cdr.ports import StoreUnavailable


class UnaskedOffice:
    """An office that has nothing."""

    def __getattr__(self, name: str) -> object:
        raise StoreUnavailable(f"the office was asked: {name}")


class UnaskedOffices:
    """Opens one that has nothing."""

    async def open(self, *_: object, **__: object) -> UnaskedOffice:
        return UnaskedOffice()


class UnaskedJobs:
    """Jobs that are not queued."""

    async def directory(self) -> object:
        raise StoreUnavailable("a job was asked for")


async def _identify(_office: Office, token: str, _source: str) -> Principal:
    return Principal(role=Role.OPERATOR, name=token, login=token, means=Means.TOKEN, permissions=ALL)


def unasked_application() -> Application:
    """Return the application; every token may do everything."""
    return Application(UnaskedOffices(), _identify, Routes(OPERATIONS), UnaskedJobs())  # type: ignore[arg-type]
