"""Operations about vendors' bills: compare a file with our calls, show what differs, dispute it."""

from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Final

import msgspec

from vosd.admin.foreign_calls import ForeignFileError
from vosd.admin.names import configured
from vosd.admin.office.bill_disputes import dispute_bill
from vosd.admin.office.bill_import import BillTerms, ImportBill, import_bill
from vosd.admin.office.jobs import JobKind
from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal
from vosd.admin.office.reconciliations import (
    ReadDifferences,
    ReconciliationSheet,
    list_reconciliations,
    read_differences,
    show_reconciliation,
    write_letter,
)
from vosd.api.job import Long, Work, map_file_of
from vosd.api.listing import CSV, begun, csv_answer
from vosd.api.operation import Listing, Operation
from vosd.api.operations.jobs import never
from vosd.api.operations.traces import TEXT

GZIP: Final = "application/gzip"
BILL_BYTES_MAX: Final = 1 << 30
_UPLOAD_S: Final = 3_600.0


class UploadBill(BillTerms, frozen=True, kw_only=True):
    """A vendor's file of calls; its content is the body of the request."""

    map: str
    """JSON of a map of its columns, with the keys of a map file."""
    file: str = "bill.csv"
    """Name of the file, as lists and letters have it."""


async def import_upload(office: Office, who: Principal, order: UploadBill, work: Work) -> ReconciliationSheet:
    """Compare the file that came with the order."""
    assert work.upload is not None
    with map_file_of(order.map) as map_file:
        values = msgspec.structs.asdict(order) | {"file": str(work.upload), "map": str(map_file), "name": order.file}
        wanted = ImportBill(**values)
        try:
            return await import_bill(office, who, wanted, lambda part, _count: work.progress(part))
        except ForeignFileError as error:
            raise ForeignFileError(str(error).replace(str(work.upload), order.file)) from error


async def read_calls(office: Office, who: Principal, order: ReadDifferences) -> AsyncGenerator[str, None]:
    """Return the calls of a comparison that differ."""
    return await begun(read_differences(office, who, order))


_OF_DISPUTE: Final = (
    "balance_too_large", "dispute_moved", "no_such_reconciliation", "other_currency", "reference_taken",
    "was_refused",
)  # fmt: skip

OPERATIONS: Final = (
    Operation(
        "POST /reconciliations/{account}/imports",
        "Job: compare a vendor's file of calls, CSV or gzip of up to 1 GiB, with the calls that it was sent.",
        never,
        use_case=import_bill,
        takes=UploadBill,
        problems=("unknown_account",),
        status=HTTPStatus.ACCEPTED,
        patience_s=_UPLOAD_S,
        long=Long(
            JobKind.BILL_IMPORT,
            import_upload,
            is_always=True,
            subject="account",
            check=lambda office, _who, order: configured(office.definitions.accounts(), order.account),
            uploads={CSV: ".csv", GZIP: ".gz"},
            upload_max=BILL_BYTES_MAX,
        ),
    ),
    Operation(
        "GET /reconciliations",
        "Comparisons of vendors' files with our calls, the newest first.",
        list_reconciliations,
        problems=("unknown_name",),
        fixed={"oldest_first": False},
        listing=Listing(
            "id", sorts=("id", "made_at", "account"), descends=True, in_parts=True, backwards="oldest_first"
        ),
    ),
    Operation(
        "GET /reconciliations/{id}",
        "A comparison: calls and money by class and explanation, and its dispute.",
        show_reconciliation,
        problems=("no_such_reconciliation",),
    ),
    Operation(
        "GET /reconciliations/{id}/calls",
        "The calls of a comparison that differ, as CSV: the file that a dispute is sent with.",
        read_calls,
        use_case=read_differences,
        result=bytes,
        problems=("no_such_reconciliation",),
        answer=csv_answer,
        forms={CSV: bytes},
    ),
    Operation(
        "PUT /reconciliations/{id}/dispute",
        "Open a dispute about a comparison, or change its state and amount; `book` books what is settled.",
        dispute_bill,
        problems=_OF_DISPUTE,
    ),
    Operation(
        "GET /reconciliations/{id}/letter",
        "The letter to the vendor about a dispute, as Markdown.",
        write_letter,
        problems=("no_dispute", "no_such_reconciliation"),
        forms={TEXT: lambda letter: letter.text.encode()},
    ),
)
