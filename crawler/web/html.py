"""Reading an HTML page: one tree, made when first needed, and the properties a crawler needs.

    body ──decode──▶ text          body ──Html──▶ title, description, canonical, language, robots, links, text, select

The tree is the one a browser builds (WHATWG, in C: `turbohtml`), without running scripts. Time, memory and answers are bounded by
a small multiple of the page: links are counted, URLs and texts are cut, and a page that needs far more memory than others of its
size is given up (see `memory`).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final, Literal

import turbohtml
from turbohtml import Document

from crawler.errors import PageTooCostly
from crawler.web.directives import Directives, directives
from crawler.web.encoding import charset, decode, is_html, settle
from crawler.web.joins import joiner
from crawler.web.lazy import lazy
from crawler.web.links import LINK_TAGS, MAX_LINKS, Link, LinkTag, Reading
from crawler.web.memory import limited
from crawler.web.metadata import read_jsonld, read_opengraph

__all__ = ["LINK_TAGS", "MAX_LINKS", "Html", "Link", "LinkTag", "base_url", "decode", "is_html", "links", "meta_refresh"]

TextForm = Literal["text", "markdown", "article"]

MAX_TEXT: Final = 3_000_000  # characters of a page's text; as UTF-8, and with the links, it still is an item of a queue
# Characters of text to one of the page, above _FREE_TEXT. Markdown has absolute URLs, half of it at most.
_TEXT_RATIO: Final = {"text": 4, "article": 4, "markdown": 10}
MAX_LINE: Final = 10_000  # characters of a title, a description and the like; search engines show 300
_FREE_TEXT: Final = 1_000  # characters
_LARGE: Final = 500_000  # bytes of a page from which on its elements are counted before its text is made
_MOST_ELEMENTS: Final = 0.4  # for each byte of such a page; written out they are 0.33 at most, as in "<p>" again and again


class Html:
    """A page's tree and the answers read from it, each worked out once.

    url: where the page was fetched, which relative links start from. content_type: the header, whose charset outranks
    what the page says of itself. link_tags and max_links: which links are read and how many at most.
    """

    def __init__(
        self,
        source: bytes | str,
        url: str = "",
        content_type: str = "",
        *,
        link_tags: Sequence[LinkTag] = LINK_TAGS,
        max_links: int = MAX_LINKS,
    ) -> None:
        self.source = source
        self.url = url
        self.content_type = content_type
        self.link_tags = tuple(link_tags)
        self.max_links = max_links
        self.cut: set[str] = set()  # which of title, description and language were cut, so far
        self.is_text_cut = False  # the last `text` was cut, or could not be made
        self._problem = ""

    @lazy
    def document(self) -> Document:
        """The tree: `turbohtml`'s, with its select, xpath, find and the rest. Not for editing, others read it too."""
        return self._parse()

    @property
    def problem(self) -> str:
        """Reason the page was given up, or "". The tree of a page that was given up is empty: see `memory`."""
        _ = self.document
        return self._problem

    def _parse(self) -> Document:
        try:
            return limited(len(self.source), self._tree)
        except PageTooCostly as error:
            self._problem = str(error)
            return turbohtml.parse(b"", encoding=charset(self.content_type), positions=False)

    def _tree(self) -> Document:
        if isinstance(self.source, str):
            return turbohtml.parse(self.source, positions=False)
        return turbohtml.parse(self.source, encoding=charset(self.content_type), detect_encoding=True, positions=False)

    @lazy
    def encoding(self) -> str:
        """WHATWG name, lower case: the same that `decode` gives."""
        if isinstance(self.source, str):
            return "utf-8"
        return settle(self.document.encoding, self.document.encoding_confidence, self.source)

    @lazy
    def _reading(self) -> Reading:
        return Reading(self.document, self.url, self.link_tags, self.max_links, self._refresh_url, self.encoding)

    @property
    def base(self) -> str:
        """URL that links are relative to: the first <base href> if it is an http(s) URL, else the page's own URL."""
        return self._reading.base

    @lazy
    def title(self) -> str | None:
        """Title of the page, not of a picture in it (SVG has titles too)."""
        title = self._reading.title
        return self._line("title", title.text) if title is not None else None

    @lazy
    def metas(self) -> dict[str, list[str]]:
        """Contents of the <meta name=…> elements, by name in lower case, in the page's order."""
        found: dict[str, list[str]] = {}
        for element in self._reading.metas:
            name, content = element.attr("name"), element.attr("content")
            if name and content is not None:
                found.setdefault(name.strip().lower(), []).append(content)
        return found

    @lazy
    def jsonld(self) -> list[Any]:
        """Contents of the <script type=application/ld+json> elements, in the page's order; see `metadata`."""
        return read_jsonld(self.document)

    @lazy
    def opengraph(self) -> dict[str, list[str]]:
        """Open Graph properties, each with all its values in the page's order; see `metadata`."""
        return read_opengraph(self.document)

    @lazy
    def description(self) -> str | None:
        return next((self._line("description", content) for content in self.metas.get("description", ())), None)

    @lazy
    def canonical(self) -> str | None:
        """The address that the page gives as its own: the first <link rel=canonical> with an href that is an http(s) URL."""
        for element in self._reading.head_links:
            rel = element.attr("rel")
            if rel and "canonical" in rel.lower().split():
                href = (element.attr("href") or "").strip()
                url = joiner(self.base, self.encoding)(href) if href else None
                if url:
                    return url
        return None

    @lazy
    def language(self) -> str | None:
        """Language the page declares on its root element, e.g. `en-GB`; nothing is guessed."""
        root = self.document.root
        return self._line("language", root.attr("lang") or root.attr("xml:lang") or "") or None if root is not None else None

    def _line(self, name: str, text: str) -> str:
        text = " ".join(text.split())
        if len(text) > MAX_LINE:
            self.cut.add(name)
            text = text[:MAX_LINE].rstrip()
        return text

    def robots(self, agent: str) -> Directives:
        """Return the directives in the page's <meta> elements for all robots and for the one of this name."""
        return directives([*self.metas.get("robots", ()), *self.metas.get(agent.lower(), ())], agent)

    @lazy
    def links(self) -> list[Link]:
        """Return the links in the page's order, each URL once; if it occurs with rel=nofollow and without, the one without."""
        return self._reading.links()

    @lazy
    def link_urls(self) -> list[str]:
        """The URLs of `links`, for a third of the work."""
        return list(self._reading.urls)

    @property
    def nofollow_urls(self) -> set[str]:
        """Return the URLs of links that robots are asked not to follow."""
        return self._reading.nofollow

    @property
    def has_more_links(self) -> bool:
        """`links` was cut: the page has more than max_links, or than MAX_LINK_CHARS of them."""
        return self._reading.is_cut

    @lazy
    def refresh(self) -> tuple[float, str] | None:
        """Seconds and target of <meta http-equiv=refresh>, if the target is another http(s) URL."""
        return self._refresh(self.base)

    def _refresh(self, base: str) -> tuple[float, str] | None:
        for seconds, target in self._refreshes:
            if not target:  # it reloads itself
                return None
            url = joiner(base, self.encoding)(target)
            if url:
                return (seconds, url) if url != self.url else None
        return None

    @lazy
    def _refreshes(self) -> list[tuple[float, str]]:
        from crawler.web.refresh import refreshes  # here, because few pages have one

        return refreshes(self.document)

    def _refresh_url(self, base: str) -> str | None:
        refresh = self._refresh(base)
        return refresh[1] if refresh else None

    def text(self, form: TextForm = "text") -> str:
        """Return what a reader sees: the page's <main> if it has one, without parts marked as menu, banner or footer, or hidden.

        By the page's own markup, not by guessing from length or wording, which loses whole sections of good pages. The form
        "article" does guess. `is_text_cut` then tells whether some of the text is missing.
        """
        most = min(MAX_TEXT, _TEXT_RATIO[form] * len(self.source) + _FREE_TEXT)
        text, self.is_text_cut = ("", True) if self._is_multiplied else self._text(form, most)
        if len(text) > most:
            text, self.is_text_cut = text[:most].rstrip(), True
        return text

    @lazy
    def _is_multiplied(self) -> bool:
        """Tell whether a large page has more elements than its tags: the standard has the parser copy those still open into each
        paragraph. A text takes a copy of the tree, which would be too much memory."""
        size = len(self.source)
        return size > _LARGE and next(islice(self.document.iter_elements(), int(_MOST_ELEMENTS * size), None), None) is not None

    def _text(self, form: TextForm, most: int) -> tuple[str, bool]:
        # Without a limit on memory: where the library gets none here, it ends the process. A copy takes no more than its tree,
        # which was made within the limit, and a text is a small multiple of the page: the library indents by 16 levels at most.
        # The tree is copied because parts are cut out of it, and handed on by this call alone, so that it can be freed early.
        if form == "markdown":
            from crawler.web.markdown import markdown  # here, because most crawls keep no text

            return markdown(self._copy(), self.base, most // 2, self.encoding, self.source)
        from crawler.web.text import text

        if form == "article":
            from crawler.web.article import article

            if found := article(self._copy(), self.url):
                return found, False
        return text(self._copy(), self.source), False

    def _copy(self) -> Document:
        """Return a copy of the tree. To read a large page again takes as long as copying its tree, and a fifth less memory."""
        return self._tree() if len(self.source) > _LARGE and not self._problem else copy.deepcopy(self.document)


def links(html: bytes | str | Html, base: str) -> list[Link]:
    """The links of a page fetched from `base`: see `Html.links`."""
    return _read(html, base).links


def base_url(html: bytes | str | Html, url: str) -> str:
    """Return the URL that the links of a page fetched from `url` are relative to."""
    return _read(html, url).base


def meta_refresh(html: bytes | str | Html, url: str) -> tuple[float, str] | None:
    """Return seconds and absolute target of the page's <meta http-equiv=refresh>; None if there is none, or it reloads the page."""
    return _read(html, url).refresh


def _read(html: bytes | str | Html, url: str) -> Html:
    return html if isinstance(html, Html) else Html(html, url)
