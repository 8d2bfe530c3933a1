"""Little shop that `crawler demo` crawls: sixty-odd pages on loopback with the traps of a real site.

    home ─▶ catalogue 1 ─▶ 2 ─▶ 3        36 products with prices, twelve a page
      ├──▶ redirects, a redirect loop, broken links
      ├──▶ what robots.txt and nofollow keep out: /calendar/ never ends, so a crawler that enters does not return
      ├──▶ one page under many spellings; pages that differ by case alone; UTF-8, Latin-1, a <base href>
      └──▶ the warehouse, a second host that takes its time

All but the ports is the same at each start. `expected` lists the records of a correct crawl.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from crawler.demo.loopback import Loopback, Request, Response

__all__ = ["Shop"]

PRODUCTS = 36
PER_PAGE = 12
SLOW = 0.3  # s the warehouse thinks about each page: slow to watch, and a demo stays under a minute
LATIN = "text/html; charset=iso-8859-1"
TEAS = (
    "Assam",
    "Ceylon",
    "Darjeeling",
    "Dragon Well",
    "Earl Grey",
    "Genmaicha",
    "Gyokuro",
    "Keemun",
    "Lapsang",
    "Mate",
    "Oolong",
    "Sencha",
)

ROBOTS = """\
# The longest rule that matches decides (RFC 9309 §2.2.2): the cart's help page is open.
User-agent: *
Disallow: /cart/
Disallow: /calendar/
Allow: /cart/help.html
"""

# Fetching these would be a fault, each for the reason given.
FORBIDDEN = {
    "/cart/": "robots.txt disallows it",
    "/calendar/": "robots.txt disallows it",
    "/session/": "only linked with rel=nofollow",
    "/members/": "only linked from a page whose meta robots says nofollow",
    "/help/delivery.html": "only reached by ignoring <base href>",
}


class Shop:
    """The shop and its warehouse, from `start` (or `with`) to `stop`."""

    def __init__(self, slow: float = SLOW) -> None:
        """slow: seconds the warehouse waits before each answer."""
        self._closing = threading.Event()
        self._front = _Host(self._closing)
        self._warehouse = _Host(self._closing, name="localhost", slow=slow)  # another name: another host to a crawler
        self.url = self._front.url
        self.warehouse_url = self._warehouse.url
        self._front.pages = _shop(self.url, self.warehouse_url)
        self._warehouse.pages = _stock(self.url)

    @property
    def seeds(self) -> tuple[str, str]:
        """Both hosts. From `url` alone a crawl that keeps to its hosts never sees the warehouse."""
        return self.url, self.warehouse_url

    def expected(self, seeds: Iterable[str] | None = None) -> dict[str, int]:
        """Return the URLs and statuses of the records of a correct crawl from these seeds (None: both).

        The page that asks not to be indexed (`/drafts.html`) is not among them; the page it links to is.
        """
        kept = tuple(self.seeds if seeds is None else seeds)
        return {
            host.url.rstrip("/") + path: page.status
            for host in (self._front, self._warehouse)
            for path, page in host.pages.items()
            if host.url in kept and path not in ("/robots.txt", "/drafts.html") and not _forbidden(path)
        }

    @property
    def requests(self) -> Counter[str]:
        """Count the requests for each URL, robots.txt included."""
        return self._front.asked() + self._warehouse.asked()

    def trespasses(self) -> dict[str, str]:
        """URLs that were asked for and should not have been, with the reason. Empty after a right crawl."""
        paths = {url: "/" + url.removeprefix(self.url) for url in self.requests if url.startswith(self.url)}
        return {url: reason for url, path in paths.items() if (reason := _forbidden(path))}

    def start(self) -> None:
        self._front.start()
        self._warehouse.start()

    def stop(self) -> None:
        self._closing.set()
        self._front.stop()
        self._warehouse.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


class _Host(Loopback):
    def __init__(self, closing: threading.Event, name: str = "", slow: float = 0.0) -> None:
        super().__init__(name=name)
        self.pages: Mapping[str, Response] = {}
        self._closing = closing
        self._slow = slow
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def asked(self) -> Counter[str]:
        with self._lock:
            return Counter({self.url.rstrip("/") + target: n for target, n in self._asked.items()})

    def answer(self, request: Request) -> Response:
        with self._lock:
            self._asked[request.target] += 1
        self._closing.wait(self._slow)
        if request.target.startswith("/calendar/"):
            return _day(request.target)
        return self.pages.get(request.target, _page("Not found", "<p>There is no such page.</p>", status=404))


def _forbidden(path: str) -> str:
    """Return the reason why a path must not be fetched; "" if it may be."""
    if path == "/cart/help.html":
        return ""
    return next((reason for prefix, reason in FORBIDDEN.items() if path.startswith(prefix)), "")


def _page(title: str, body: str, *, head: str = "", status: int = 200, kind: str = "text/html; charset=utf-8") -> Response:
    html = f'<!doctype html>\n<html lang="en"><head><title>{title}</title>{head}</head><body>\n'
    html += f"<h1>{title}</h1>\n{body}\n</body></html>\n"
    return Response(status, {"Content-Type": kind}, html.encode("latin-1" if kind in (LATIN, "text/html") else "utf-8"))


def _redirect(status: int, location: str) -> Response:
    return Response(status, {"Location": location})


def _list(*items: str) -> str:
    return "<ul>" + "".join(f"\n<li>{item}" for item in items) + "\n</ul>"


def _product(number: int) -> Response:
    other = number % PRODUCTS + 1
    price = f"{(number * 37 % 90) + 2}.{number * 45 % 100:02d}"
    return _page(
        f"{TEAS[number % len(TEAS)]} No. {number}",
        f'<p class="price">€{price}</p><p class="stock">{number * 7 % 23} in stock</p>'
        + _list(
            '<a href="/">home</a>',
            f'<a href="{other}.html#reviews">goes well with</a>',
            f'<a rel="nofollow" href="/session/{number}?add=1">put in the cart</a>',
        ),
        head=f'<meta name="description" content="Loose leaf tea, lot {number}">',
    )


def _catalogue(number: int) -> Response:
    first = (number - 1) * PER_PAGE + 1
    products = [f'<a href="../product/{i}.html">tea {i}</a>' for i in range(first, first + PER_PAGE)]
    last = PRODUCTS // PER_PAGE
    following = [f'<a rel="next" href="page-{number + 1}.html">next</a>'] if number < last else []
    return _page(f"Teas, page {number} of {last}", _list(*products, *following))


def _day(target: str) -> Response:
    """Return a page of the calendar, which always has a next page."""
    number = sum(map(int, filter(str.isdigit, target))) + int(target.endswith("/"))
    return _page("Calendar", f'<a href="/calendar/{number + 1}{number}">next</a>')


def _shop(url: str, warehouse: str) -> dict[str, Response]:
    spelt = url.replace("http:", "HTTP:").replace("127.0.0.1:", "127.0.0.1:0")
    pages = {
        "/robots.txt": Response(200, {"Content-Type": "text/plain"}, ROBOTS.encode()),
        "/": _page(
            "The Tea Shop",
            _list(
                '<a href="catalogue/page-1.html">all our teas</a>',
                '<a href="/about.html">about us</a>',
                # One page, six spellings: fragment, dot segments, scheme in capitals and a port with a nought before it.
                '<a href="/about.html#people">people</a>',
                '<a href="./catalogue/../about.html">about</a>',
                '<a href="/catalogue/%2e%2e/about.html">about</a>',
                f'<a href="{spelt}about.html">about</a>',
                '<a href=" /about.html ">about</a>',
                # Two pages, one letter.
                '<a href="/tea.html">what tea is</a>',
                '<a href="/Tea.html">what TEA is</a>',
                '<a href="/search?page=2&amp;q=green">page 2 of a search</a>',
                '<a href="/help/">help</a>',
                '<a href="/größe.html">sizes</a>',
                '<a href="/caf%C3%A9.html">our café</a>',
                '<a href="/menu.html">menu</a>',
                '<a href="/drafts.html">drafts</a>',
                '<a href="/circle.html">members</a>',
                '<a href="/old-about">moved for good</a>',
                '<a href="/sale">moved for now</a>',
                '<a href="/p/7">a short link</a>',
                '<a href="/loop/a">goes round in circles</a>',
                '<a href="/missing.html">not there</a>',
                '<a href="/gone.html">gone</a>',
                '<a href="/product/99.html">sold out</a>',
                '<a href="/cart/">your cart</a>',
                '<a href="/cart/help.html">help with your cart</a>',
                '<a href="/calendar/">events</a>',
                '<a href="mailto:shop@example.org">write</a>',
                '<a href="javascript:void(0)">do not click</a>',
                f'<a href="{warehouse}">the warehouse</a>',
            ),
        ),
        "/about.html": _page("About us", "<p>Tea since 1706.</p>"),
        "/tea.html": _page("tea", "<p>Leaves in hot water.</p>"),
        "/Tea.html": _page("TEA", "<p>Transparent, easy, adaptable.</p>"),
        "/search?page=2&q=green": _page("Search: green, page 2", '<a href="/product/4.html">Dragon Well</a>'),
        "/help/": _page(
            "Help", '<a href="delivery.html">delivery</a> <a href="returns.html">returns</a>', head='<base href="/help/topics/">'
        ),
        "/help/topics/delivery.html": _page("Delivery", "<p>By bicycle.</p>"),
        "/help/topics/returns.html": _page("Returns", "<p>Unopened.</p>"),
        "/gr%C3%B6%C3%9Fe.html": _page("Größen – 大小 – μέγεθος", "<p>50 g, 100 g, 1 kg</p>"),
        "/caf%C3%A9.html": _page("Unser Café", "<p>Déjà vu</p>", kind=LATIN),
        "/menu.html": _page("Menü", "<p>Crème brûlée</p>", head='<meta charset="iso-8859-1">', kind="text/html"),
        "/drafts.html": _page(
            "Drafts", '<a href="/unlisted.html">a page to come</a>', head='<meta name="robots" content="noindex">'
        ),
        "/unlisted.html": _page("A page to come", "<p>Linked from a draft only.</p>"),
        "/circle.html": _page(
            "Members", '<a href="/members/list.html">the list</a>', head='<meta name="robots" content="nofollow">'
        ),
        "/members/list.html": _page("The list", "<p>Private.</p>"),
        "/cart/": _page("Your cart", "<p>Empty.</p>"),
        "/cart/help.html": _page("Help with your cart", "<p>Push it.</p>"),
        "/old-about": _redirect(301, "/about.html"),
        "/sale": _redirect(302, "catalogue/page-2.html"),
        "/p/7": _redirect(308, url + "product/7.html#top"),
        "/loop/a": _redirect(302, "/loop/b"),
        "/loop/b": _redirect(302, "/loop/a"),
        "/missing.html": _page("Not found", "<p>Never was.</p>", status=404),
        "/gone.html": _page("Gone", "<p>It was.</p>", status=410),
        "/product/99.html": _page("Not found", "<p>Sold out.</p>", status=404),
    }
    pages |= {f"/catalogue/page-{number}.html": _catalogue(number) for number in range(1, PRODUCTS // PER_PAGE + 1)}
    return pages | {f"/product/{number}.html": _product(number) for number in range(1, PRODUCTS + 1)}


def _stock(shop: str) -> dict[str, Response]:
    shelves = [f'<a href="/shelf/{number}">shelf {number}</a>' for number in range(1, 4)]
    pages = {"/": _page("The warehouse", _list(*shelves, f'<a href="{shop}">the shop</a>'))}
    return pages | {f"/shelf/{number}": _page(f"Shelf {number}", "<p>Mind the step.</p>") for number in range(1, 4)}
