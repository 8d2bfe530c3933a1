"""The words of an element as a reader sees them."""

from __future__ import annotations

import pytest

from crawler.web.html import Html
from crawler.web.words import words

SHOWN = [
    # Blocks, cells and line breaks separate words; other elements do not.
    ("12 Main St<br>12345 Town", "12 Main St 12345 Town"),
    ("<h3>Card</h3><p>desc", "Card desc"),
    ("a<p>b</p>c", "a b c"),
    ("<ul><li>One<li>Two</ul>", "One Two"),
    ("<ul>Loose <b>bold</b><li>item</li> tail</ul>", "Loose bold item tail"),
    ("<ol><li>One<ol><li>Two</ol></ol>", "One Two"),
    ("<dl><dt>a<dd>b<dt>c</dl>", "a b c"),
    ("<table><caption>Cap</caption><tr><td>a<td>b<tr><th>c</table>", "Cap a b c"),
    ("<div>a</div><div>b</div>", "a b"),
    ("a<hr>b", "a b"),
    ("<blockquote>a</blockquote>b", "a b"),
    ("<pre>a\n  b</pre>c", "a b c"),
    ("<select><option>a<option>b</select>", "a b"),
    ("<details><summary>a</summary>b</details>", "a b"),
    ("<figure>a<figcaption>b</figure>", "a b"),
    ("<form>a<fieldset><legend>b</legend>c</fieldset></form>", "a b c"),
    ("a<textarea>b</textarea>c", "a b c"),
    ("<b>Big</b>ger", "Bigger"),
    ("un<i>believ</i>able", "unbelievable"),
    ("H<sub>2</sub>O", "H2O"),
    ("long<wbr>word", "longword"),
    ("soft<span>ware</span>", "software"),
    ("<my-card>a</my-card>b", "ab"),
    ("日本<b>語</b>", "日本語"),
    # White space.
    ("  a \n\t b&nbsp;c  ", "a b c"),
    ("a <b> b </b> c", "a b c"),
    ("", ""),
    ("<p> <p>", ""),
    # Entities are read once.
    ("a &amp;lt; b", "a &lt; b"),
    # A quotation has its marks.
    ("He said <q>so <i>it</i> is</q>.", 'He said "so it is".'),
    # What a browser does not show.
    ("a<span hidden> b</span>", "a"),
    ("a<span hidden=''><b> b<div>c</div></b></span> d", "a d"),
    ("a <span hidden=until-found>b</span>", "a b"),
    ("a <span style='display:none'>b</span>", "a"),
    ("a <span style='color: red; DISPLAY : NONE !important'>b</span>", "a"),
    ("a <span style='visibility: hidden'>b</span>", "a"),
    ("a <span style='display: none-such; x-display:none'>b</span>", "a b"),
    ("a <span style='display:block'>b</span>", "a b"),
    ("a<script>b</script><style>c</style><template>d<p>e</template> f", "a f"),
    ("a <template shadowrootmode=open>b</template>c", "a c"),
    ("a <iframe>b</iframe><object>c</object><canvas>d</canvas><video>e<p>f</video><audio>g</audio>", "a"),
    ("a <noscript>switch it on</noscript>", "a"),
    ("a <span popover>no</span>", "a"),
    ("a <div popover=manual>no</div>", "a"),
    ("a<!-- b --> c", "a c"),
    ("<svg><title>arrow</title><text>b</text></svg>", "b"),
    ("<math><mi>x</mi><mo>=</mo><mn>1</mn></math>", "x=1"),
]


@pytest.mark.parametrize(("html", "expected"), SHOWN)
def test_words_are_what_a_reader_sees(html: str, expected: str) -> None:
    element = Html(f"<section id=x>{html}</section><p>after").document.select_one("#x")

    assert element is not None
    assert words(element) == expected


@pytest.mark.parametrize("html", ["<p id=x hidden>a <b>b", "<p id=x style=display:none>a <b>b", "<p><noscript id=x>a <b>b"])
def test_an_element_that_was_asked_for_is_read_though_it_is_hidden(html: str) -> None:
    element = Html(html).document.select_one("#x")

    assert element is not None
    assert words(element) == "a b"


def test_a_script_that_was_asked_for_is_read() -> None:
    element = Html("<script id=x>let a;\n let b</script>").document.select_one("#x")

    assert element is not None
    assert words(element) == "let a; let b"


def test_words_are_cut_at_their_limit() -> None:
    element = Html("<div id=x>" + "<p>12345</p>\n\n" * 1_000 + "</div>").document.select_one("#x")

    assert element is not None
    assert words(element, 13) == "12345 12345 1"
    assert words(element, 12) == "12345 12345"
    assert words(element, 5_999) == " ".join(["12345"] * 1_000)


@pytest.mark.parametrize("shape", ["<b>", "<div>", "<span hidden>", "<q>", "<ul><li>", "<template>", "<svg><g>"])
def test_nesting_has_no_end(shape: str) -> None:
    words(Html(f"<section id=x>{shape * 20_000}a").document)
