"""Randomness for tags, branches and call ids: enough of it, none of it twice."""

import re

from vosd.engine.tokens import TokenSource


def test_tokens_are_sip_tokens_of_eighty_bits_and_never_repeat():
    source = TokenSource()
    tokens = [source.token() for _ in range(2_000)]
    assert all(re.fullmatch(r"[0-9a-f]{20}", token) for token in tokens)
    assert len(set(tokens)) == len(tokens)


def test_entropy_and_tokens_come_from_one_pool_and_share_nothing():
    source = TokenSource()
    drawn = [source.entropy() if index % 2 else bytes.fromhex(source.token()) for index in range(1_000)]
    assert {len(piece) for piece in drawn} == {10}
    assert len(set(drawn)) == len(drawn)
