"""Examples of every command, shown at the end of its help."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "demo": ("crawler demo                                     # a few seconds, no network",),
    "run": (
        "crawler run https://example.org/ -o pages.jsonl  # a site, politely; the same command resumes it",
        "crawler run https://example.org/ --max-pages 100 --depth 2 -O pages.csv",
        "crawler run https://example.org/ --allow /blog/ --deny '[?]' --delay 0.5",
        "crawler run --seeds seeds.txt --scope domain     # one URL a line",
        "crawler run                                      # go on with a crawl that was interrupted",
    ),
    "hub": (
        "crawler hub --address 127.0.0.1:8000             # on this machine",
        "crawler hub --make-certs certs --names hub.example   # once, before others reach it",
        "crawler hub --address 0.0.0.0:8000 --certs certs",
    ),
    "stage": (
        "crawler stage fetch --hub 127.0.0.1:8000",
        "crawler stage parse --processes 2                # at the hub of ./crawler-data",
        "crawler stage fetch+parse                        # both in one process",
        "crawler stage store -o pages.jsonl",
        "crawler stage square --until-drained",
    ),
    "put": (
        "crawler put urls https://example.org/",
        "crawler put task 3 4                             # values are JSON",
        "crawler put urls - --hub 127.0.0.1:8000          # from standard input, one a line",
    ),
    "take": ("crawler take result -n 2", "crawler take result -n 100 --timeout 0           # what is there now"),
    "status": ("crawler status", "crawler status --watch", "crawler status --json --hub 127.0.0.1:8000"),
    "why": ("crawler why https://example.org/page",),
    "host": ("crawler host list", "crawler host delay example.org 2"),
    "host list": ("crawler host list", "crawler host list example.org"),
    "host pause": ("crawler host pause example.org",),
    "host resume": ("crawler host resume example.org",),
    "host delay": ("crawler host delay example.org 2", "crawler host delay example.org default"),
    "dead": ("crawler dead list", "crawler dead retry --all"),
    "dead list": ("crawler dead list", "crawler dead list --queue urls"),
    "dead show": ("crawler dead show 17                             # the id is in the list",),
    "dead retry": ("crawler dead retry 17 18", "crawler dead retry --all"),
    "dead drop": ("crawler dead drop 17", "crawler dead drop --all"),
    "workers": ("crawler workers list", "crawler workers end fetch@here:123:4f6640"),
    "workers list": ("crawler workers list", "crawler workers list --hub 127.0.0.1:8000"),
    "workers end": ("crawler workers end fetch@here:123:4f6640        # the name is in the list",),
    "notes": ("crawler notes list root/", "crawler notes drop 'robots/https://example.org'"),
    "notes list": ("crawler notes list                               # all", "crawler notes list robots/"),
    "notes drop": ("crawler notes drop root/example.org", "crawler notes drop 'robots/*'                    # all that begin so"),
    "counters": ("crawler counters list", "crawler counters drop 'mine/*'"),
    "counters list": ("crawler counters list",),
    "counters drop": ("crawler counters drop fetch/bytes", "crawler counters drop 'mine/*'                   # all that begin so"),
    "fetch": ("crawler fetch https://example.org/", "crawler fetch https://example.org/ --body"),
    "parse": (
        "crawler parse https://example.org/",
        "crawler parse page.html -s 'stages.parse.fields.price=.price::text'",
    ),
    "try": (
        "crawler try enrich https://example.org/          # fetch, parse, then enrich",
        "crawler try enrich page.html",
        "crawler try enrich items.jsonl                   # items for enrich itself, one a line",
    ),
    "shell": ("crawler shell https://example.org/", "crawler shell page.html"),
    "new": ("crawler new stage enrich", "crawler new config"),
    "new stage": ("crawler new stage enrich                         # enrich.py and test_enrich.py",),
    "new config": ("crawler new config                               # crawler.toml", "crawler new config polite.toml"),
    "check": ("crawler check", "crawler check -c polite.toml"),
    "settings": (
        "crawler settings                                 # all, and where each came from",
        "crawler settings frontier                        # those of one table",
        "crawler settings --explain frontier.delay        # what it means",
    ),
    "bench": ("crawler bench --quick", "crawler bench crawl --site docs"),
}


def shown(command: str) -> str:
    """Return the examples of a command as the end of its help; "" if it has none."""
    lines = EXAMPLES.get(command, ())
    return "".join(["\nexamples:\n", *(f"  {line}\n" for line in lines)]) if lines else ""
