"""Secrets of the installation that stand in files of their own: each is read again by every load."""

from pathlib import Path
from typing import Protocol

from vosd.base.secret import Secret
from vosd.catalogue.problems import Place, ProblemList
from vosd.config.assembly.credentials import read_secret
from vosd.config.keys.installation import InstallationKeys


class Written(Protocol):
    """Places of the keys of the installation."""

    def place_of(self, key: str) -> Place:
        """Return the place of a key."""
        ...


def with_secrets(keys: InstallationKeys, written: Written, problems: ProblemList) -> InstallationKeys:
    """Return the keys with each secret that a key names the file of; a file that cannot be read is reported."""

    def read(file: Path | None, key: str) -> Secret | None:
        return None if file is None else read_secret(file, written.place_of(key), key, problems)

    webhook, mail, reports = keys.alarms.webhook, keys.alarms.mail, keys.call_reports
    in_webhook = read(webhook.secret_file, "alarms.webhook.secret_file")
    in_mail = read(mail.password_file, "alarms.mail.password_file")
    in_reports = read(reports.secret_file, "call_reports.secret_file")
    alarms = keys.alarms.model_copy(
        update={
            "webhook": webhook.model_copy(update={"secret": in_webhook or webhook.secret}),
            "mail": mail.model_copy(update={"password": in_mail or mail.password}),
        }
    )
    reports = reports.model_copy(update={"secret": in_reports or reports.secret})
    return keys.model_copy(update={"alarms": alarms, "call_reports": reports})
