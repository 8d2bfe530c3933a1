"""crawler why: the whole story of one URL, from where it was found to where its record is."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.cli import common, seeds
from crawler.cli.printing import say
from crawler.cli.reach import reach
from crawler.wording.counting import agree, counted

if TYPE_CHECKING:
    from crawler.broker.contract import Broker
    from crawler.config.load import Config
    from crawler.config.settings import FrontierSettings
    from crawler.items import HostStats, Story
    from crawler.run.resume.definition import Definition
    from crawler.web.page import Visit

RECORD = "its record: "

SETTINGS = {  # the setting to change to have such a URL crawled
    "out of scope": "frontier.scope",
    "seed redirects to another site": "frontier.seed_redirects",
    "denied by pattern": "frontier.deny",
    "not allowed by pattern": "frontier.allow",
    "too deep": "frontier.max_depth",
    "over the limit": "frontier.max_pages and max_pages_per_host",
    "too many waiting": "frontier.max_waiting",
    "url too long": "frontier.max_url_length",
    "path too deep": "frontier.max_path_depth",
    "path repeats": "frontier.max_repeats",
    "too many parameters": "frontier.max_query_keys",
}


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "why", parents=[common.options()],
        description="What became of a URL and why: its canonical form, where it was found, what decided about it (scope, a limit, "
        "a line of robots.txt), what it waits for, its attempts, its redirects, and where its record is.",
    )  # fmt: skip
    parser.add_argument("url", metavar="URL")
    common.hub_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from crawler.hub.client import HubClient
    from crawler.run.explain import behind
    from crawler.run.explain.idle import at_rest
    from crawler.run.resume import definition
    from crawler.web import urls

    config = common.load(args)
    seeds.refuse_path(args.url)
    typed = urls.seed(args.url)
    hint = common.hints(args, config)
    with reach(args, config) as hub:
        crawl = definition.read(hub, Path(config.settings.data))
        frontier = crawl.frontier if crawl is not None else config.settings.frontier
        form, url, story = find(hub, frontier, typed)
        if story is None and urls.lacks_scheme(args.url):  # as a seed it may have been taken for http
            plain, taken, known = find(hub, frontier, typed.replace("https:", "http:", 1))
            form, url, story = (plain, taken, known) if known is not None else (form, url, story)
        say(form if form == args.url else f"{urls.masked(args.url)}: its canonical form is {form}")
        if url != form:
            say(f"  it is asked for as {url}")
        ends: list[str] = []
        if story is None:
            lines = stranger(frontier, hub, url)
        else:
            is_running = isinstance(hub, HubClient)
            rest = "" if is_running else at_rest(hub.stats(), hint, is_of_run=crawl is not None)
            unfinished = behind.tasks(hub, url, hint)
            lines = [*life(story, hint, is_running=is_running), *waits(hub, story, hint, rest), *unfinished]
            ends = [] if unfinished else behind.lost(hub, story, url, hint)
        lines += robots(agent_of(config, crawl), hub, url)
    if story is not None:
        rows = record(config, crawl, url)
        has_record = any(row.startswith(RECORD) for row in rows)
        lines += [*rows, *ends] if rows and not has_record else rows  # no rows: there is no file to look into
    for line in lines:
        say(f"  {line}")
    return common.OK


def find(hub: Broker, settings: FrontierSettings, typed: str) -> tuple[str, str, Story | None]:
    """Return the canonical form of a URL, the URL that is sent for it, and its story. settings: those of the crawl.

    If a redirect led to just this spelling of a page that was known already, it is the story of that visit.
    """
    from crawler.pipeline.build import FRONTIER
    from crawler.web import urls
    from crawler.web.queued import visit
    from crawler.web.targets import Targets

    written = urls.without_userinfo(urls.as_written(typed))
    form = Targets(settings).form(written)
    story = hub.why(FRONTIER, urls.key(urls.again(form, written))) or hub.why(FRONTIER, urls.key(form))
    asked = visit(story.item) if story else None
    return form, asked.url if asked else written, story


def stranger(settings: FrontierSettings, hub: Broker, url: str) -> list[str]:
    """Explain why the hub has never heard of a URL. settings: those of the crawl."""
    from crawler.web.frontier import Frontier
    from crawler.worker.shared_notes import SharedNotes

    verdict = Frontier(settings, SharedNotes(hub)).admit(url)
    if isinstance(verdict, str):
        return [f"not crawled: {against(verdict)}"]
    return ["never put on the frontier: no page that was read links to it, or only with nofollow, beyond a limit, or too deep"]


def against(reason: str) -> str:
    """Return why a URL is not crawled, with the setting to look at."""
    name = SETTINGS.get(reason)
    return reason + (f"; see {name}" if name else "")


def life(story: Story, hint: common.Hint, *, is_running: bool) -> list[str]:
    """Return the lines on a task's life from its discovery to now. is_running: a hub runs, so that something may happen to it."""
    from crawler.run.explain.behind import reports
    from crawler.run.report.given_up import plain
    from crawler.web.queued import visit

    found = visit(story.item)
    came_from = [f"its task is no URL to fetch: {plain(story.item)}"] if found is None else origin(found)
    lines = [*came_from, f"put on the frontier {when(story.put_at)}"]
    lines += [f"attempt {failure.number} failed {when(failure.at)}: {failure.reason}" for failure in story.failures]
    if story.attempt:
        lines.append(f"attempts: {story.attempt}")
    first, others = reports(story)
    ending = {
        "ready": f"waits for its turn at {story.host}",
        "delayed": "waits to be tried again alone, because its worker died"
        if story.is_suspect
        else f"is tried again in {story.due:.0f} s"
        if is_running
        else "is to be tried again",
        "leased": "is in process: being fetched, or worked on" if is_running else "was in process when the hub ended",
        "aside": f"set aside {when(story.changed_at)}, because the rules of the crawl were changed: {against(story.report)}",
        "dead": f"given up {when(story.changed_at)}; see '{hint(f'dead show {story.id}')}'",
        "done": f"done {when(story.changed_at)}" + (f": {first}" if first else ""),
    }
    return [*lines, ending[story.state], *(others if story.state == "done" else [])]


def origin(visit: Visit) -> list[str]:
    if visit.history:
        return [f"reached by redirects: {' → '.join((*visit.history, visit.url))}"] + (["from a seed"] if visit.is_seed else [])
    if visit.referrer:
        return [f"found on {visit.referrer}, {counted(visit.depth, 'link')} from a seed"]
    return ["a seed"]


def waits(hub: Broker, story: Story, hint: common.Hint, rest: str) -> list[str]:
    """Explain why a URL waits. rest: the sentence for a crawl that no hub runs."""
    if rest and story.state in ("ready", "leased", "delayed"):
        return [*(line for line in waits(hub, story, hint, "") if "paused" in line), rest]
    if story.state not in ("ready", "leased"):
        return []
    from crawler.run.explain.waits import FROM, clock

    hosts = [host for host in hub.hosts([story.host]) if host.name == story.host]
    lines = []
    if story.state == "leased":
        return [held(host) for host in hosts if host.held]
    for host in hosts:
        waiting = f"{counted(host.ready, 'URL')} {agree(host.ready, 'waits', 'wait')} there"
        lines.append(f"{waiting}, {host.leased} in process, {host.delay:g} s between requests ({FROM[host.delay_by]})")
        if host.paused:
            lines.append(f"the host is paused; '{hint(f'host resume {host.name}')}' goes on")
        elif host.rest > 0:
            lines.append(f"the host rests until {clock(host.rest)}")
    return lines


def held(host: HostStats) -> str:
    """Explain why a URL in process is not asked for yet."""
    from crawler.run.explain.waits import clock

    asks = f": its robots.txt asks for {host.delay:g} s between requests (Crawl-delay)" if host.delay_by == "host" else ""
    return f"it waits until {clock(host.held)} after robots.txt of {host.name} was read{asks}"


def agent_of(config: Config, crawl: Definition | None) -> str:
    """Return the name that the crawl has in robots.txt."""
    agent = config.settings.stages.get("fetch", {}).get("user_agent")
    if not agent and crawl is not None and (known := crawl.how.get("stages.fetch.user_agent")) is not None:
        agent = known.value
    return str(agent or "crawler").split("/")[0].split(" ")[0]


def robots(agent: str, hub: Broker, url: str) -> list[str]:
    """Return the line of robots.txt that applies to it, if the file has been fetched."""
    from crawler.notes import read_robots
    from crawler.web.robots import Robots
    from crawler.web.urls import parse

    where = parse(url).origin
    note = next((note.value for note in hub.notes(f"robots/{where}") if note.name == f"robots/{where}"), None)
    if (kept := read_robots(note, time.time())) is None:
        return []
    ruling = Robots(kept.body).why(agent, url)
    return [f"{where}/robots.txt (status {kept.status}) {'allows' if ruling.allowed else 'disallows'} it: {ruling}"]


def record(config: Config, crawl: Definition | None, url: str) -> list[str]:
    """List where the URL's records are: in the outputs of the crawl, or in the configured output if no crawl is stored."""
    from crawler.run.paths import from_here
    from crawler.run.report.outputs import STDOUT

    if crawl is None:
        outputs, table = [Path(output_of(config))], str(config.settings.stages.get("store", {}).get("table", "records"))
    else:
        outputs, table = [Path(from_here(crawl.path(output))) for output in crawl.outputs if output != STDOUT], crawl.table
    there = [output for output in outputs if output.is_file()]
    found = [place for output in there if (place := place_in(output, table, url))]
    if found:
        return [f"{RECORD}{place}" for place in found]
    return [f"no record of it in {', '.join(map(str, there))}"] if there else []


def place_in(output: Path, table: str, url: str) -> str:
    """Return the place of this URL's row in a file or database; "" if it has none."""
    return in_table(output, table, url) if output.suffix in (".sqlite", ".sqlite3", ".db") else in_lines(output, url)


def output_of(config: Config) -> str:
    """Return the output that this configuration sets."""
    from crawler.pipeline import plugins
    from crawler.pipeline.build import build

    spec = build(config).stages.get("store")
    if spec is None:
        return ""
    options = plugins.options_for(spec.name, plugins.find(spec.use), spec.options_table)
    return str(getattr(options, "output", ""))


def in_lines(output: Path, url: str) -> str:
    """The line of a text file that has this URL as its `url`."""
    marks = (f'"url":{json.dumps(url, ensure_ascii=False)}'.encode(), f"{url},".encode())
    with output.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if marks[0] in line or line.startswith(marks[1]):
                return f"{output}, line {number}"
    return ""


def in_table(output: Path, table: str, url: str) -> str:
    """The row of a database that has this URL as its `url`."""
    import sqlite3

    database = sqlite3.connect(f"{output.resolve().as_uri()}?mode=ro", uri=True)
    try:
        quoted = table.replace('"', '""')
        row = database.execute(f'SELECT rowid FROM "{quoted}" WHERE url = ?', (url,)).fetchone()  # noqa: S608  (quoted above)
    except sqlite3.Error:  # no such table yet, or not a database
        row = None
    finally:
        database.close()
    return f"{output}, row {row[0]} of {table}" if row else ""


def when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
