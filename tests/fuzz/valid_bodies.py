"""Hook of Schemathesis: half of the bodies are the example of their operation, with a name that may be free.

Bodies made up from the document alone are hardly ever taken (it does not say which keys an account has), so no chain of
requests would begin: make, read, change, delete.
"""

from typing import Any

import schemathesis
from hypothesis import strategies as st

_NAMES = st.one_of(st.from_regex(r"[a-z]{3,12}", fullmatch=True), st.from_regex(r"49[0-9]{6,9}", fullmatch=True))
_NAMED = ("name", "account")
"""Fields with the name of the object that a request makes."""


@schemathesis.hook
def flatmap_body(context: Any, body: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for the body."""
    content = context.operation.definition.raw.get("requestBody", {}).get("content", {})
    example = content.get("application/json", {}).get("example")
    if not isinstance(example, dict):
        return st.just(body)
    named = next((each for each in _NAMED if each in example), None)
    if named is None or context.operation.method.upper() != "POST":
        return st.sampled_from([body, example])
    return st.one_of(st.just(body), _NAMES.map(lambda name: {**example, named: name}))
