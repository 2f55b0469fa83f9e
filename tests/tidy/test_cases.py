"""Cases that are gone through in one item fail as they would alone, each by its values."""

import pytest
from cases import joined

SQUARES = {1: 1, 2: 4, 3: 10, 4: 17}


@pytest.mark.parametrize("number", [1, 2, pytest.param(3, id="three")])
@pytest.mark.parametrize(("is_right", "squares"), [(True, SQUARES)])
def squared(number: int, squares: dict[int, int], is_right: bool) -> None:
    assert is_right
    assert number * number == squares[number]


@pytest.mark.parametrize("number", list(SQUARES))
def all_squared(number: int) -> None:
    squared(number, SQUARES, is_right=True)


@pytest.mark.parametrize("number", [1, pytest.param(3, marks=pytest.mark.xfail)])
def marked(number: int) -> None:
    squared(number, SQUARES, is_right=True)


@pytest.mark.parametrize("number", [1, 2])
def prepared(number: int, tmp_path: object) -> None:
    squared(number, SQUARES, is_right=bool(tmp_path))


def of(request: pytest.FixtureRequest, test: object) -> pytest.Function | None:
    module = request.node.getparent(pytest.Module)
    return joined(module, "test_squares", test)


def test_a_failure_names_its_case(request: pytest.FixtureRequest) -> None:
    item = of(request, squared)
    assert item is not None
    with pytest.raises(AssertionError) as caught:
        item.obj()
    case = {"number": 3, "is_right": True, "squares": SQUARES}
    assert caught.value.__notes__ == [f"in the case {case!r}"]


def test_one_failure_leaves_no_other_out(request: pytest.FixtureRequest) -> None:
    item = of(request, all_squared)
    assert item is not None
    with pytest.raises(BaseExceptionGroup, match="2 of 4 cases fail") as caught:
        item.obj()
    assert [error.__notes__ for error in caught.value.exceptions] == [
        ["in the case {'number': 3}"], ["in the case {'number': 4}"],
    ]  # fmt: skip


@pytest.mark.parametrize("test", [marked, prepared, of])
def test_what_needs_an_item_for_each_case_has_one(request: pytest.FixtureRequest, test: object) -> None:
    assert of(request, test) is None
