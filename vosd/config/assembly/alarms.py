"""Alarms: from keys to the settings of the engine."""

from typing import Final

from vosd.config.assembly.conversion import Conversion, require_all_used
from vosd.config.keys.alarms import AlarmKeys, MailKeys, WebhookKeys
from vosd.engine.settings import AlarmSettings, MailSettings, WebhookSettings

_LEVELS: Final = ("critical", "warning", "info", "off")
_ALARMS: Final = Conversion(
    AlarmKeys, AlarmSettings, by_hand={**dict.fromkeys(_LEVELS, "levels"), "webhook": "webhook", "mail": "mail"}
)
_WEBHOOK: Final = Conversion(WebhookKeys, WebhookSettings)
_MAIL: Final = Conversion(MailKeys, MailSettings)
require_all_used(AlarmKeys, _ALARMS)
require_all_used(WebhookKeys, _WEBHOOK, elsewhere={"secret_file": "the secret, which is read from it"})
require_all_used(MailKeys, _MAIL, elsewhere={"password_file": "the password, which is read from it"})


def alarm_settings(keys: AlarmKeys) -> AlarmSettings:
    """Return the limits and levels of alarms, and who receives them."""
    webhook = _WEBHOOK(keys.webhook) if keys.webhook.url else None
    mail = _MAIL(keys.mail) if keys.mail.server else None
    return _ALARMS(keys, levels=keys.levels, webhook=webhook, mail=mail)
