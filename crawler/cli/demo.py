"""crawler demo: crawl a little shop on loopback, and check the records."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crawler.cli import common
from crawler.cli.printing import cell, console, say, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.demo.shop import Shop

SETTINGS = (
    "frontier.delay=0.02",  # it is our own shop; other sites are asked once a second
    "frontier.per_host=4",
    "stages.parse.fields.price={css='.price::text', type='float'}",
    "stages.parse.fields.name='h1::text'",
)
SHOWN = 8  # products in the table
DATA, OUTPUT = "data", "shop.jsonl"
UNINDEXED = "/drafts.html"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "demo", parents=[common.options()],
        description="Serve a little shop on loopback (prices, redirects, broken links, a slow host, robots rules), crawl it "
        "through a real hub and real fetch, parse and store processes, and check the result against what is known of the shop. "
        "It does not read ./crawler.toml, and its files are in a directory of their own, which it names at the end.",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import tempfile

    from crawler.demo.shop import Shop

    directory = Path(tempfile.mkdtemp(prefix="crawler-demo-"))
    output = directory / OUTPUT
    is_finished = False
    given = common.spelled(argparse.Namespace(**{**vars(args), "data": None}))  # before our own are added
    try:
        with Shop() as shop:
            code = crawl_shop(args, shop, output)
            is_finished = code in (common.OK, common.DEAD_TASKS)
            return show(shop, rows(output), output, given) if is_finished else code
    finally:  # keep only the rows of a finished demo, for the user to look at
        shutil.rmtree(directory / DATA if is_finished else directory, ignore_errors=True)


def crawl_shop(args: argparse.Namespace, shop: Shop, output: Path) -> int:
    from crawler.cli.run import crawl

    directory = output.parent
    if args.config is None:
        args.config = on_its_own(directory)
    args.set = [*SETTINGS, f"stages.store.output='{output}'", *args.set]
    args.data = args.data or str(directory / DATA)
    args.fresh = True
    tell(f"a shop is open at {shop.url}, its warehouse at {shop.warehouse_url}")
    return crawl(args, common.load(args), lambda: list(shop.seeds))


def on_its_own(directory: Path) -> Path:
    """Write an empty configuration to use instead of ./crawler.toml and the environment, which could change the demo's result."""
    from crawler.config.load import DEFAULT_FILE

    ignored = [name for name in os.environ if name.startswith("CRAWLER_")]
    for name in ignored:
        del os.environ[name]  # the processes of the crawl would read them too
    if DEFAULT_FILE.exists():
        ignored.append(f"./{DEFAULT_FILE}")
    if ignored:
        from crawler.wording.counting import together

        tell(f"the demo does not use {together(ignored)}; -c FILE makes it use one")
    config = directory / DATA / "demo.toml"
    config.parent.mkdir(mode=0o700)
    config.touch()
    return config


def rows(output: Path) -> list[dict[str, Any]]:
    import msgspec

    return [msgspec.json.decode(line) for line in output.read_bytes().splitlines()] if output.exists() else []


def show(shop: Shop, found: Sequence[dict[str, Any]], output: Path, given: Sequence[str] = ()) -> int:
    """Show some of the records, and check that they are complete and no more. given: settings that may have changed the crawl."""
    from rich.table import Table

    table = Table(title="some of the products", title_justify="left", box=None)
    table.add_column("product")
    table.add_column("price", justify="right")
    table.add_column("page")
    priced = sorted((row for row in found if row.get("price") is not None), key=lambda row: str(row["url"]))
    for row in priced[:SHOWN]:
        table.add_row(cell(str(row["name"])), f"{row['price']:.2f}", cell(str(row["url"])))
    console().print(table)
    expected = shop.expected()
    statuses = {row["url"]: row["status"] for row in found}
    wrong = sorted(url for url in expected.keys() | statuses.keys() if expected.get(url) != statuses.get(url))
    trespasses = shop.trespasses()
    if given and (wrong or trespasses):
        missing = sum(url not in statuses for url in expected)
        say(
            f"the shop was not crawled {'whole' if missing else 'as usual'}, because of the settings given "
            f"({' '.join(given)}): {len(expected) - missing} of {len(expected)} pages, {len(found)} rows"
        )
        say(f"the rows are in {output}; 'rm -r {output.parent}' removes them")
        return common.OK
    for url in wrong:
        say(f"expected {expected.get(url, 'nothing')}, found {statuses.get(url, 'nothing')}: {url}")
    for url, reason in trespasses.items():
        say(f"should not have been fetched: {url} ({reason})")
    if wrong or trespasses:
        return common.INTERNAL
    say(
        f"all {len(expected)} pages of the shop are there, each once, {len(priced)} of them with a price; "
        "nothing that robots.txt or nofollow excludes was fetched"
    )
    say(
        f"there is one row fewer than fetched pages: {shop.url.rstrip('/')}{UNINDEXED} says noindex, so its links were followed "
        "but it was not recorded"
    )
    say(f"the rows are in {output}; 'rm -r {output.parent}' removes them")
    say("next: crawler run https://example.org/ -o pages.jsonl, with your own site")
    return common.OK
