"""Calls against the real daemon: SIPp and scripted peers around it, CDRs and ledger behind it."""

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{module}" for module in ("conditions", "conversation", "expectations", "stage"))
)
