"""The parser of the command line: argparse, with suggestions for misspelled words."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

# Words of other programs, and our commands for them.
FOREIGN = {
    "crawl": "run", "start": "run", "runspider": "run", "go": "run", "resume": "run", "startproject": "new", "genspider": "new",
    "init": "new", "create": "new", "config": "settings", "get": "fetch", "download": "fetch", "serve": "hub", "server": "hub",
    "worker": "stage", "work": "stage", "stats": "status", "ps": "status", "errors": "dead", "failed": "dead", "add": "put",
    "push": "put", "pop": "take", "verify": "check", "validate": "check", "explain": "why", "hosts": "host", "benchmark": "bench",
}  # fmt: skip
NEAR = 0.6             # similarity (0 to 1) from which a word is suggested
OPTION = 0.75          # the same for options, which are more numerous
_NOUNS = {"COMMAND": "command", "VERB": "verb", "WHAT": "such thing"}    # by metavar


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that suggests corrections; its subparsers are of this class too."""

    def format_help(self) -> str:
        from crawler.cli.examples import shown

        return super().format_help() + shown(self.prog.removeprefix("crawler").strip())

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[argparse.Namespace, list[str]]:  # type: ignore[override]
        if not args and self._subparsers is not None:     # a group of commands without a verb prints its help
            self.print_help()
            self.exit()
        found, extra = super().parse_known_args(args, namespace)
        if extra:                              # reported here: the usage of the parent parser lacks our options
            self.error(self._unknown(found, extra))
        return found, extra

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        from crawler.secrets import shown

        there = [str(choice) for choice in action.choices]
        is_command = isinstance(action, argparse._SubParsersAction)
        near = nearest(str(value), there)
        if is_command and not near:
            near = FOREIGN.get(nearest(str(value).lower(), list(FOREIGN)), "")
        meant = f"did you mean {near!r}?" if near in there else f"choose from {', '.join(map(repr, there))}"
        noun = _NOUNS.get(str(action.metavar), "choice")
        value = shown("", str(value))
        if noun == "command" and "://" in value:
            meant = f"to crawl it: crawler run {value}"
        raise argparse.ArgumentError(None if is_command else action, f"no {noun} {value!r}; {meant}")

    def _unknown(self, found: argparse.Namespace, extra: Sequence[str]) -> str:
        """Return the message for arguments that the command does not know."""
        from crawler.secrets import shown

        said = f"unrecognized arguments: {' '.join(shown('', word) for word in extra)}"
        if self.prog.endswith(" stage") and not any(word.startswith("-") for word in extra):
            return f"{said}; stages in one process are written with +: {self.prog} {'+'.join([found.name, *extra])}"
        options = [option.lstrip("-") for action in self._actions for option in action.option_strings
                   if option.startswith("--") and action.help != argparse.SUPPRESS]  # fmt: skip
        wrong = next((word.partition("=")[0].lstrip("-") for word in extra if word.startswith("--")), "")
        near = nearest(wrong, options, OPTION)
        meant = _setting(wrong) or (near and f"--{near}")
        return f"{said}; did you mean {meant}?" if meant else said


def nearest(word: str, names: Sequence[str], cutoff: float = NEAR) -> str:
    """Return the name that is most similar to the word; "" if none is similar enough."""
    import difflib  # here, because only mistakes need it

    return next(iter(difflib.get_close_matches(word, names, n=1, cutoff=cutoff)), "")


def _setting(option: str) -> str:
    """Return how to write an unknown option as a setting of the same name, such as -s frontier.per_host=…; "" if there is none."""
    from crawler import hints

    found = hints.elsewhere(option.replace("-", "_")) if option else []
    return " or ".join(f"-s {name}=VALUE" for name in found)
