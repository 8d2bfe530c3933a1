"""The text of a page as Markdown."""

from __future__ import annotations

import re

import pytest

from crawler.web.html import Html

URL = "http://e.org/a/b"
READ = [
    # Emphasis in every language, where CommonMark allows it.
    ("<b>über</b> x <b>plain</b>", "**über** x **plain**"),
    ("<i>été</i>, l’<b>été</b>", "*été*, l’**été**"),
    ("日本語の<b>太字</b>です", "日本語の**太字**です"),
    ("<em>слово</em> <strong>слово</strong>", "*слово* **слово**"),
    ("un<b>believ</b>able", "un**believ**able"),
    ("彼は<b>「太字」</b>です", "彼は「**太字**」です"),
    ("<b>fin.</b>Et", "**fin**.Et"),
    ("«<b>x</b>»", "«**x**»"),
    ("a<b>(x)</b>b", "a(x)b"),
    ("a<b> y </b>z", "a **y** z"),
    ("a<b></b>z <b> </b>y", "az y"),
    ("<b><i>x</i></b>y", "***x***y"),
    ("<b>a <b>b</b> c</b>", "**a b c**"),
    ("<i>a</i><b>b</b>", "*a*b"),
    ("<b>a<br>b</b>", "**a  \nb**"),
    ("<b><div>x</div><div>y</div></b>", "x\n\ny"),
    ("<b><code>x</code></b> <b><a href=/x>y</a></b>", "**`x`** **[y](http://e.org/x)**"),
    ("2 * 3 * 4 <b>x</b>", r"2 \* 3 \* 4 **x**"),
    ("<del>a</del> <s>b</s>", "~~a~~ ~~b~~"),
    ("<pre><b>x</b></pre>", "```\nx\n```"),
    # Tables of data, code in them, and tables of layout.
    ("<table><tr><th>a<th>b<tr><td>1<td>2</table>", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
    ("<table><tr><td>a<td>b<tr><td>1<td>2</table>", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
    ("<table><caption>Cap</caption><tr><th>a<th>b<tr><td>1<td>2</table>", "Cap\n\n| a | b |\n| --- | --- |\n| 1 | 2 |"),
    ("<table><tr><th>a<td><ul><li>x<li>y</ul><tr><th>b<td>z</table>", "| a | * x * y |\n| --- | --- |\n| b | z |"),
    ("<table><tr><th>Code<tr><td><pre>a\n  b</pre></table>", "Code\n\n```\na\n  b\n```"),
    ("<table><tr><td><pre>1\n2</pre><td><pre>a\nb</pre></table>", "```\na\nb\n```"),
    ("<table><tr><td><h2>Menu</h2><ul><li>a</ul><td><h1>Title</h1><p>x</table>", "## Menu\n\n- a\n\n# Title\n\nx"),
    ("<table><tr><td>only</table>", "only"),
    ("<table role=presentation><tr><td>a<td>b<tr><td>c<td>d</table>", "a\n\nb\n\nc\n\nd"),
    # Links and images.
    ("<a href=x#y>a</a> <a href='#s'>b</a> <a href=''>c</a>", f"[a](http://e.org/a/x#y) [b]({URL}#s) [c]({URL})"),
    ("<a href=' /q '>a</a> <a href=//h.org/>b</a> <a href=?q>c</a>", f"[a](http://e.org/q) [b](http://h.org/) [c]({URL}?q)"),
    ("<a href=javascript:x()>a</a> <a href=' JavaScript:x'>b</a> <a href=data:x>c</a> <a href=vbscript:x>d</a>", "a b c d"),
    ("<a href='java\nscript:x()'>a</a> <a href='http://['>b</a> <a>c</a>", "a b c"),
    ("<a href=mailto:a@b.org>a</a> <a href=tel:+1>b</a>", "[a](mailto:a@b.org) [b](tel:+1)"),
    ("<img src=a.png alt=A> <img src=data:x alt=B> <img src=data:x>", "![A](http://e.org/a/a.png) B"),
    ("<img src=' a.png ' alt=A> <img src=//h.org/a.png alt=B>", "![A](http://e.org/a/a.png) ![B](http://h.org/a.png)"),
    ("<a href=about:>a</a> <a href=' '>b</a> <img src=about: alt=B> <img src='' alt=C>", f"a [b]({URL}) B ![C](<>)"),
    (
        "<nav><img src=data:x alt=A><a href=data:x>x</a></nav><a href=x#y>a</a> <a href=x#z>b</a>",
        "[a](http://e.org/a/x#y) [b](http://e.org/a/x#z)",
    ),
    ("<base href=http://h.org/d/><a href=x>a</a>", "[a](http://h.org/d/x)"),
    # Words, white space and what a browser does not show.
    ("<h2>1.&nbsp;Start</h2>a&nbsp;b", "## 1. Start\n\na b"),
    ("<pre>&amp;#160; is a no-break space</pre>", "```\n&#160; is a no-break space\n```"),
    ("<ul>Loose <b>bold</b><li>item</li> tail</ul>", "Loose **bold**\n\n- item\n  tail"),
    ("<fieldset><legend>a</legend>b</fieldset><select><option>c<option>d</select>", "a\n\nb\n\nc\n\nd"),
    ("<q>a</q>", '"a"'),
    ("<nav>no</nav><main>a</main><main>b</main>", "a\n\nb"),
    ("a<span hidden>no</span><iframe>no</iframe><noscript>no</noscript>", "a"),
]


@pytest.mark.parametrize(("html", "expected"), READ)
def test_markdown_is_what_a_reader_sees(html: str, expected: str) -> None:
    assert Html(f"<body>{html}", URL).text("markdown") == expected


WORDS = ["bold", "fett", "gras", "жирный", "έντονο", "太字", "굵게", "غامق", "पाठ", "đậm", "kalın", "tučné"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("around", ["{} x", "x {} y", "x{}y", "「{}」", "({})", "{}.", "x {}, y", "« {} »", "{}：x"])
def test_emphasis_is_markdown_in_every_language(word: str, around: str) -> None:
    found = Html("<p>" + around.format(f"<b>{word}</b>") + "<p>" + around.format(f"<i>{word}</i>")).text("markdown")

    assert found == around.format(f"**{word}**") + "\n\n" + around.format(f"*{word}*")
    assert not re.search("<[a-z]", found)


def test_a_long_base_does_not_make_a_page_longer_without_end() -> None:
    links = "".join(f"<a href=x{i}>y</a> " for i in range(5_000))
    html = Html(f"<base href=http://e.org/{'b' * 8_000}/>{links}", URL)

    found = html.text("markdown")

    assert len(found) <= 10 * len(html.source) + 1_000
    assert found.count("y") == 5_000
    assert html.is_text_cut


def test_tables_in_a_table_of_layout_are_blocks_and_numbers_beside_code_go() -> None:
    inner = "<table><tr><td>1<td><pre>a = 1</pre></table>"

    found = Html(f"<table><caption>all</caption><tr><td>7<td>x {inner}<tr><td>{inner}<td>y</table>", "http://e.org/").text(
        "markdown"
    )

    assert found.split() == ["all", "x", "```", "a", "=", "1", "```", "```", "a", "=", "1", "```", "y"]
