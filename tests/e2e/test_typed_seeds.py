"""A crawl from seeds as people have them: an editor's UTF-16, hosts without a scheme."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import FAST, Shell
from tests.site import Site

pytestmark = pytest.mark.slow


def test_a_host_without_a_scheme_in_a_file_of_any_editor_is_crawled(shell: Shell) -> None:
    with Site({"/": "<h1>tea</h1>", "/b": "<h1>cup</h1>"}) as site:
        text = f'# mine\r\n127.0.0.1:{site.port}\r\n"{site.link("/b")}"\r\n'
        (shell.directory / "seeds.txt").write_bytes(text.encode("utf-16"))
        done = shell.run("run", "--seeds", "seeds.txt", *FAST, "-o", "rows.jsonl")
        why = shell.run("why", f"127.0.0.1:{site.port}")

    assert done.returncode == 0, done.stderr
    assert {row["url"] for row in shell.rows("rows.jsonl")} == {site.url, site.link("/b")}
    assert f"127.0.0.1:{site.port} answers over http only: taken as {site.url}" in done.stdout + done.stderr
    assert f"its canonical form is {site.url}" in why.stdout
    assert "never put on the frontier" not in why.stdout
