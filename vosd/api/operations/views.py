"""Operations about views of pages of the console that people keep by name."""

from http import HTTPStatus
from typing import Final

from vosd.admin.office.saved_views import ViewSheet, add_view, change_view, drop_view, list_views
from vosd.api.operation import Listing, Operation

_CHANGES: Final = ("no_such_view", "not_your_view")


def _version_of(view: ViewSheet) -> str:
    return str(view.version)


def _place_of(view: ViewSheet) -> str:
    return f"/api/v1/views/{view.id}"


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/views",
        meaning="The views of pages of the console that the person or token keeps, and those that operators share.",
        run=list_views,
        listing=Listing("page,name,id", filters=("page", "owner", "shared"), sorts=("name", "owner", "changed_at")),
    ),
    Operation(
        method="POST",
        path="/views",
        meaning="Keep a view of a page of the console by name.",
        run=add_view,
        problems=("operators_only", "too_many_views", "view_exists"),
        status=HTTPStatus.CREATED,
        etag=_version_of,
        location=_place_of,
    ),
    Operation(
        method="PUT",
        path="/views/{id}",
        meaning="Change name, query and sharing of a view: of one's own, or as an administrator of any.",
        run=change_view,
        problems=(*_CHANGES, "operators_only", "view_exists"),
        etag=_version_of,
    ),
    Operation(
        method="DELETE",
        path="/views/{id}",
        meaning="Delete a view: one's own, or as an administrator any.",
        run=drop_view,
        problems=_CHANGES,
    ),
)
