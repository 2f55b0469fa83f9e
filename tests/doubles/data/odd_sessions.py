"""Descriptions in other forms than that of RFC 8866, which parties that are less strict understand."""

USUAL = (
    "v=0", "o=- 1 1 IN IP4 192.0.2.10", "s=-", "c=IN IP4 192.0.2.10", "t=0 0",
    "m=audio 20000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000", "a=sendonly",
)  # fmt: skip


def written(*lines: str, end: str = "\r\n") -> bytes:
    """Return a description."""
    return "".join(f"{line}{end}" for line in lines).encode()


def changed(before: str, *after: str) -> tuple[str, ...]:
    """Return the usual lines with others in place of one."""
    assert before in USUAL
    return tuple(new for line in USUAL for new in (after if line == before else (line,)))


ODD = {
    "no version": USUAL[1:],
    "a blank behind the version": changed("v=0", "v=0 "),
    "an origin that is too short": changed(USUAL[1], "o=- 1 IN IP4 192.0.2.10"),
    "an origin behind the address": ("v=0", "s=-", USUAL[3], USUAL[1], *USUAL[4:]),
    "an origin in a medium": (*changed(USUAL[1]), USUAL[1]),
    "a name in a medium": (*changed("s=-"), "s=-"),
    "an address behind attributes": (*changed(USUAL[3]), USUAL[3]),
    "two addresses": changed("t=0 0", USUAL[3], "t=0 0"),
    "two addresses of a medium": (*USUAL[:6], USUAL[3], USUAL[3], *USUAL[6:]),
    "an address with a TTL": changed(USUAL[3], "c=IN IP4 192.0.2.10/127"),
    "an address with a tab": changed(USUAL[3], "c=IN IP4\t192.0.2.10"),
    "a name above and an address below": (*changed(USUAL[3], "c=IN IP4 pbx.example")[:6], USUAL[3], *USUAL[6:]),
    "an unknown line": changed("t=0 0", "t=0 0", "x=1"),
    "an unknown line in a medium": (*USUAL, "y=1"),
    "an empty line": changed("t=0 0", "t=0 0", ""),
    "an empty line at the begin": ("", *USUAL),
    "a line without a letter": changed("t=0 0", "t=0 0", "hello"),
    "a line that begins with a blank": (*USUAL, " a=ptime:20"),
}
"""Lines of descriptions that rtpengine 10.5.3 refuses, or answers without a description."""
