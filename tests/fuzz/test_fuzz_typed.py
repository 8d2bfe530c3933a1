"""Whatever a person types as a URL or hands over as a list of them: it is taken or refused, and no password is repeated."""

from __future__ import annotations

import contextlib
import re

import pytest
from corpora import examples
from hypothesis import example, given
from hypothesis import strategies as st

from crawler.config.settings import FrontierSettings
from crawler.errors import BadUrl, UsageError
from crawler.stage import LocalShared
from crawler.web import seeds, urls
from crawler.web.frontier import Frontier
from crawler.web.schemes import choose

SECRET = "s3cr3tw0rd"
ODD = st.text(alphabet="/?#@:\\[]%& .é\t", max_size=4)
TYPED = st.builds(
    "{}{}:{}{}{}@{}".format,
    st.sampled_from(["http://", "https://", "htp://", "http:/", "HTTP://", "//", "", " http://", "ftp://", "http:\\\\", "mail:"]),
    st.sampled_from(["me", "", "a.b", "me:", "m%40e"]), ODD, st.just(SECRET), ODD,
    st.sampled_from(["example.org/", "example.org", "", "/", "[", "127.0.0.1:x/", "example.org:99999/", "a b/", "h/x@y"]),
)  # fmt: skip


@pytest.mark.slow
@examples(300)
@example(f"http://me:@{SECRET}?@example.org/")
@given(TYPED)
def test_a_password_is_neither_in_the_refusal_nor_in_the_task(typed: str) -> None:
    assert SECRET not in urls.shown(typed)
    try:
        new = Frontier(FrontierSettings(), LocalShared()).seed(typed)
    except BadUrl as error:
        assert SECRET not in str(error)
    else:
        # After a / it is part of a path, and after the last @ it is a host: no reader of URLs takes it for a password there.
        authority = re.split(r"[/?#\\]", typed.strip().partition(":")[2].lstrip("/\\"))[0]
        userinfo = authority.rpartition("@")[0]
        assert SECRET not in userinfo or SECRET.encode() not in new.item


@examples(200)
@given(
    st.one_of(
        st.binary(max_size=60), st.text(max_size=40).map(str.encode), st.text(max_size=20).map(lambda text: text.encode("utf-16"))
    )
)
def test_any_list_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(UsageError):
        text = seeds.decode(data, "seeds.txt")
        for line in seeds.lines(text):
            assert line.text == line.text.strip()
            assert line.number >= 1
        seeds.check(seeds.lines(text), "seeds.txt")


@examples(200)
@given(st.one_of(st.text(max_size=20), st.builds("{}{}".format, st.sampled_from(["example.org", "127.0.0.1", "[::1]", "localhost"]),
                                                  st.text(alphabet=":/?#0123456789a@", max_size=8))))  # fmt: skip
def test_any_host_without_a_scheme_is_taken_for_one(text: str) -> None:
    if urls.lacks_scheme(text):
        with contextlib.suppress(BadUrl):
            urls.seed(text)
            (taken,) = choose([text], can_ask=False)
            assert taken.url.startswith("https://")
            assert urls.seed(taken.url) == taken.url
