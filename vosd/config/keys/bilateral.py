"""``bilateral``: partners whose switches compare totals of the calls between both with ours."""

from decimal import Decimal
from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import urlsplit

from vosd.base.secret import Secret
from vosd.config.keys.proofs import password_text
from vosd.config.keys.webhooks import report_url
from vosd.config.reader.amounts import percent, price
from vosd.config.reader.fields import KeyProblemError, Keys, object_name

_LOCAL: Final = "localhost"
_PERCENT: Final = percent()


class BilateralKeys(Keys):
    """A partner whose switch has the management API of vosd, as this one has for it. A reload changes all of it."""

    account: Annotated[str, object_name("accounts")]
    """Account of the partner here."""
    url: Annotated[str, report_url()]
    """Management API of the partner's switch, such as ``https://switch.example.com/api/v1``."""
    their_account: Annotated[str, object_name()]
    """Account that stands for us there."""
    token: Annotated[Secret, password_text()]
    """Token that the partner has made for us, best with ``${ENV}``."""
    percent: Annotated[Decimal, _PERCENT] = Decimal(1)
    """Difference that is an alarm, of the greater sum ..."""
    amount: Annotated[Decimal, price()] = Decimal(1)
    """... if it is more than this, too, in the currency of the account."""

    def _judge(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != "https" and not _is_this_machine(parts.hostname or ""):
            raise KeyProblemError("url", "an https URL: the token would be readable on its way")


def _is_this_machine(host: str) -> bool:
    try:
        return host == _LOCAL or ip_address(host).is_loopback
    except ValueError:
        return False
