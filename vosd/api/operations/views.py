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
        "GET /views",
        "The views of pages of the console that the person or token keeps, and those that operators share.",
        list_views,
        listing=Listing("page,name,id", filters=("page", "owner", "shared"), sorts=("name", "owner", "changed_at")),
    ),
    Operation(
        "POST /views",
        "Keep a view of a page of the console by name.",
        add_view,
        problems=("operators_only", "too_many_views", "view_exists"),
        status=HTTPStatus.CREATED,
        etag=_version_of,
        location=_place_of,
    ),
    Operation(
        "PUT /views/{id}",
        "Change name, query and sharing of a view: of one's own, or as an administrator of any.",
        change_view,
        problems=(*_CHANGES, "operators_only", "view_exists"),
        etag=_version_of,
    ),
    Operation(
        "DELETE /views/{id}", "Delete a view: one's own, or as an administrator any.", drop_view, problems=_CHANGES
    ),
)
