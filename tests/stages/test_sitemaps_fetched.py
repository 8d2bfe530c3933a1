"""The body of what is called a sitemap is read whatever its type, with each client; what is not read says so in its record."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest

from tests.oddities import FINE, Answer, Oddities, Row, ok
from tests.stages.test_oddities import CLIENTS, Crawl

KINDS = ["application/octet-stream", "application/x-gzip", "image/png", "text/html", "text/plain", "application/pdf", "", "bogus"]


def row(host: str) -> Row:
    """An index, as a person names it, of sitemaps of all types: text and XML, each gzipped or not."""
    answers: dict[str, Answer] = {}
    names: list[str] = []
    for n, kind in enumerate(KINDS):
        text = f"http://{host}/maps/t{n}\n".encode()
        xml = f"<urlset><url><loc>http://{host}/maps/x{n}</loc></url></urlset>".encode()
        bodies = {"text": text, "textgz": gzip.compress(text), "xml": xml, "xmlgz": gzip.compress(xml)}
        answers |= {f"{name}{n}": ok(body, kind=kind) for name, body in bodies.items()}
        names += [f"{name}{n}" for name in bodies]
        answers[f"t{n}"] = answers[f"x{n}"] = FINE
    index = "".join(f"<sitemap><loc>http://{host}/maps/{name}</loc></sitemap>" for name in names)
    answers[""] = ok(f"<sitemapindex>{index}</sitemapindex>".encode(), kind="application/octet-stream")
    return Row("maps", "sitemaps of all types", answers, {})


@pytest.fixture
def server() -> Iterator[Oddities]:
    with Oddities() as server:
        server.add(row(server.host))
        yield server


@pytest.mark.parametrize("client", CLIENTS)
def test_every_sitemap_of_an_index_is_read_whatever_its_type(server: Oddities, client: str) -> None:
    outcomes = Crawl(server, row(server.host), client=client).outcomes

    assert [f"{kind}{n}" for kind in "tx" for n in range(len(KINDS)) if outcomes.get(f"{kind}{n}") != 200] == []
    assert set(outcomes.values()) == {200}
