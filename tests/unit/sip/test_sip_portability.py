"""Number portability in URIs (RFC 4694)."""

import pytest

from vosd.sip.headers.portability import Portability, portability_of, routing_number_in

NOT_SAID = Portability()


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("sip:+12025550100@192.0.2.1", NOT_SAID),
        ("tel:+12025550100", NOT_SAID),
        ("sip:+12025550100;npdi;rn=+14045550000@192.0.2.1", Portability("+14045550000", True)),
        ("sip:+12025550100;rn=14045550000;npdi=yes@192.0.2.1;user=phone", Portability("14045550000", True)),
        ("tel:+12025550100;npdi;rn=+1-404-555.0000", Portability("+14045550000", True)),
        ("sip:+12025550100;npdi@192.0.2.1", Portability("", True)),
        ("sip:+12025550100;rn=+14045550000@192.0.2.1", Portability("+14045550000", False)),
        ("sip:+12025550100@192.0.2.1;npdi;rn=+14045550000", Portability("+14045550000", True)),
        ("sip:4930123456;npdi;rn=D061@192.0.2.1", Portability("D061", True)),
        ("sip:4930123456;NPDI;RN=%2B4930@192.0.2.1", Portability("+4930", True)),
        ("sip:2025550100;rn=4045550000;rn-context=+1;cic=0288@192.0.2.1", Portability("4045550000", False)),
        ("sip:1;npdi;rn=1@2@192.0.2.1", Portability("", True, True)),
        ("sip:1;npdi;rn=evil%0d%0aX@192.0.2.1", Portability("", True, True)),
        ("sip:1;npdi;rn=" + "1" * 33 + "@192.0.2.1", Portability("", True, True)),
        ("sip:192.0.2.1;rn=1;npdi", Portability("1", True)),
        ("sip:1;npdi;rn=@192.0.2.1", Portability("", True)),
        ("sip:1@192.0.2.1?X=;npdi;rn=2", NOT_SAID),
        ("", NOT_SAID),
        ("no address", NOT_SAID),
    ],
)
def test_what_a_uri_says(uri, said):
    assert portability_of(uri) == said


@pytest.mark.parametrize("text", ["", " ", "+", "none", "4 4", "44\n45", "<b>44</b>", "1" * 33, "\uff14\uff14"])
def test_what_is_no_routing_number(text):
    assert routing_number_in(text) == ""
