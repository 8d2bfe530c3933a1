"""The parse stage: what becomes of a page."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from crawler import ConfigError, CrawlerError, Html, Page, Record, Report, To, Visit, Visits
from crawler_stages.parse import Parse
from tests.stages.parsing import SHOP, URL, added, outputs, page, stage


def test_a_page_becomes_a_record_and_a_visit_for_each_link() -> None:
    parse = stage()

    record, to = parse.process(page(depth=2, referrer="http://r.org/", fetched_at=1e9, seconds=0.25))

    assert record == Record(
        url=URL,
        final_url=URL,
        status=200,
        content_type="text/html; charset=utf-8",
        encoding="utf-8",
        title="Hats",
        description="All hats",
        canonical="http://example.org/hats",
        language="en",
        links=["http://example.org/hats", "http://example.org/a/b", "http://example.org/a/c"],
        depth=2,
        referrer="http://r.org/",
        fetched_at="2001-09-09T01:46:40.000+00:00",
        elapsed=0.25,
        bytes=len(SHOP.encode()),
        sha256=hashlib.sha256(SHOP.encode()).hexdigest(),
        location=None,
        problem=None,
    )
    assert to == To("urls", Visits(["http://example.org/hats", "http://example.org/a/b"], depth=3, referrer=URL))
    assert list(to.item) == [
        Visit("http://example.org/hats", depth=3, referrer=URL),
        Visit("http://example.org/a/b", depth=3, referrer=URL),
    ]
    assert parse.take_counts() == {"skipped/nofollow": 1}


def test_declared_fields_stand_beside_the_others_in_a_row() -> None:
    parse = stage(fields={"name": "h1", "price": {"css": ".price", "type": "float"}, "size": ".size"})

    (record,), _ = outputs(parse, page())

    assert added(record) == {"name": "Blue hat", "price": 12.5, "size": None}
    assert record["title"] == "Hats"
    assert "fields" not in record
    assert list(record) == [*Record.NAMES, "name", "price", "size"]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(record)) == record  # as a store gets it


def test_a_record_is_a_dict_in_every_way() -> None:
    (record,), _ = outputs(stage(), page())

    assert isinstance(record, dict)
    assert {**record, "title_length": 4} == {**dict(record), "title_length": 4}
    assert (record.get("title"), record.get("nothing", "-")) == ("Hats", "-")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fields": {"url": "h1"}}, r"fields\.url: every record has a 'url' already"),
        ({"fields": {"text": "h1"}, "text": "markdown"}, r"fields\.text: every record has a 'text' already"),
        ({"fields": {"jsonld": "h1"}, "metadata": ["jsonld"]}, r"fields\.jsonld: every record has a 'jsonld' already"),
        ({"fields": {"price": "p["}}, r"fields\.price: cannot use the selector 'p\['"),
    ],
)
def test_options_that_cannot_work_are_refused_before_the_first_page(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        stage(**options).open()


@pytest.mark.parametrize(
    "options",
    [
        {"fields": {"a": {"csss": "h1"}}},
        {"fields": {"a": {"css": "h1", "type": "time"}}},
        {"link_tags": ["blink"]},
        {"text": "pdf"},
        {"metadata": ["rdfa"]},
    ],
)
def test_options_of_a_wrong_form_do_not_fit_the_schema(options: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        stage(**options)


@pytest.mark.parametrize(
    ("html", "header", "is_kept", "followed", "counts"),
    [
        ("<a href=x>", [], True, ["x"], {}),
        ("<meta name=robots content=noindex><a href=x>", [], False, ["x"], {"skipped/noindex": 1}),
        ("<meta name=robots content=nofollow><a href=x><a href=y>", [], True, [], {"skipped/nofollow": 2}),
        ("<meta name=robots content=none><a href=x>", [], False, [], {"skipped/noindex": 1, "skipped/nofollow": 1}),
        ("<a href=x>", ["nofollow"], True, [], {"skipped/nofollow": 1}),
        ("<a href=x>", ["otherbot: none", "noindex"], False, ["x"], {"skipped/noindex": 1}),
        ("<a href=x>", ["otherbot: none"], True, ["x"], {}),
        ("<meta http-equiv=refresh content='0;url=x'>", [], True, ["x"], {}),
    ],
)
def test_the_page_and_its_server_decide_what_is_kept_and_followed(
    html: str, header: list[str], is_kept: bool, followed: list[str], counts: dict[str, int]
) -> None:
    parse = stage()

    kept, urls = outputs(parse, page(html, header_pairs=[("X-Robots-Tag", value) for value in header]))
    items = parse.process(page(html, header_pairs=[("X-Robots-Tag", value) for value in header]))
    reports = " ".join(item.text for item in items if isinstance(item, Report))

    assert ("noindex" in reports, "nofollow" in reports) == ("skipped/noindex" in counts, "skipped/nofollow" in counts)
    assert bool(kept) is is_kept
    assert urls == [f"{URL}{name}" for name in followed]
    assert parse.take_counts() == {name: 2 * n for name, n in counts.items()}


def test_what_robots_are_asked_can_be_ignored_by_who_may() -> None:
    parse = stage(robots=False)

    kept, urls = outputs(parse, page("<meta name=robots content=none><a href=x rel=nofollow>"))

    assert (len(kept), urls) == (1, [f"{URL}x"])
    assert parse.take_counts() == {}


@pytest.mark.parametrize("status", [404, 410, 500, 301])
def test_links_of_what_is_no_good_answer_are_not_followed(status: int) -> None:
    (record,), urls = outputs(stage(), page("<title>Sorry</title><a href=x>", status_code=status))

    assert (record["status"], record["title"], record["links"]) == (status, "Sorry", [f"{URL}x"])
    assert urls == []


def test_links_of_a_page_that_has_not_changed_are_followed() -> None:
    assert outputs(stage(), page("<a href=x>", status_code=304))[1] == [f"{URL}x"]
    assert outputs(stage(), page("", status_code=304))[1] == []


def test_a_redirect_says_where_it_leads() -> None:
    for status, location in [(301, "http://example.org/b"), (308, "http://example.org/b"), (200, None)]:
        (record,), _ = outputs(stage(), page("", status_code=status, header_pairs=[("Location", "../b#x")]))

        assert record["location"] == location


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [("application/pdf", None), ("text/plain", "utf-8"), ("application/json", "utf-8"), ("", None)],
)
def test_what_is_no_html_becomes_a_record_without_links(content_type: str, encoding: str | None) -> None:
    (record,), urls = outputs(stage(fields={"a": "a"}), page("see <a href=x>", content_type))

    assert (record["title"], record["links"], record["encoding"], added(record)) == (None, [], encoding, {})
    assert urls == []


def test_a_header_that_asks_not_to_keep_a_picture_is_heard_too() -> None:
    assert outputs(stage(), page("", "image/png", header_pairs=[("x-robots-tag", "noindex")])) == ([], [])


def test_links_can_be_told_without_being_followed() -> None:
    (record,), urls = outputs(stage(follow=False), page("<a href=x>"))

    assert (record["links"], urls) == ([f"{URL}x"], [])


def test_the_tags_that_count_as_links_can_be_chosen() -> None:
    html = "<a href=x></a><img src=y><iframe src=z></iframe><meta http-equiv=refresh content='0;url=w'>"

    assert outputs(stage(link_tags=["img", "iframe"]), page(html))[1] == [f"{URL}y", f"{URL}z"]


def test_text_is_kept_when_asked_for() -> None:
    html = "<main><h1>Hats</h1><p>Blue <i>ones</i>.</p></main>"

    assert added(outputs(stage(text="text"), page(html))[0][0]) == {"text": "Hats\n\nBlue ones."}
    assert added(outputs(stage(text="markdown"), page(html))[0][0]) == {"text": "# Hats\n\nBlue *ones*."}
    assert added(outputs(stage(), page(html))[0][0]) == {}


def test_what_a_page_tells_machines_is_kept_when_asked_for() -> None:
    html = '<meta property=og:type content=website><script type="application/ld+json">{"@type": "Hat"}</script>'

    assert added(outputs(stage(metadata=["jsonld", "opengraph"]), page(html))[0][0]) == {
        "jsonld": [{"@type": "Hat"}],
        "opengraph": {"og:type": ["website"]},
    }
    assert added(outputs(stage(metadata=["jsonld"]), page(""))[0][0]) == {"jsonld": []}
    assert added(outputs(stage(metadata=["jsonld"]), page("", "image/png"))[0][0]) == {}


def test_a_page_of_too_many_links_is_cut_and_counted() -> None:
    parse = stage(max_links=3)

    (record,), urls = outputs(parse, page("".join(f"<a href={n}>x</a>" for n in range(5))))

    assert record["links"] == urls == [f"{URL}0", f"{URL}1", f"{URL}2"]
    assert parse.take_counts() == {"links/cut": 1}


class Shop(Parse):
    """What the author of a parser writes: three ways to say what is on a page."""

    def records(self, page: Page, html: Html | None) -> Iterable[Any]:
        if html is None:
            return
        for item in html.document.select("li"):
            yield {"by": "tree", "name": item.text}
        for tag in page.soup.find_all("li"):
            yield {"by": "soup", "name": tag.get_text()}
        yield {"by": "css", "name": page.css("li::text")}
        yield self.record(page, html)


def test_a_subclass_says_what_is_kept_and_links_are_followed_all_the_same() -> None:
    kept, urls = outputs(stage(Shop), page("<ul><li>one</ul><a href=x>"))

    assert kept[:3] == [
        {"by": "tree", "name": "one"},
        {"by": "soup", "name": "one"},
        {"by": "css", "name": ["one"]},
    ]
    assert isinstance(kept[3], Record)
    assert urls == [f"{URL}x"]


def test_fields_that_could_not_be_read_are_counted_with_an_example_and_the_page_is_kept() -> None:
    fields = {"price": {"css": ".price", "type": "float"}, "odd": "//p[re:test(., @data-re)]", "day": {"css": "h1", "type": "date"}}
    parse = stage(fields=fields)

    rows = [outputs(parse, page(f"<h1>soon</h1><p class=price data-re='{pattern}'>ask {pattern}"))[0][0] for pattern in "[(x"]

    assert [added(row) for row in rows] == [{"price": None, "odd": odd, "day": None} for odd in (None, None, "ask x")]
    assert parse.take_counts() == {
        "fields/price": 3, "fields/odd/failed": 2, "fields/day": 3,
        "fields/price/missed": 3, "fields/odd/missed": 2, "fields/odd/found": 1, "fields/day/missed": 3,
    }  # fmt: skip
    notes = {name: parse.shared.get(name) for name in ("field/price", "field/odd/failed", "field/day")}
    assert notes == {
        "field/price": b"float ask [", "field/day": b"date soon",
        "field/odd/failed": b"failed unterminated character set at position 0",
    }  # fmt: skip


def test_that_fields_match_is_counted_for_the_first_pages_alone() -> None:
    parse = stage(fields={"always": "h1", "never": ".nope", "later": {"css": "b", "many": True}})

    for n in range(100):
        outputs(parse, page("<h1>x</h1>" + "<b>x</b>" * (n > 50)))

    assert parse.take_counts() == {
        "fields/always/found": 3, "fields/never/missed": 3, "fields/later/missed": 3, "fields/later/found": 3,
    }  # fmt: skip


@pytest.mark.slow
def test_the_record_of_a_hostile_page_stays_small_enough_to_travel() -> None:
    html = f"<base href='/{'d' * 8_000}/'>" + "".join(f"<a href={n}>x</a>" for n in range(300_000))
    parse = stage(fields={"all": {"css": "a, a ~ a::html", "many": True}})

    (record,), urls = outputs(parse, page(html))

    assert len(urls) == len(record["links"]) > 500
    assert len(msgspec.msgpack.encode(record)) < 16 << 20
    assert parse.take_counts() == {"links/cut": 1, "fields/all/cut": 1, "fields/all/found": 1}


class OneDict(Parse):
    def records(self, page: Page, html: Html | None) -> Any:
        return {"url": page.url}


class OneText(Parse):
    def records(self, page: Page, html: Html | None) -> Any:
        return "text"


class Nothing(Parse):
    def records(self, page: Page, html: Html | None) -> Any:
        """Forget to return anything."""


class Both(Parse):
    def records(self, page: Page, html: Html | None) -> Any:
        yield {"url": page.url}
        return {"url": "lost"}


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (OneDict, "records returned a dict; yield each record, or return a list of them"),
        (OneText, "records returned a str; yield each record, or return a list of them"),
        (Nothing, "records returned None; yield each record, or return a list of them"),
        (Both, "records yields and also returns a record; yield it"),
    ],
)
def test_records_that_are_no_list_of_records_are_refused_with_the_place_of_the_method(kind: type[Parse], told: str) -> None:
    with pytest.raises(CrawlerError, match=rf"^{told} \(at tests/stages/test_parse.py:\d+ in records\)$"):
        outputs(stage(kind), page())


def test_a_page_that_needs_too_much_memory_is_stored_with_the_reason() -> None:
    parse = stage(text="text")

    report, record = parse.process(page("<title>x</title>" + "".join(f"<b id={i}><p><a href={i}>" for i in range(8_000))))

    assert isinstance(report, Report)
    assert report.text == f"not read: {record['problem']}"
    assert "bytes of HTML needs more than" in record["problem"]
    assert (record["url"], record["status"], record["title"], record["links"], record["text"]) == (URL, 200, None, [], "")
    assert parse.take_counts() == {"pages/unreadable": 1}


@pytest.mark.slow
def test_long_titles_and_texts_are_cut_and_counted() -> None:
    parse = stage(text="text")
    long = "long " * 700_000

    record, *_ = parse.process(page(f"<html lang='{long}'><title>{long}</title><meta name=description content='{long}'><p>{long}"))

    lengths = {name: len(record[name]) for name in ("title", "description", "language", "text")}
    assert lengths == {"title": 9_999, "description": 9_999, "language": 9_999, "text": 2_999_999}
    assert parse.take_counts() == {"title/cut": 1, "description/cut": 1, "language/cut": 1, "text/cut": 1}
