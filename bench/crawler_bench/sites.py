"""Sites of known size and shape, the same bytes for the same seed, so that two crawlers, or two days, can be compared.

Page n hangs on an earlier page picked at random, so every page can be reached; the rest of its links go anywhere. The
markup is what a shop or a news site sends: a menu that stands on every page, cards of nested elements, running text.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

SEED = 20_240_229  # any number; a change of it is another site
MENU = 8  # links that stand on every page, as a site's menu does
SYLLABLES = ("ba", "co", "del", "er", "fi", "gan", "hu", "in", "jor", "ka", "lem", "mi", "nor", "pal", "qui", "sto", "ti", "un")
VOCABULARY = 1_500  # words: text that compresses about as English does
PARAGRAPHS = 400  # pieces of running text that pages pick from; few of them come twice on one page


class Shape(Struct, frozen=True):
    """How large the pages of a site are and how they are linked."""

    name: str
    pages: int  # unless told otherwise
    size: int  # bytes of a page; kept to within a paragraph
    links: int  # of a page, its menu included


SMALL = Shape("small", 20_000, 10_000, 30)
LARGE = Shape("large", 3_000, 80_000, 150)


class Words:
    """Running text and names out of one source of chance."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._words = ["".join(chance.choices(SYLLABLES, k=chance.randint(1, 4))) for _ in range(VOCABULARY)]
        self.paragraphs = [self._paragraph() for _ in range(PARAGRAPHS)]

    def some(self, n: int) -> str:
        return " ".join(self._chance.choices(self._words, k=n))

    def _paragraph(self) -> str:
        """Of the kinds of markup a text has: emphasis, code, an entity."""
        start, middle, end = self.some(self._chance.randint(6, 16)), self.some(3), self.some(self._chance.randint(6, 16))
        tag = self._chance.choice(("em", "strong", "code", "span"))
        return f"<p>{start.capitalize()} <{tag}>{middle}</{tag}> {end} &amp; {self.some(2)}.</p>\n"


def paths(pages: int) -> list[str]:
    """Where the pages are: `/` and the rest in sections, as `/section-12/page-345.html`."""
    return ["/", *(f"/section-{n % 40}/page-{n}.html" for n in range(1, pages))]


def graph(pages: int, links: int, chance: random.Random) -> Iterator[list[int]]:
    """For each page the pages its text links to: those that hang on it, and any others to make `links` of them."""
    hanging: list[list[int]] = [[] for _ in range(pages)]
    for page in range(1, pages):
        hanging[chance.randrange(page)].append(page)
    for children in hanging:
        targets = children + [chance.randrange(pages) for _ in range(links - len(children))]
        chance.shuffle(targets)
        yield targets


def generate(shape: Shape, origin: str, pages: int = 0, seed: int = SEED) -> Iterator[tuple[str, bytes]]:
    """The site's pages with their paths.

    origin: `http://host:port`, which some of the links spell out. pages: how many, 0 for as many as the shape says.
    """
    chance = random.Random(seed)
    count = pages or shape.pages
    where = paths(count)
    words = Words(chance)
    menu = [chance.randrange(count) for _ in range(MENU)]
    for page, targets in enumerate(graph(count, shape.links - MENU, chance)):
        cards = [f'<li><a href="{where[target]}">{words.some(1)}</a></li>' for target in menu]
        head = HEAD.format(title=words.some(4), description=words.some(12), menu="\n".join(cards))
        references = [_reference(where[page], where[target], origin, chance) for target in targets]
        yield where[page], _page(head, references, shape.size, words, chance)


def _page(head: str, references: list[str], size: int, words: Words, chance: random.Random) -> bytes:
    """Cards with the links, and as much text between them as makes the page `size` bytes."""
    parts = [head]
    written = len(head) + len(FOOT)
    for number, reference in enumerate(references, 1):
        card = CARD.format(kind=chance.choice(("news", "item", "offer")), href=reference, name=words.some(3), label=words.some(2))
        parts.append(card)
        written += len(card)
        while written < size * number // len(references):
            parts.append(chance.choice(words.paragraphs))
            written += len(parts[-1])
    parts.append(FOOT)
    return "".join(parts).encode("ascii")


def _reference(page: str, target: str, origin: str, chance: random.Random) -> str:
    """A link as sites write it: most from the root, some relative, some in full, a few to a part of the page."""
    form = chance.random()
    if form < 0.6:
        return target
    if form < 0.75:
        return origin + target
    relative = target[1:] if page == "/" else f"..{target}"
    return f"{relative or './'}#part-{chance.randint(1, 9)}" if form < 0.85 else relative or "./"


def write(shape: Shape, root: Path, origin: str, pages: int = 0) -> set[str]:
    """Put the site into a directory, for a web server; returns the paths of its pages."""
    written = set()
    for path, body in generate(shape, origin, pages):
        file = root / ("index.html" if path == "/" else path[1:])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
        written.add(path)
    return written


HEAD = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="{description}">
<title>{title}</title>
<link rel="stylesheet" href="/static/site.css">
<script>window.site = {{"menu": true, "count": 1 < 2}};</script>
</head>
<body>
<header class="top"><nav class="menu"><ul>
{menu}
</ul></nav></header>
<main id="content"><section class="list">
<h1>{title}</h1>
"""

CARD = """\
<article class="card {kind}"><div class="inner"><h2><a class="title" href="{href}">{name}</a></h2>
<ul class="labels"><li><span>{label}</span></li></ul></div></article>
"""

FOOT = """\
</section></main>
<footer><p>&copy; nobody in particular</p></footer>
</body>
</html>
"""
