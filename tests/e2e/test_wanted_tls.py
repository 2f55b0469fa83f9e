"""A switch without a socket for TLS, and a peer that wants requests to it over TLS (RFC 3261 section 18.1.1)."""

from pathlib import Path

from doubles.daemon import Daemon
from doubles.sockets.peer import Peer

from vosd.obs.events import Event

from .addresses import CLEAR_SWITCH, VENDORS
from .conversation import Conversation
from .stage import Stage, configuration


class WantsTls(Peer):
    """A peer that calls over UDP and wants requests to it over TLS."""

    @property
    def contact(self) -> str:
        return f"{self.address};transport=tls"


def test_a_caller_whose_contact_wants_tls_is_sent_no_bye_in_clear(tmp_path: Path) -> None:
    """The BYE fails, which is an alarm; the call is over all the same."""
    with Daemon(tmp_path, configuration("switch.yaml", CLEAR_SWITCH)) as daemon:
        stage = Stage(daemon, CLEAR_SWITCH, Event.BYE_UNANSWERED)
        stage.pay("acme", "100")
        with Peer(VENDORS["carrier-a"]) as vendor, WantsTls(stage.endpoint_of("acme")) as caller:
            conversation = Conversation(stage, caller, vendor, "4410")
            conversation.establish()
            conversation.hang_up_from_the_vendor()
            stage.expect_timers_run_out()
            assert caller.messages(0.1) == []
        said = [line["why"] for line in daemon.log() if line["event"] == "connection"]
        assert said == ["no connection: it wants TLS, and sip.listen has no socket for TLS"]
        assert Event.BYE_UNANSWERED in [line["event"] for line in daemon.log()]
        assert stage.record_of(conversation.callee)["end_reason"] == "Normal"
        stage.expect_books_in_order()
