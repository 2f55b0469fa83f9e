"""``retention``: for how long records and numbers are kept, and when older ones are dropped or masked."""

from datetime import tzinfo
from pathlib import Path
from typing import Annotated, ClassVar, Final

from vosd.cdr.retention import Age
from vosd.config.reader.fields import ONE_OR_MANY, KeyProblemError, Keys
from vosd.config.reader.files import file_path
from vosd.config.reader.times import age, start_of_hours, time_zone

LEAST_OF_LEDGER: Final = Age(months=3)
"""Limits of spending and the minimum of the last month read entries that are younger."""
LEAST_OF_SUMS: Final = Age(months=3)
"""The close of the last month, scheduled reports, the average use of accounts and days of zones need younger sums."""


class RetentionKeys(Keys):
    """For how long records are kept. Default: nothing is ever dropped. A reload changes it.

    Nothing is dropped before a period close is past it (`vosd ledger close`). docs/operations/retention.md has the
    other guards.
    """

    at: Annotated[int | None, start_of_hours()] = None
    """When records are dropped and numbers masked every day, such as 03:30. Default: only by `vosd retention run`."""
    timezone: Annotated[tzinfo | None, time_zone()] = None
    """The zone of ``at``. Default: the machine's."""
    minimum: Annotated[Age | None, age()] = None
    """For how long the law requires records: no time of records may be shorter."""
    calls: Annotated[Age | None, age()] = None
    """CDRs with their attempts, charges and corrections. Totals by day stay. Default: for ever."""
    ledger: Annotated[Age | None, age()] = None
    """Ledger entries of calls, at least as long as the calls and 3 months. Default: for ever."""
    payments: Annotated[Age | None, age()] = None
    """All other ledger entries, such as payments; older ones go to an archive file first. Default: for ever."""
    payments_archive: Annotated[Path | None, file_path()] = None
    """Directory of these archive files. Default: ``archive`` in ``state_dir``. It is relative to the working directory
    of the switch."""
    numbers: Annotated[Age | None, age()] = None
    """Telephone numbers of calls: then all but their first digits are masked. Default: as long as the calls."""
    daily_totals: Annotated[Age | None, age()] = None
    """Totals of dropped calls by day, accounts and gateways (`vosd retention totals`). Default: for ever."""
    sums: Annotated[Age | None, age()] = None
    """Sums of calls for reports, at least as long as the calls and 3 months. Default: for ever."""
    exports: Annotated[tuple[Annotated[Path, file_path()], ...], ONE_OR_MANY] = ()
    """Directories of `vosd cdr export --out`: a call is kept until each of them has taken it. They are relative to the
    working directory of the switch."""

    ages: ClassVar[tuple[str, ...]] = ("calls", "ledger", "payments", "daily_totals", "sums")

    def _judge(self) -> None:
        given = {key: getattr(self, key) for key in self.ages if getattr(self, key) is not None}
        for key, kept in given.items():
            if self.minimum is not None and not kept.is_at_least(self.minimum):
                raise KeyProblemError(key, f"at least the {self.minimum} of minimum")
        for key, least in (("ledger", LEAST_OF_LEDGER), ("sums", LEAST_OF_SUMS)):
            if key in given and self.calls is None:
                raise KeyProblemError(key, "calls as well: it is not shorter than theirs")
            if key in given and not all(given[key].is_at_least(each) for each in (self.calls, least)):
                raise KeyProblemError(key, f"at least {least}, and the {self.calls} of calls")
        if self.payments is not None and not self.payments.is_at_least(LEAST_OF_LEDGER):
            raise KeyProblemError("payments", f"at least {LEAST_OF_LEDGER}")
        if self.payments_archive is not None and self.payments is None:
            raise KeyProblemError("payments_archive", "payments as well: for how long they are kept")
        if self.daily_totals is not None and self.calls and not self.daily_totals.is_at_least(self.calls):
            raise KeyProblemError("daily_totals", f"at least the {self.calls} of calls")
        if self.numbers is not None and self.calls is not None and not self.calls.is_at_least(self.numbers):
            raise KeyProblemError("numbers", f"at most the {self.calls} of calls, with which they go")
        if self.at is not None and self.calls is None and self.numbers is None and self.payments is None:
            raise KeyProblemError("at", "calls, numbers or payments as well: for how long they are kept")
