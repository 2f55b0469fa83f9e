"""``GET /docs``: the document as a page that needs no internet."""

import asyncio
import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from doubles.asgi import Answered, answered

from vosd.api.application import Application
from vosd.api.openapi import document
from vosd.api.routes import Routes
from vosd.api.table import OPERATIONS

VOID = {"meta"}


class Page(HTMLParser):
    """The elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.values: dict[str, set[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open += [] if tag in VOID else [tag]
        for name, value in attrs:
            values = self.values.setdefault(name, set())
            assert name != "id" or value not in values, value
            values.add(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def found() -> Answered:
    application = Application(None, None, Routes(OPERATIONS), None)  # type: ignore[arg-type]
    return asyncio.run(answered(application, "GET", "/docs"))


@pytest.fixture(scope="module")
def page(found: Answered) -> Page:
    assert (found.status, found.header("content-type")) == (200, ["text/html; charset=utf-8"])
    return Page(found.content.decode())


def test_the_page_is_whole_and_each_of_its_links_leads_somewhere(page: Page) -> None:
    assert page.open == []
    assert {each.removeprefix("#") for each in page.values["href"]} <= page.values["id"]


def test_the_page_has_every_operation_and_every_type(page: Page) -> None:
    wanted = {each["operationId"] for methods in document()["paths"].values() for each in methods.values()}
    assert wanted | {f"type-{name}" for name in document()["components"]["schemas"]} <= page.values["id"]


def test_the_page_asks_nothing_of_any_other_place(found: Answered, page: Page) -> None:
    assert not page.tags & {"script", "link", "img", "iframe", "object", "form"}
    assert page.values.keys() <= {"id", "href", "lang", "charset"}
    assert all(each.startswith("#") for each in page.values["href"])
    style = re.search(rb"<style>(.*?)</style>", found.content, re.DOTALL)
    assert style is not None
    assert b"url(" not in style[1]
    assert b"@import" not in style[1]


def test_the_policy_of_the_page_lets_its_own_style_in_alone(found: Answered) -> None:
    style = re.search(rb"<style>(.*?)</style>", found.content, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1]).digest()).decode()
    policy = f"default-src 'none'; frame-ancestors 'none'; style-src 'sha256-{digest}'"
    assert found.header("content-security-policy") == [policy]
