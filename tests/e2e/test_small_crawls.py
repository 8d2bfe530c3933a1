"""A crawl of a single page says why it is one."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import FAST, Shell
from tests.site import Content, Response, Site

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("page", "told", "code"),
    [
        ("<title>an app</title><script src=app.js></script>", "the only page has no links to follow (JavaScript is not run)\n", 0),
        (Response(401, {"WWW-Authenticate": "Basic"}), "the only page answers 401: it wants a password: write user:password@ ", 4),
    ],
)
def test_it_is_told_in_one_sentence(shell: Shell, page: Content, told: str, code: int) -> None:
    with Site({"/": page}) as site:
        done = shell.run("run", site.url, *FAST)

    assert done.returncode == code, done.stderr
    assert told in done.stderr
