"""``hep``: the capture server that gets copies of messages."""

from typing import Annotated

from vosd.base.secret import Secret
from vosd.config.keys.proofs import password_text
from vosd.config.reader.addresses import hep_server
from vosd.config.reader.fields import KeyProblemError, Keys, choice, whole
from vosd.engine.settings import HepOnly, HepServer


class HepKeys(Keys):
    """A capture server such as Homer, which gets copies of SIP messages by HEP 3 (docs/hep.md). Default: none.

    Credentials in the copies are blanked. A reload changes all of it.
    """

    server: Annotated[HepServer | None, hep_server()] = None
    """``udp``, ``tcp`` or ``tls``, host and port, such as ``udp:192.0.2.5:9060``."""
    capture_id: Annotated[int, whole(0, 4_294_967_295)] = 2001
    """Number of this switch at the server."""
    only: Annotated[HepOnly, choice(HepOnly)] = HepOnly.ALL
    """``failed`` copies the messages of a call at its end, and only if it has failed. Trunks may say otherwise
    (``hep``)."""
    key: Annotated[Secret | None, password_text()] = None
    """Key that the server wants in each packet, best with ``${ENV}``."""

    def _judge(self) -> None:
        if self.server is None and self.model_fields_set:
            raise KeyProblemError("server", "the server that gets the copies, such as udp:192.0.2.5:9060")
