"""`[hosts."example.org"]` in real crawls: chained and by hand, remembered without its secrets, changed at a resume."""

from __future__ import annotations

import pytest

from crawler.broker.sqlite.peek import peek
from crawler.broker.sqlite.place import store_path
from crawler.cli import main
from tests.e2e.conftest import Shell, statuses
from tests.site import Request, Response, Site

pytestmark = pytest.mark.slow


class Asked:
    """A site that keeps the headers it was asked with, by path."""

    def __init__(self, pages: dict[str, str | Response]) -> None:
        self.headers: dict[str, dict[str, str]] = {}
        self.site = Site({path: self._keeping(path, page) for path, page in pages.items()})

    def _keeping(self, path: str, page: str | Response):  # type: ignore[no-untyped-def]  # a closure
        def answer(request: Request) -> Response:
            self.headers[path] = {name.lower(): value for name, value in request.headers.items()}
            return page if isinstance(page, Response) else Response(200, {"Content-Type": "text/html"}, page.encode())

        return answer


FILE = """
[frontier]
delay = 0
scope = "any"
[stages.fetch]
client = "{client}"
headers = {{ X-All = "all", X-Both = "all" }}
[hosts."{host}"]
auth = "me:s3cret"
max_pages = 3
per_host = 2
headers = {{ X-One = "one", X-Both = "one", Cookie = "session=s3cret" }}
"""


def test_secrets_of_a_host_are_not_shown(shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(shell.directory)
    (shell.directory / "crawler.toml").write_text(
        '[hosts."a.test"]\nauth = "me:s3cret"\n'
        'headers = { Cookie = "s3cret", Authorization = "s3cret", X-Api-Key = "s3cret", Accept-Language = "en" }\n'
    )

    assert main(["settings", "hosts"]) == main(["settings", "--json", "hosts"]) == main(["settings", "--explain", "hosts"]) == 0
    assert main(["check"]) == 0
    assert main(["check", "-s", "hosts.a.test.auth=s3cret"]) == 2
    assert main(["check", "-s", "hosts.a.test.headers={Cookie=7}"]) == 2

    said = "".join(capsys.readouterr())
    assert "s3cret" not in said
    assert said.count("(hidden)") >= 12
    assert '"en"' in said


@pytest.mark.parametrize("client", ["curl", "requests"])
@pytest.mark.parametrize("way", ["run", "by hand"])
def test_headers_and_credentials_go_to_that_host_alone_and_across_no_redirect(shell: Shell, client: str, way: str) -> None:
    other = Asked({"/": "x", "/there": "x", "/robots.txt": ""})
    with other.site as elsewhere:
        links = f'<a href="/moved">x</a><a href="/b">x</a><a href="/c">x</a><a href="{elsewhere.link("/")}">x</a>'
        ours = Asked({"/": links, "/b": "x", "/c": "x", "/robots.txt": ""})
        ours.site.pages["/moved"] = Response(302, headers={"Location": elsewhere.link("/there")})
        with ours.site as site:
            (shell.directory / "crawler.toml").write_text(FILE.format(client=client, host=site.url[7:-1]) + (
                f"\n[stages.fetch.auth]\n'unused.example' = 'a:b'\n"))  # noqa: F541 - one text with the lines above  # fmt: skip
            if way == "run":
                done = shell.run("run", site.url, "-s", f"stages.fetch.allow_private=['{elsewhere.url[7:-1]}']", "-o", "p.jsonl")
                assert done.returncode == 0, done.stderr
                assert "s3cret" not in done.stderr
            else:
                shell.start_hub("--address", "127.0.0.1:0")
                assert shell.run("put", "urls", site.url).returncode == 0
                for stage in ("fetch", "parse", "store"):
                    options = ["-s", f"stages.fetch.allow_private=['{elsewhere.url[7:-1]}']"] if stage == "fetch" else []
                    more = ["-o", "p.jsonl"] if stage == "store" else []
                    shell.start("stage", stage, *options, *more, "--until-drained")
                elsewhere.wait_for_request("/there")
                site.wait_for_request("/b")

        assert ours.headers["/"]["authorization"] == "Basic bWU6czNjcmV0"
        assert ours.headers["/robots.txt"]["x-one"] == "one"
        assert ours.headers["/"]["cookie"] == "session=s3cret"
        assert (ours.headers["/"]["x-all"], ours.headers["/"]["x-both"]) == ("all", "one")
        assert set(other.headers) >= {"/there"}
        for headers in other.headers.values():
            assert not {"authorization", "cookie", "x-one"} & set(headers), "of another host"
            assert headers["x-both"] == "all"
        if way == "run":
            assert len([url for url in statuses(shell.rows("p.jsonl")) if url.startswith(site.url)]) == 3, "max_pages of this host"
            notes = peek(store_path(shell.directory / "crawler-data"), ("",)).notes
            assert not [name for name, value in notes.items() if b"s3cret" in value or b"bWU6czNjcmV0" in value]


def test_a_limit_of_a_host_is_a_rule_that_is_changed_with_a_word_and_the_delay_is_not(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shell.directory)
    pages = {"/": "".join(f'<a href="/{n}">x</a>' for n in range(6)), **{f"/{n}": "x" for n in range(6)}}
    with Site(pages) as site:
        host = site.url[7:-1]
        limits = ["--delay", "9", "--max-total-bytes", "1"]
        stopped = shell.run("run", site.url, "-s", f"hosts.{host}.delay=0.01", *limits, "-o", "p.jsonl")
        assert stopped.returncode == 0, stopped.stderr
        assert "stopped by frontier.max_total_bytes" in stopped.stderr

        assert main(["host", "list"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "0.01 s now its table in [hosts]" in said, "what was typed is remembered"
        assert main(["why", site.link("/3")]) == 0
        assert "stopped: the limit frontier.max_total_bytes = 1 is reached; 'crawler run -s" in capsys.readouterr().out

        refused = shell.run("run", "-s", f"hosts.{host}.max_pages=3", "-s", "frontier.max_total_bytes=0")
        assert refused.returncode == 2
        assert f"hosts.{host}.max_pages was not set, is now 3 (-s)" in refused.stderr
        done = shell.run("run", "-s", f"hosts.{host}.max_pages=3", "-s", "frontier.max_total_bytes=0", "--change")
        assert done.returncode == 0, done.stderr
        assert "4 queued URLs do not fit the changed rules and are set aside: 4 over the limit" in done.stderr
        assert len(shell.rows("p.jsonl")) == 3


def test_crawler_fetch_asks_as_a_crawl_would(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    web = Asked({"/": "<title>tea</title>"})
    monkeypatch.chdir(shell.directory)
    with web.site as site:
        host = site.url.split("/")[2]
        (shell.directory / "crawler.toml").write_text(FILE.format(client="requests", host=host))

        assert main(["fetch", site.url]) == 0

    sent = web.headers["/"]
    assert (sent["x-all"], sent["x-one"], sent["x-both"], sent["cookie"]) == ("all", "one", "one", "session=s3cret")
