"""Whatever a page contains, what is read of it, and the memory that takes, is bounded by a small multiple of the page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bombs import bombs
from corpora import examples
from hypothesis import given
from hypothesis import strategies as st

from crawler.web.fields import Fields, FieldSpec
from crawler.web.html import Html
from crawler.web.memory import IS_LIMITED

URL = "http://e.org/a/b"
SIZE = 200_000  # characters of each page
MOST = {"text": 4, "markdown": 10}
MEMORY = 150  # MiB that a process may take for pages of SIZE, itself included
CPU = 4.0  # s for one page in all readers: they take 0.2 s, on a slow and busy machine 1 s


def read(page: str) -> dict[str, Any]:
    """Return everything that is read of a page, and check the lengths."""
    html = Html(page, URL)
    found = {"text": html.text(), "markdown": html.text("markdown")}
    for form, text in found.items():
        assert len(text) <= MOST[form] * len(page) + 1_000, form
    assert sum(map(len, html.link_urls)) <= 5 << 20
    assert all(len(link.text) <= 1_000 for link in html.links)
    fields = Fields({"body": "body", "links": FieldSpec(css="a::attr(href)", many=True, type="url")}).read(html)
    return {**found, "fields": fields, "title": html.title, "description": html.description, "problem": html.problem,
            "jsonld": html.jsonld, "opengraph": html.opengraph, "links": html.link_urls, "canonical": html.canonical}  # fmt: skip


def main() -> None:
    """Read all bombs in this process; print for each the peak of memory so far, in MiB, and the CPU it took."""
    import time

    # Not ru_maxrss: that of the process which started this one counts there as well.
    status = Path("/proc/self/status")
    for name, page in bombs(SIZE).items():
        began = time.process_time()
        found = read(page)
        used = time.process_time() - began
        peak = next(int(line.split()[1]) >> 10 for line in status.read_text("utf-8").splitlines() if line.startswith("VmHWM:"))
        sys.stdout.write(json.dumps({"name": name, "MiB": peak, "CPU": used, "problem": found["problem"]}) + "\n")


@pytest.mark.skipif(not IS_LIMITED, reason="only Linux limits the memory of a process")
@pytest.mark.slow
def test_no_page_takes_far_more_memory_or_time_than_others_of_its_size() -> None:
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, timeout=110, cwd=Path(__file__).parents[2],
                          env={"PYTHONPATH": f"{Path(__file__).parents[2]}:{Path(__file__).parent}"})  # fmt: skip

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == len(bombs(SIZE)), done.stderr[-2_000:]
    assert [row for row in rows if row["MiB"] > MEMORY] == []
    assert [row for row in rows if row["CPU"] > CPU] == []
    assert [row["name"] for row in rows if row["problem"]], "no page was given up: the bombs are none"
    assert len([row for row in rows if row["problem"]]) < len(rows) / 3, "pages that do no harm were given up"


TAGS = st.sampled_from([
    "<p>", "<b id=1>", "<b id=2>", "<i class=x>", "</b>", "</p>", "<div>", "</div>", "<table>", "<tr>", "<td>", "</table>",
    "<ul>", "<ol>", "<li>",
    "<blockquote>", "<pre>", "<main>", "</main>", "<a href=x>", "<a href=javascript:x>", "</a>", "<img src=y alt=z>", "<br>",
    "<q>", "<select>",
    "<option>", "<template>", "<svg>", "<title>", "<nav>", "<span hidden>", "<dialog>", "<noscript>", "<em>", "<strong>",
    "</em>", "<code>", "&amp;",
    "<caption>", "<th>", "<dl><dt>", "<dd>", "<h1>", "\n", " ", "\xa0", "「", "」", "(", ".", "*", "`", "|", "\1", "\2", "\3",
    "\3b", "\3B",
])  # fmt: skip


@pytest.mark.slow
@examples(300)
@given(st.lists(st.one_of(TAGS, st.text(max_size=4)), max_size=40).map("".join), st.integers(1, 30))
def test_what_is_read_of_any_page_is_a_small_multiple_of_it(page: str, times: int) -> None:
    read(page * times)


if __name__ == "__main__":
    main()
