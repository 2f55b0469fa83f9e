"""Use case of the parameters of VOS3000: those in force, and where each value comes from."""

from collections.abc import Sequence

import msgspec

from vosd.admin.office.office import Office, needs
from vosd.admin.office.ports import ParameterSheet
from vosd.admin.office.principal import Permission, Principal


class ListParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All parameters, as files and database have them now."""


@needs(Permission.STATE_SEE, without_database=True)
async def list_parameters(office: Office, who: Principal, _order: ListParameters) -> Sequence[ParameterSheet]:
    """Return value, source and meaning of each parameter; those without effect only where they are written.

    Raises:
        ConfigError: the files or the parameters cannot be read.
    """
    return office.definitions.parameters()
