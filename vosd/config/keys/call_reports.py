"""``call_reports``: the HTTP server that receives each change of the state of a call."""

from pathlib import Path
from typing import Annotated

from vosd.base.secret import Secret
from vosd.config.keys.proofs import password_text
from vosd.config.keys.webhooks import report_url
from vosd.config.reader.fields import ONE_OR_MANY, KeyProblemError, Keys, choice, milliseconds, switch, whole
from vosd.config.reader.files import file_path
from vosd.engine.settings import CallReportState

_ALL = tuple(CallReportState)
States = Annotated[tuple[Annotated[CallReportState, choice(CallReportState)], ...], ONE_OR_MANY]


class CallReportKeys(Keys):
    """An HTTP server that receives a POST with a JSON document for each change of the state of a call. Default: none.

    docs/operations/exports.md has the documents. A reload changes all of it.
    """

    url: Annotated[str, report_url()] = ""
    """URL to which reports are sent, such as ``http://192.0.2.7:8080/calls``."""
    secret: Annotated[Secret | None, password_text()] = None
    """Key of the signature, best with ``${ENV}``; as in ``alarms.webhook``. Default: not signed."""
    secret_file: Annotated[Path | None, file_path()] = None
    """Instead of ``secret``: a file with it alone, relative to the file that names it; a reload reads it again."""
    states: States = _ALL
    """The states that are reported."""
    retry: Annotated[bool, switch()] = True
    """Whether a report is repeated that could not be delivered; with ``no`` it is lost."""
    retry_interval: Annotated[int, milliseconds(100, 3_600_000)] = 5_000
    """After which time."""
    max_age: Annotated[int, whole(1, 604_800, "seconds")] = 3_600
    """An older report is dropped."""
    queue: Annotated[int, whole(100, 1_000_000)] = 10_000
    """Most reports that wait, in memory and in ``state_dir``; of more the oldest are dropped. Each takes about
    2.5 kB of memory and 1 kB on the disk."""
    connections: Annotated[int, whole(1, 32)] = 4
    """Number of reports that are sent at a time, each of another call."""

    def _judge(self) -> None:
        if not self.url and self.model_fields_set:
            raise KeyProblemError("url", "where reports are sent")
        if self.secret is not None and self.secret_file is not None:
            raise KeyProblemError("secret", "either secret or secret_file")
        if not self.states or len(set(self.states)) != len(self.states):
            raise KeyProblemError("states", "each state once, and at least one")
