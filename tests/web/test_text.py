"""The text of a page: what a reader sees, in lines."""

from __future__ import annotations

import pytest

from crawler.web.html import Html

READ = [
    # Paragraphs and line breaks.
    ("<h1>Hats</h1><p>Some <b>blue</b> hats.", "Hats\n\nSome blue hats."),
    ("12 Main St<br>12345 Town", "12 Main St\n12345 Town"),
    ("<a href=x><h3>Card</h3><p>desc</p></a>", "Card\n\ndesc"),
    ("<div>a</div><div>b</div>", "a\n\nb"),
    ("a&nbsp;b &nbsp;c", "a b  c"),
    ("<pre>def f():\n    return 1</pre>", "def f():\n    return 1"),
    ("<pre>Structure <a>x</a><br>struct y</pre>", "Structure x\nstruct y"),
    ("<pre>f(a,<br/>  b)</pre>", "f(a,\n  b)"),
    ("<pre><code><div>a</div><div>  b</div></code></pre>", "a\n  b"),
    ("<pre>a<div>b</div>c <i>d</i></pre>", "a\nb\nc d"),
    ("<pre>a\n<div>b</div>\nc</pre>", "a\nb\nc"),
    ("<pre>a<pre>b<br>c</pre></pre>", "a\nb\nc"),
    ("<table><tr><td><pre>a<br>b</pre><td>c</table>", "a\nb  c"),
    ("<fieldset><legend>a</legend>b</fieldset>", "a\n\nb"),
    ("<select><option>a<option>b</select>", "a\nb"),
    ("<p>He said <q>so it <q>is</q></q>.", 'He said "so it "is"".'),
    # Lists: words that stand directly in them are kept.
    ("<ul><li>a<li>b</ul>", "* a\n* b"),
    ("<ol><li>a<li>b</ol>", "1. a\n2. b"),
    ("<ul><li>a<ul><li>b</ul><li>c</ul>", "* a\n  * b\n* c"),
    ("<ul>Loose <b>bold</b><li>item</li> tail</ul>", "Loose bold\n* item\n\ntail"),
    ("<ol start=7>x<li>a<li>b</ol>", "x\n7. a\n8. b"),
    ("<ul><div>x</div><li>a</ul>", "x\n* a"),
    # Tables: a line for each row, without padding.
    ("<table><tr><td>a<td>b<tr><td>long cell<td>c</table>", "a  b\nlong cell  c"),
    ("<table><caption>Cap</caption><tr><th>a<th>b</table>", "Cap\n\na  b"),
    ("<table><tr><td>a<td><td>b<tr><td><td>c</table>", "a  b\nc"),
    ("<table><tr><td><p>a</p><td><p>b</p></table>", "a  b"),
    ("<table><tr><td>a<br>b<td>c</table>", "a\nb  c"),
    ("<table><tr><td><pre>1\n2</pre><td><pre>x\n  y</pre></table>", "1\n2\n\nx\n  y"),
    ("<p>x<table><tr><td>a</table>y", "x\n\na\n\ny"),
    ("<table><tr><td><table><tr><td>a<td>b</table><td>c</table>", "a  b  c"),
    # The page's own content.
    ("<main>a</main>b", "a"),
    ("<main></main><div>content</div>", "content"),
    ("<main> <!-- soon --></main><div>content</div>", "content"),
    ("<main></main><p>x</p><main>a</main><div role=main>b</div>y", "a\n\nb"),
    ("<main>a<main>b</main></main>c", "a\n\nb"),
    ("<main hidden>a</main><p>b", "b"),
    ("<header>no</header><nav>no</nav><article><header>a</header>b</article><aside>no</aside><footer>no</footer>", "a\n\nb"),
    ("<div role=navigation>no</div><div role=note>a</div><div role=banner>no</div>", "a"),
    # What a browser does not show.
    ("a <span hidden>no</span><p style='display:none'>no<p style='visibility:hidden'>no<p style='color:red'>b", "a\n\nb"),
    ("a<iframe>no</iframe><object>no</object><canvas>no</canvas><video>no<p>no</video><audio>no</audio>", "a"),
    ("a<noscript>no<p>no</p></noscript><dialog>no</dialog><dialog open>b</dialog>", "a\n\nb"),
    ("a<svg><title>no</title><desc>no</desc><text>b</text></svg>", "ab"),
    ("a<script>no</script><style>no</style><template>no</template>", "a"),
    # an end tag that the standard ignores: it holds the rest of its parent, which is kept
    ("<div><noscript><p>no</noscript>rest</div><p>b", "norest\n\nb"),
    ("<p>a</p><NOSCRIPT><div>no</NOSCRIPT><p>rest", "a\n\nno\n\nrest"),
    ("<p>a</p><noscript>rest", "a\n\nrest"),
    ("<div><noscript><p>no</p></noscript>b</div>", "b"),
    ("<p>a</p><div><noscript><p>no</p></noscript></div>", "a"),
    ("<p>a</p><noscript><div><p>no</p></div></noscript>", "a"),
    ("<head><noscript><p>no</noscript></head><body><p>a", "no\n\na"),
    # popovers are closed until a script opens them
    ("a<div popover>no</div><div popover=manual>no</div><span popover=hint>no</span><p>b", "a\n\nb"),
    ("a<dialog open popover>b</dialog>", "a\n\nb"),
    ("a<dialog popover>no</dialog>", "a"),
    (f"a<noscript>no<p>no</noscript><p>{'rest ' * 300}", "a\n\nno\n\nno\n\n" + " ".join(["rest"] * 300)),
    ("<title>no</title>", ""),
    ("", ""),
]


@pytest.mark.parametrize(("html", "expected"), READ)
def test_text_is_what_a_reader_sees(html: str, expected: str) -> None:
    assert Html(f"<body>{html}").text() == expected


def test_the_page_stays_as_it_was() -> None:
    html = Html("<nav><a href=/a>a</a></nav><ul>x<li>y</ul><table><tr><td>z</table>", "http://e.org/")

    before = html.document.html
    html.text()

    assert html.document.html == before
    assert html.link_urls == ["http://e.org/a"]


def test_a_long_text_is_cut_and_says_so() -> None:
    html = Html("<p>" + "0123456789" * 300_001)

    assert (len(html.text()), html.is_text_cut) == (3_000_000, True)

    html = Html("<p>" + "0123456789" * 300_000)
    assert (len(html.text()), html.is_text_cut) == (3_000_000, False)
