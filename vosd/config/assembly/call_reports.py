"""Reports of states of calls: from keys to the settings of the engine."""

from typing import Final

from vosd.config.assembly.conversion import Conversion, require_all_used
from vosd.config.keys.call_reports import CallReportKeys
from vosd.engine.settings import CallReportSettings

_REPORTS: Final = Conversion(CallReportKeys, CallReportSettings)
require_all_used(CallReportKeys, _REPORTS, elsewhere={"secret_file": "the secret, which is read from it"})


def call_report_settings(keys: CallReportKeys) -> CallReportSettings | None:
    """Return where states of calls are reported; None where the file names no server."""
    return _REPORTS(keys) if keys.url else None
