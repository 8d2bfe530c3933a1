"""The `crawler` command: parse, build, run, return a number. One module a group of commands; only here is printed or exited.

Importing this must stay cheap (`crawler --help` is typed often): what a command needs it imports when it runs.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

from crawler import __version__
from crawler.cli import common, streams
from crawler.cli.parser import Parser
from crawler.cli.printing import tell
from crawler.errors import CallRefused, CrawlerError, HubError, OutputClosed, StageFailed, StageUnusable, StorageError, UsageError
from crawler.wording.secrets import masked

# The module of each command, of which no other is imported, and its line in the help. In the order of the help.
COMMANDS: Final = {
    "demo": ("demo", "see it work: crawl a little shop that this command serves itself, offline"),
    "run": ("run", "crawl: hub and stages here, until nothing is left to do"),
    "hub": ("hub", "own the queues and lend them to stages, here or on other machines"),
    "stage": ("stage", "run workers of one stage: fetch, parse, store, square or one of yours"),
    "put": ("queues", "put values on a queue, e.g. crawler put urls https://example.org/"),
    "take": ("queues", "take values off a queue and print them, one JSON value a line"),
    "status": ("status", "queues, rates, leases, hosts, and why it is idle"),
    "why": ("why", "the life story of one URL"),
    "host": ("host", "hosts of the crawl: list them, pause or resume one, give it another delay"),
    "dead": ("dead", "tasks that were given up: list, show, retry or drop them"),
    "workers": ("repair", "workers of the hub: list them, take the tasks from one"),
    "notes": ("repair", "notes that workers share: list or delete them"),
    "counters": ("repair", "counters of the stages: list or delete them"),
    "fetch": ("pages", "fetch one URL as the fetch stage would, and print what it makes of it"),
    "parse": ("pages", "parse one URL or file as the parse stage would, and print record and links"),
    "try": ("trying", "run one page, or items from a file, through your stage, and show what it gives"),
    "shell": ("shell", "Python with one page at hand: try selectors, look at links and record"),
    "new": ("new", "write a configuration, or a stage of your own and its test"),
    "check": ("check", "draw the pipeline and check its stages and options"),
    "settings": ("settings", "show each setting's value and where it came from; --explain says what it means"),
    "bench": ("bench", "measure hub, frontier and crawl on this machine"),
}
DESCRIPTION = "Crawl in stages: fetch, parse and store as separate processes around one durable hub."
EPILOG = """\
first steps:
  crawler demo                                  see it work, offline, in a few seconds
  crawler run https://example.org/ -o pages.jsonl
                                                crawl a site; Ctrl-C stops, 'crawler run' goes on
  crawler check                                 draw the pipeline of ./crawler.toml
  crawler new config                            write a crawler.toml with every setting, to change what you want
  crawler new stage enrich                      begin a stage of your own, with its test
  crawler help run                              what a command does, with examples

the same pipeline on several machines:
  crawler hub --address 127.0.0.1:8000          then, each where you like: crawler stage fetch | parse | store
  crawler put urls https://example.org/         give it something to do, and crawler status to watch

one setting, three spellings:
  crawler.toml [frontier] delay = 0.5           CRAWLER_FRONTIER__DELAY=0.5           -s frontier.delay=0.5

exit codes:
  0 finished · 1 internal error · 2 usage or configuration · 3 finished with dead or left over tasks
  4 no page was got: every URL is forbidden, missing, redirected elsewhere, empty, not read, with noindex, or was given up
  5 no hub, no crawl here, or key or certificate refused · 75 storage failed · 130/143 interrupted · 141 nobody reads the output
"""


def build_parser(command: str = "") -> argparse.ArgumentParser:
    """Return the parser of all commands and their options, or of one command alone."""
    parser, commands = _program()
    modules = [COMMANDS[command][0]] if command else [module for module, _ in COMMANDS.values()]
    for module in dict.fromkeys(modules):
        importlib.import_module(f"crawler.cli.{module}").register(commands)
    return parser


def overview() -> argparse.ArgumentParser:
    """Return a parser that knows the names of all commands and none of their options, for when no command is named."""
    parser, commands = _program()
    for name, (_, text) in COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    return parser


def _program() -> tuple[Parser, argparse._SubParsersAction[Parser]]:
    """Return the parser of `crawler`, and the object to register its commands with."""
    parser = Parser(prog="crawler", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", "-V", action="version", version=f"crawler {__version__}")
    return parser, parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    streams.prepare()
    if common.CHILD not in argv:
        try:
            args = _parse(argv)
        except BrokenPipeError:  # from --help; later versions of Python 3.11 hide it in argparse
            streams.silence()
            return common.CLOSED
        except OSError as error:
            return _unwritable(error)
        return _run(args)
    from crawler.run.processes.supervisor import UNUSABLE, private_code

    try:
        args = _parse(argv)
        code = _run(args)
        return UNUSABLE if isinstance(getattr(args, "error", None), StageUnusable) else private_code(code)
    except SystemExit:  # raised by the parser, which has printed the reason
        return private_code(common.USAGE)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    if argv and argv[0] == "help":  # crawler help run: the same as crawler run --help
        argv = [*(word for word in argv if word != "help"), "--help"]
    command = argv[0] if argv and argv[0] in COMMANDS else ""
    if argv and argv[0].startswith("-") and (there := next((word for word in argv if word in COMMANDS), "")):
        build_parser(there).error(f"options stand after the command: crawler {there} … {argv[0]}; see 'crawler help {there}'")
    args = (build_parser(command) if command else overview()).parse_args(argv)
    args.typed = list(argv)
    return args


def _run(args: argparse.Namespace) -> int:
    try:
        code = int(args.run(args))
        sys.stdout.flush()  # flushed here, where a closed pipe is not a failure
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # how rich ends a program when the reader of its output has gone
            streams.silence()
            return common.CLOSED
        # Any other is not ours: a stage's code must not choose our exit code.
        tell(f"crawler: the code of a stage ended the process with sys.exit({end.code!r}); let it raise an exception instead")
        return common.INTERNAL
    except KeyboardInterrupt:
        return common.INTERRUPTED
    except BrokenPipeError:  # who read our output has seen enough, as in `crawler take … | head`
        streams.silence()
        return common.CLOSED
    except OutputClosed as error:
        if not args.while_stdin:  # otherwise the parent process reports it
            tell(f"crawler: {masked(str(error), args.typed)}")
        return common.CLOSED
    except CrawlerError as error:
        args.error = error
        if not (args.again and isinstance(error, StageUnusable)):  # else the process before this one has said it
            text = f"crawler: {masked(str(error), args.typed)}"
            tell(*(text.split("\n") if isinstance(error, UsageError) else [text]))  # ours have lines of their own
        return exit_code(error)
    except PermissionError as error:  # a user's file; our own files are reported where they are opened
        what = f"{error.filename} cannot be used" if error.filename else "a file cannot be used"
        tell(f"crawler: {what}: {error.strerror}; run it as the user whose file it is, or in another directory")
        return common.USAGE
    except Exception as error:  # noqa: BLE001  a fault of ours, or of a library: told, not raised
        if isinstance(error, OSError) and streams.is_of_output(error):
            return _unwritable(error)
        if args.verbose:
            import traceback

            tell(*traceback.format_exc().rstrip("\n").split("\n"))
            return common.INTERNAL
        what = masked(f"{type(error).__name__}: {error}", args.typed)
        tell(f"crawler: internal error: {what}; run it again with -v for the details")
        return common.INTERNAL
    return code


def _unwritable(error: OSError) -> int:
    """Say that standard output cannot be written to; returns the exit code."""
    streams.silence()
    tell(f"crawler: standard output: {error.strerror}; what was printed is not complete")
    return common.STORAGE


def exit_code(error: CrawlerError) -> int:
    """Return the exit code for an error."""
    if isinstance(error, UsageError | CallRefused):
        return common.USAGE
    if isinstance(error, StorageError):
        return common.STORAGE
    if isinstance(error, StageFailed):
        return common.DEAD_TASKS
    return common.NO_HUB if isinstance(error, HubError) else common.INTERNAL
