"""``metrics``: figures for Prometheus, and whether the switch is well, over HTTP."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import BeforeValidator, model_validator

from vosd.config.reader.addresses import http_listener, network
from vosd.config.reader.fields import KeyProblemError, one_or_many, whole
from vosd.config.reader.model import Keys
from vosd.engine.settings import LOOPBACK, HttpListener, MetricsSettings


class MetricsKeys(Keys):
    """``/metrics`` for Prometheus, ``/healthz`` and ``/readyz``, by a process of its own. Default: none.

    A reload changes it.
    """

    listen: Annotated[HttpListener | None, http_listener()] = None
    """Address at which HTTP is answered. There is neither TLS nor a password: for another machine than this one, choose
    an address of the internal network, and name who may ask in ``allow``."""
    allow: Annotated[tuple[Annotated[IPv4Network | IPv6Network, network()], ...], BeforeValidator(one_or_many)] = (
        LOOPBACK
    )
    """Addresses and networks that get an answer; others get 403."""
    max_gateways: Annotated[int, whole(0, 100_000)] = 2_000
    """Gateways that have figures of their own, about 20 lines each; routing gateways come first."""

    @model_validator(mode="after")
    def _listens(self) -> "MetricsKeys":
        if self.listen is None and self.model_fields_set:
            raise KeyProblemError("listen", "an address and a port, such as 127.0.0.1:9464")
        return self

    def settings(self) -> MetricsSettings | None:
        """Return the listener and who may ask; None = there is none."""
        return None if self.listen is None else MetricsSettings(self.listen, self.allow, self.max_gateways)
