from __future__ import annotations

import pytest

from crawler.run.command import Command


@pytest.mark.parametrize(("typed", "again"), [
    (["run", "http://a.org/", "-o", "my pages.jsonl"], "crawler run http://a.org/ -o 'my pages.jsonl' --change"),
    (["run", "http://me:s3cret@a.org/?a=1"], "crawler run 'http://(hidden)@a.org/?a=1' --change"),
    (["run", "-s", "stages.fetch.auth.host=me:s3cret"], "crawler run -s 'stages.fetch.auth.host=(hidden)' --change"),
])  # fmt: skip
def test_what_was_typed_is_said_again_without_its_secrets(typed, again):
    assert Command(typed).again("--change") == again


@pytest.mark.parametrize(("typed", "bare"), [
    (["run", "http://a.org/", "-o", "x.jsonl", "--delay", "0"], "crawler run"),
    (["run", "-c", "a.toml", "--data", "d", "-s", "frontier.delay=0"], "crawler run -c a.toml --data d"),
    (["run", "--config=a.toml", "-s", "data=d"], "crawler run --config=a.toml -s data=d"),
])  # fmt: skip
def test_where_the_crawl_is_stays_in_every_hint(typed, bare):
    assert Command(typed).bare() == bare


def test_another_directory_takes_the_place_of_the_one_that_was_typed():
    assert Command(["run", "http://a.org/", "--data", "d"]).again("--data", "DIR") == "crawler run http://a.org/ --data DIR"
    assert Command(["run", "--data=d", "-v"]).again("--data", "DIR") == "crawler run -v --data DIR"
