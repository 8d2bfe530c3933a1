"""Reading a page against the cases of others, and against another parser on real pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin

import pytest
from bs4 import BeautifulSoup, Tag

from crawler.web.directives import directives
from crawler.web.html import Html
from crawler.web.urls import canonical, is_crawlable
from tests import cases

URL = "http://example.org/dir/page?q=1"
DEVIATIONS: dict[str, Callable[[list[str]], list[str]]] = {
    # A fragment names a place in a page, not a page: links come without, so the two are one.
    "test_extract_all_links": lambda expected: [url for url in expected if "#" not in url],
    # What cannot be crawled is not a link.
    "test_ftp_links": lambda expected: [],
    # File name suffixes are a matter of scope, not of reading.
    "test_ignored_extensions": lambda expected: [*expected, "http://example.org/photo.jpg"],
}


def test_the_link_pages_of_scrapy_give_the_same_links() -> None:
    rows = cases.load("scrapy_linkextractors.json", "the link pages of Scrapy's tests")["cases"]
    for case in [row for row in rows if not row["config"]]:
        name = case["test"].rpartition(".")[2]
        source = case["html"]
        charset = f"; charset={case['http_charset']}" if case["http_charset"] else ""
        expected = [link if isinstance(link, str) else link["url"] for link in case["links"]]
        known = {link["url"]: link for link in case["links"] if isinstance(link, dict)}

        page = source["bytes_latin1"].encode("latin1") if isinstance(source, dict) else source
        found = Html(page, case["page_url"], f"text/html{charset}").links

        assert [link.url for link in found] == DEVIATIONS.get(name, list)(expected), name
        for link in found:
            if link.url in known:
                assert (link.text, link.is_nofollow) == (known[link.url]["text"], known[link.url]["nofollow"]), name


def test_the_meta_robots_cases_hold() -> None:
    for case in cases.load("meta_robots.json", "the cases of meta robots and X-Robots-Tag")["cases"]:
        html = Html(case.get("html", ""), case.get("page_url", URL))

        wish = html.robots("crawler") | directives(case.get("x_robots_tag") or [], "crawler")

        assert (wish.noindex, wish.nofollow) == (case["noindex"], case["nofollow"]), case
        if case.get("base_href"):
            assert html.base == case["base_href"]


def soup_links(soup: BeautifulSoup, url: str) -> list[str]:
    found: dict[str, None] = {}
    for element in soup.find_all(["a", "area", "iframe", "frame", "link"]):
        assert isinstance(element, Tag)
        href = element.get("src" if element.name in ("iframe", "frame") else "href")
        rels = set(element.get("rel") or ())
        resource = {"stylesheet", "icon"} & rels or element.get("type") == "application/opensearchdescription+xml"
        if isinstance(href, str) and not (element.name == "link" and resource):
            target = urljoin(url, href)
            if is_crawlable(target):
                found[canonical(target)] = None
    return list(found)


def documentation() -> list[Path]:
    """Fifty pages of moderate size from the documentation that is installed here: some of each package, evenly spread."""
    packages: dict[str, list[Path]] = {}
    for page in sorted(Path("/usr/share/doc").glob("**/*.html")):
        if page.is_file() and page.stat().st_size < 60_000:
            packages.setdefault(page.parts[4], []).append(page)
    share = max(1, 50 // max(1, len(packages)))
    chosen = [page for pages in packages.values() for page in pages[:: -(-len(pages) // share)]]
    rest = [page for pages in packages.values() for page in pages if page not in chosen]
    return chosen + rest[:: max(1, len(rest) // 30)][: max(0, 50 - len(chosen))]


@pytest.mark.slow
@pytest.mark.skipif(not documentation(), reason="no HTML documentation in /usr/share/doc; install python3-doc")
def test_beautifulsoup_finds_the_same_links_and_title_on_real_pages() -> None:
    for page in documentation():
        url = f"http://127.0.0.1:8000{page}"
        body = page.read_bytes()
        soup = BeautifulSoup(body, "html.parser")
        html = Html(body, url)

        assert [link.url for link in html.links] == soup_links(soup, url), page
        assert html.title == (" ".join(soup.title.get_text().split()) if soup.title else None), page
