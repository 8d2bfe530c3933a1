from __future__ import annotations

from crawler.broker.contract import QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.config.settings import FrontierSettings
from crawler.run.seeds import Taken, put, warnings
from crawler.web.frontier import Frontier
from crawler.worker.shared_notes import SharedNotes


def put_into(limit: int, *texts: str, before: tuple[str, ...] = ()) -> Taken:
    broker = SqliteBroker(":memory:", [QueueSpec("urls", keyed=True, polite=True, is_read=True, limit=limit)])
    seed = Frontier(FrontierSettings(), SharedNotes(broker)).seed
    put(before, seed, broker.put)
    taken = put(texts, seed, broker.put)
    broker.close()
    return taken


def test_what_became_of_each_seed_is_known():
    assert put_into(0, "http://a.org/", "http://b.org/", "http://A.org:80/", before=("http://b.org/",)) == Taken(
        new=["http://a.org/"], known=["http://b.org/"], twice=["http://A.org:80/"], refused=[]
    )
    assert put_into(2, "http://a.org/", "http://b.org/", "http://c.org/").refused == ["http://c.org/"]


def test_a_seed_over_a_limit_is_told_with_the_setting():
    assert warnings(put_into(1, "http://a.org/", "http://me:s3cret@b.org/"), FrontierSettings(max_pages=1)) == [
        "1 seed was not taken, because frontier.max_pages = 1 is reached: http://(hidden)@b.org/; "
        "raise the limit to have it crawled"
    ]
    many = Taken([], [], [], [f"http://{n}.org/" for n in range(5)])
    assert warnings(many, FrontierSettings(max_pages=1, max_pages_per_host=2)) == [
        "5 seeds were not taken, because frontier.max_pages = 1 or frontier.max_pages_per_host = 2 is reached: http://0.org/, "
        "http://1.org/, http://2.org/ and 2 more; raise the limit to have them crawled"
    ]


def test_seeds_that_are_there_already_are_told_where_they_were_meant_to_be_new():
    taken = put_into(0, "http://a.org/", "http://b.org/", "http://b.org/#x", before=("http://a.org/", "http://b.org/"))

    assert warnings(taken, FrontierSettings()) == ["1 seed is a duplicate: http://b.org/#x"]
    assert warnings(taken, FrontierSettings(), added=["http://a.org/"])[1:] == [
        "1 seed is a URL that the crawl has already; it is not fetched again: http://a.org/"
    ]
