"""Whatever a caller writes into its identity headers, a vendor gets a message with the headers that we meant."""

from typing import Final

from doubles.virtual.probe import request
from hypothesis import given, strategies as st

from vosd.b2bua.identity import caller_identity_of
from vosd.b2bua.outgoing.presentation import present
from vosd.sip.wire.message import Request
from vosd.sip.wire.parse import parse_message
from vosd.trunks.dialect import CalleeDialect, IdentityHeader, Passing, Privacy

EVERYTHING: Final = {"display_name": Passing.PASS, "diversion": Passing.PASS, "history_info": Passing.PASS}
MEANT: Final = frozenset(
    {"p-asserted-identity", "remote-party-id", "privacy", "diversion", "history-info", "date", "identity"}
)
OURS: Final = "192.0.2.1"

text = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=40) | st.binary(max_size=20).map(
    lambda data: data.translate(None, b"\r\n").decode("utf-8", "surrogateescape")
)
names = st.sampled_from(["From", "Privacy", "Remote-Party-ID", "Diversion", "History-Info", "Identity", "Date"])
pieces = st.sampled_from(
    ['"', "\\", '\\"', "<", ">", ";", ",", "?", "&", "=", "%0d%0a", "%22", "%3e", " ", "sip:", "tel:", "@", "+49301",
     "index=1", "index=1.1", "Reason=SIP%3Bcause%3D302", "Privacy=history", "reason=no-answer", "counter=1",
     "privacy=full", "id", "critical", "anonymous", "é", "東", "\x00", "\x85", "\u2028", "\udcff", "tag=x"]
)  # fmt: skip
values = st.lists(pieces | text, max_size=12).map("".join)
addresses = st.builds("{}<sip:{}@{}>{}".format, values, values, values, values)
dialects = st.builds(
    CalleeDialect,
    identity=st.lists(st.sampled_from([IdentityHeader.ASSERTED, IdentityHeader.REMOTE_PARTY]), unique=True).map(tuple),
    privacy=st.sampled_from(Privacy),
    **{key: st.just(passing) for key, passing in EVERYTHING.items()},
)


@given(st.lists(st.tuples(names, values | addresses), max_size=6), st.just("+4930") | values, dialects)
def test_a_vendor_gets_the_headers_that_we_meant_and_each_can_be_read(written, number, dialect):
    own_from = next((value for name, value in written if name == "From"), "<sip:+4930@h>;tag=1")
    headers = "".join(f"{name}: {value}\r\n" for name, value in written if name != "From")
    came = parse_message(request(from_=own_from, headers=headers))
    assert isinstance(came, Request)

    shown = present(caller_identity_of(came), number, "4420", OURS, dialect)

    sent = parse_message(request(from_=f"{shown.from_};tag=ours", headers=shown.headers, call_id="out"))
    plain = parse_message(request(call_id="out"))
    assert {name for name, _ in sent.fields} - {name for name, _ in plain.fields} <= MEANT
    assert sent.from_tag == "ours"
    assert sent.call_id == "out"
    assert [name for name, _ in sent.fields].count("contact") == 1
    assert not any(
        ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for _, value in sent.fields for character in value
    )
    head = bytes(sent).partition(b"\r\n\r\n")[0]
    assert head.decode("utf-8")
    assert b"\n" not in head.replace(b"\r\n", b"")
    for line in sent.headers("p-asserted-identity"):
        assert line.endswith(f"@{OURS}>")
    for line in [*sent.headers("diversion"), *sent.headers("history-info")]:
        host = line.partition("@")[2]
        assert host.startswith((OURS, "anonymous.invalid>", "anonymous.invalid;", "anonymous.invalid?"))
