"""Preferences of a request (RFC 7240): names in any case, several in one header, values with quotes and parameters."""

import pytest

from vosd.api.http import HttpRequest


async def no_body() -> dict[str, object]:
    return {"type": "http.disconnect"}


def preferences(*values: str) -> dict[str, str]:
    headers = [(b"prefer", value.encode()) for value in values]
    scope = {"method": "GET", "raw_path": b"/", "query_string": b"", "headers": headers}
    return HttpRequest(scope, no_body).preferences()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), {}),
        (("wait=1",), {"wait": "1"}),
        (("Respond-Async, WAIT = 10",), {"respond-async": "", "wait": "10"}),
        (('wait="5"; unit=s', "wait=7"), {"wait": "5"}),
        (('return="a, wait=9"', "x-wait=5"), {"return": "a, wait=9", "x-wait": "5"}),
    ],
)
def test_preferences_are_read_by_name(values: tuple[str, ...], expected: dict[str, str]) -> None:
    assert preferences(*values) == expected
