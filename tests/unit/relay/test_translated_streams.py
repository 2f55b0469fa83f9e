"""Questions to connection tracking that it does not answer; its answers are in tests/integration."""

import errno

import pytest

from vosd.relay.translations import Translations

OWN, PEER = ("192.0.2.1", 4_000), ("192.0.2.2", 5_000)


class Refusing:
    """A connection to a kernel that refuses each question."""

    def __init__(self, error: int) -> None:
        self._error = error
        self.asked = 0

    def message(self, _kind: int, _flags: int, content: bytes) -> bytes:
        return content

    def request(self, _messages: list[bytes]) -> list[tuple[int, bytes]]:
        self.asked += 1
        raise OSError(self._error, "refused")


@pytest.mark.parametrize(
    ("error", "is_translated", "asked"),
    [
        pytest.param(errno.ENOENT, False, 2, id="no such flow"),
        pytest.param(errno.EINVAL, False, 1, id="a kernel without connection tracking is not asked again"),
        pytest.param(errno.ENOMEM, True, 2, id="it is not known now"),
    ],
)
def test_a_stream_stays_with_the_worker_where_it_is_not_known_whether_it_is_translated(error, is_translated, asked):
    questions = Refusing(error)
    translations = Translations(questions)
    assert [translations.has(OWN, PEER) for _ in range(2)] == [is_translated] * 2
    assert questions.asked == asked
