"""The webs that other tests stand on: the loopback server, the site of known shape, the demo's shop."""

from __future__ import annotations

import http.client
import re
import threading
from collections import deque
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

import ada_url
import pytest

from crawler.demo.loopback import Response
from crawler.demo.shop import Shop
from tests.site import Site, generated

Answer = tuple[int, dict[str, str], bytes]


def get(url: str, method: str = "GET") -> Answer:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port or 80, timeout=10)
    try:
        connection.request(method, url.removeprefix(f"http://{parts.netloc}"), headers={"User-Agent": "test/1"})
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def walk(*seeds: str) -> dict[str, tuple[int, bytes]]:
    """Breadth first over all that the seeds' hosts link to, robots.txt and nofollow obeyed by rules written out here."""
    hosts = {urlsplit(seed).netloc for seed in seeds}
    found: dict[str, tuple[int, bytes]] = {}
    waiting = deque(seeds)
    while waiting:
        url = waiting.popleft()
        parts = urlsplit(url)
        closed = parts.path.startswith(("/cart/", "/calendar/")) and parts.path != "/cart/help.html"
        if url in found or parts.netloc not in hosts or closed:
            continue
        status, headers, body = get(url)
        found[url] = status, body
        base = re.search(rb'<base href="([^"]+)"', body)
        start = ada_url.join_url(url, base[1].decode()) if base else url
        targets = [] if b'content="nofollow"' in body else re.findall(rb'<a (?:rel="next" )?href="([^"]+)"', body)
        targets += [headers["location"].encode()] if "location" in headers else []
        waiting.extend(urldefrag(ada_url.join_url(start, t.decode().replace("&amp;", "&"))).url for t in targets)
    return found


def test_a_site_serves_text_bytes_and_whole_responses_and_404_for_the_rest():
    pages = {"/": "<h1>ü</h1>", "/raw": b"\xff", "/teapot": Response(418, {"X-Pot": "short"}, b"stout")}
    with Site(pages) as site:
        assert get(site.url) == (200, {"content-type": "text/html; charset=utf-8", "content-length": "11"}, b"<h1>\xc3\xbc</h1>")
        assert get(site.link("/raw"))[2] == b"\xff"
        status, headers, body = get(site.link("/teapot"))
        assert (status, headers["x-pot"], body) == (418, "short", b"stout")
        assert get(site.link("/none"))[0] == 404
        assert get(site.url, "HEAD")[1:] == ({"content-type": "text/html; charset=utf-8", "content-length": "11"}, b"")


def test_one_connection_carries_many_requests():
    with Site({"/": "a", "/none": Response(304), "/b": "b"}) as site:
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
        bodies = []
        for path in ("/", "/none", "/b"):
            connection.request("GET", path)
            bodies.append(connection.getresponse().read())
        connection.close()

    assert bodies == [b"a", b"", b"b"]


def test_a_held_answer_comes_when_it_is_released():
    answers: list[Answer] = []
    with Site({"/slow": "done", "/quick": "done"}) as site:
        site.hold("/slow")
        client = threading.Thread(target=lambda: answers.append(get(site.link("/slow"))))
        client.start()

        site.wait_for_request("/slow")
        get(site.link("/quick"))
        assert answers == []

        site.release("/slow")
        client.join()

    assert answers[0][0] == 200
    slow, quick = site.log
    assert slow.start < quick.start < quick.end < slow.end
    assert (slow.agent, slow.host, slow.status) == ("test/1", f"127.0.0.1:{site.port}", 200)
    assert site.counts == {"/slow": 1, "/quick": 1}


def test_stopping_does_not_wait_for_held_answers_or_idle_connections():
    with Site({"/": "a"}) as site:
        site.hold("/")
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
        connection.request("GET", "/")
        site.wait_for_request("/")
    connection.close()

    with pytest.raises(OSError, match="refused"):
        get(site.url)


def test_waiting_in_vain_says_for_what():
    with Site() as site, pytest.raises(AssertionError, match=r"no 1\. request for /never"):
        site.wait_for_request("/never", timeout=0.01)


def test_a_directory_is_served_and_nothing_above_it(tmp_path: Path):
    (tmp_path / "secret.txt").write_text("no")
    (tmp_path / "web" / "sub").mkdir(parents=True)
    (tmp_path / "web" / "sub" / "index.html").write_text("index")
    (tmp_path / "web" / "a b.css").write_text("css")

    with Site(root=tmp_path / "web") as site:
        assert get(site.link("/sub/"))[2] == b"index"
        assert get(site.link("/a%20b.css"))[1]["content-type"] == "text/css"
        assert get(site.link("/../secret.txt"))[0] == 404
        assert get(site.link("/%2e%2e/secret.txt"))[0] == 404


def test_a_generated_web_is_the_same_for_one_seed_and_all_of_it_can_be_reached():
    pages = generated(30, seed=7)
    assert pages == generated(30, seed=7) != generated(30, seed=8)

    with Site(pages) as site:
        assert set(walk(site.url)) == {site.link(path) for path in pages}


def test_the_shop_is_what_it_says_to_be():
    with Shop(slow=0) as shop:
        found = walk(*shop.seeds)
        drafts = shop.url + "drafts.html"  # fetched, asks not to be kept

        assert {url: status for url, (status, _) in found.items() if url != drafts} == shop.expected()
        assert found[drafts][0] == 200
        assert shop.trespasses() == {}
        assert set(shop.requests) == set(found)
        assert 60 <= len(found) <= 80


@pytest.mark.slow
def test_every_product_has_its_price_at_every_start():
    prices = []
    for _ in range(2):
        with Shop(slow=0) as shop:
            page = get(shop.url + "product/3.html")[2].decode()
        prices.append(re.findall(r'class="price">([^<]+)<', page))
    assert prices == [["€23.35"], ["€23.35"]]


def test_from_the_shop_alone_the_warehouse_is_out_of_scope():
    with Shop(slow=0) as shop:
        assert set(walk(shop.url)) - {shop.url + "drafts.html"} == set(shop.expected([shop.url]))
        assert not any(url.startswith(shop.warehouse_url) for url in shop.expected([shop.url]))


def test_the_shop_tells_on_a_crawler_that_goes_where_it_must_not():
    with Shop(slow=0) as shop:
        get(shop.url + "calendar/")
        get(shop.url + "cart/help.html")

        assert shop.trespasses() == {shop.url + "calendar/": "robots.txt disallows it"}


def test_pages_are_in_the_encodings_they_say():
    with Shop(slow=0) as shop:
        assert "Größen – 大小" in get(shop.url + "gr%C3%B6%C3%9Fe.html")[2].decode("utf-8")
        _, headers, body = get(shop.url + "caf%C3%A9.html")
        assert "charset=iso-8859-1" in headers["content-type"]
        assert "Déjà vu" in body.decode("latin-1")
        assert "Crème brûlée" in get(shop.url + "menu.html")[2].decode("latin-1")
