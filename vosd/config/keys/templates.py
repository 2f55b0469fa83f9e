"""The key ``template``, which accounts, gateways, phones and rate groups have."""

from typing import Final

TEMPLATE_KEY: Final = {"template": "Name of a template; the object's own keys win."}
