"""The parser of the command line: argparse, with suggestions for misspelled words."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, cast

from crawler.cli import printing

# Words of other programs, and our commands for them.
FOREIGN = {
    "crawl": "run", "start": "run", "runspider": "run", "go": "run", "resume": "run", "startproject": "new", "genspider": "new",
    "init": "new", "create": "new", "config": "settings", "get": "fetch", "download": "fetch", "serve": "hub", "server": "hub",
    "worker": "stage", "work": "stage", "stats": "status", "ps": "status", "errors": "dead", "failed": "dead", "add": "put",
    "push": "put", "pop": "take", "verify": "check", "validate": "check", "explain": "why", "hosts": "host", "benchmark": "bench",
}  # fmt: skip
NEAR = 0.6  # similarity (0 to 1) from which a word is suggested
OPTION = 0.75  # the same for options, which are more numerous
_NOUNS = {"COMMAND": "command", "VERB": "verb", "WHAT": "such thing"}  # by metavar


# What options of other programs are called here, by their names without dashes; the first word is the option.
OPTIONS = {
    "limit": "--max-pages N", "max": "--max-pages N", "l": "--depth N", "level": "--depth N", "d": "--depth N", "w": "--delay S",
    "resume": "crawler run, which goes on by itself", "continue": "crawler run, which goes on by itself",
    "restart": "--fresh", "jobs": "-s frontier.per_host=N", "j": "-s frontier.per_host=N", "p": "--processes N",
    "quota": "--max-total-bytes N", "max-bytes": "--max-total-bytes N", "timeout": "--max-time S, or -s stages.fetch.timeout=S",
    "t": "-s stages.fetch.timeout=SECONDS", "output-file": "-o FILE", "out": "-o FILE", "f": "-o FILE", "i": "--seeds FILE",
    "input-file": "--seeds FILE", "n": "--max-pages N", "follow": "--watch",
    "H": "-s 'stages.fetch.headers={NAME=\"VALUE\"}'", "header": "-s 'stages.fetch.headers={NAME=\"VALUE\"}'",
    "A": "-s stages.fetch.user_agent=TEXT", "k": "-s stages.fetch.verify=false", "x": "-s stages.fetch.proxy=URL",
    "url": "crawler run URL", "u": "crawler run URL",
    "ignore-robots": "-s stages.fetch.robots=false", "no-robots": "-s stages.fetch.robots=false",
}  # fmt: skip
# The same for single commands; these come before the ones above.
OPTIONS_OF = {
    ("put", "file"): "crawler put QUEUE - < FILE", ("put", "f"): "crawler put QUEUE - < FILE",
    ("put", "input"): "crawler put QUEUE - < FILE",
    ("put", "seeds"): "crawler put urls - < FILE", ("hub", "port"): "--address 127.0.0.1:PORT",
    ("hub", "p"): "--address 127.0.0.1:PORT",
    ("hub", "host"): "--address HOST:PORT", ("hub", "listen"): "--address HOST:PORT", ("hub", "bind"): "--address HOST:PORT",
}  # fmt: skip
COLUMNS = 80  # width of a help text that no terminal shows
MARGIN = 2  # columns left free at its right, as argparse does
HOME = "~/"  # expanded in the values of options that name files, because shells do not do so in quotes and after =


class Once(argparse._StoreAction):
    """Store the value of an option, and refuse a second, different one: it would silently replace the first."""

    why = "give it once"

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:  # fmt: skip
        if self.option_strings:
            given = vars(namespace).setdefault("given", {})
            if self.dest in given and given[self.dest] != values:
                said = f"{option_string} is given twice, as {given[self.dest]} and {values}; {self.why}"
                raise argparse.ArgumentError(None, said)
            given[self.dest] = values
        super().__call__(parser, namespace, values, option_string)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that suggests corrections and reports a mistake in one line; its subparsers are of this class too."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._typed: Sequence[str] = ()
        super().__init__(*args, **options)
        self.register("action", None, Once)
        self.register("action", "store", Once)

    def _get_formatter(self) -> argparse.HelpFormatter:
        """Return a formatter with its width set: argparse would import shutil for it, with each option that is added."""
        made: argparse.HelpFormatter = cast("Any", self.formatter_class)(prog=self.prog, width=_columns() - MARGIN)
        return made

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print. Raises BrokenPipeError if the reader has gone: some versions of argparse hide that, and the exit code with it."""
        if message and file is sys.stdout:
            printing.say(*message.removesuffix("\n").split("\n"), flush=True)
        elif message:
            printing.tell(*message.removesuffix("\n").split("\n"))

    def error(self, message: str) -> NoReturn:
        from crawler.wording.secrets import masked

        message = self._with_dash(message)
        help_ = f"crawler help {self.prog.removeprefix('crawler').strip()}".strip()
        there = "" if "'crawler help" in message else f" see '{help_}'" if message.endswith("?") else f"; see '{help_}'"
        self.exit(2, f"{self.prog}: {masked(message, self._typed)}{there}\n")

    def _with_dash(self, message: str) -> str:
        """Complete the message about an option whose value begins with a dash: it was taken for another option."""
        _, is_missing, _ = message.partition(": expected one argument")
        names = message.removeprefix("argument ").partition(":")[0].split("/") if is_missing else []
        place = next((place for place, word in enumerate(self._typed) if word in names), len(self._typed))
        value = next(iter(self._typed[place + 1 :]), "")
        if len(value) < 2 or not value.startswith("-") or value in self._option_string_actions:
            return message
        return f"{message}; a value that begins with a dash is joined to its option: {names[-1]}={value}"

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        if isinstance(action, Once) and action.option_strings:
            if any(not text.strip() for text in arg_strings):
                raise argparse.ArgumentError(action, f"it is empty; expected {action.metavar or 'a value'}")
            if action.metavar in ("FILE", "DIR"):
                arg_strings = [os.path.expanduser(text) if text.startswith(HOME) else text for text in arg_strings]
        return super()._get_values(action, arg_strings)

    def format_help(self) -> str:
        from crawler.cli.examples import shown

        return super().format_help() + shown(self.prog.removeprefix("crawler").strip())

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[argparse.Namespace, list[str]]:  # type: ignore[override]  # the base has overloads
        if not args and self._subparsers is not None:  # a group of commands without a verb prints its help
            self.print_help()
            self.exit()
        self._typed = sys.argv[1:] if args is None else list(args)
        found, extra = super().parse_known_args(args, namespace)
        if extra:  # reported here: the usage of the parent parser lacks our options
            self.error(self._unknown(found, extra))
        return found, extra

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        from crawler.wording.secrets import shown

        there = [str(choice) for choice in action.choices]
        is_command = isinstance(action, argparse._SubParsersAction)
        near = nearest(str(value), there)
        if is_command and not near:
            near = FOREIGN.get(nearest(str(value).lower(), list(FOREIGN)), "")
        meant = f"did you mean {near!r}?" if near in there else f"choose from {', '.join(map(repr, there))}"
        if is_command and str(value).lower() == "version":
            meant = "did you mean 'crawler --version'?"
        noun = _NOUNS.get(str(action.metavar), "choice")
        value = shown("", str(value))
        if noun == "command" and "://" in value:
            meant = f"to crawl it: crawler run {value}"
        raise argparse.ArgumentError(None if is_command else action, f"no {noun} {value!r}; {meant}")

    def _unknown(self, found: argparse.Namespace, extra: Sequence[str]) -> str:
        """Return the message for arguments that the command does not know."""
        from crawler.wording.secrets import shown

        said = f"unrecognized arguments: {' '.join(shown('', word) for word in extra)}"
        if self.prog.endswith(" stage") and not any(word.startswith("-") for word in extra):
            return f"{said}; stages in one process are written with +: {self.prog} {'+'.join([found.name, *extra])}"
        options = [option.lstrip("-") for action in self._actions for option in action.option_strings
                   if option.startswith("--") and action.help != argparse.SUPPRESS]  # fmt: skip
        wrong = next((word.partition("=")[0].lstrip("-") for word in extra if word.startswith("-")), "")
        near = nearest(wrong, options, OPTION)
        if not wrong and self.prog.endswith((" parse", " run", " try")) and "=" in extra[0]:
            return f"{said}; a setting is written -s KEY=VALUE, and a field -s 'stages.parse.fields.NAME=\"SELECTOR\"'"
        own = OPTIONS_OF.get((self.prog.rpartition(" ")[2], wrong), "")
        meant = own or self._foreign(wrong) or self._setting(wrong) or (near and f"--{near}")
        return f"{said}; did you mean {meant}?" if meant else said

    def _foreign(self, option: str) -> str:
        """Return what an option of another program is called in this command; "" if it is not known."""
        meant = OPTIONS.get(option, "")
        word, _, rest = meant.partition(" ")
        if word == "-s":
            return self._obeyed(rest.strip("'").partition("=")[0], meant)
        return meant if word in self._option_string_actions or (word == "crawler" and self.prog.endswith(" run")) else ""

    def _setting(self, option: str) -> str:
        """Return how to write an unknown option as a setting of the same name: its short form, or -s frontier.per_host=VALUE."""
        from crawler.cli.common import SHORT_FORMS
        from crawler.config import suggestions

        short = {setting: f"{form} {value}" for form, setting, value, _ in SHORT_FORMS if form in self._option_string_actions}
        found = suggestions.elsewhere(option.replace("-", "_")) if len(option) > 1 else []
        return " or ".join(self._obeyed(name, short.get(name, f"-s {name}=VALUE")) for name in found)

    def _obeyed(self, setting: str, written: str) -> str:
        """Return a setting as written, after the command that obeys it if this one does not."""
        from crawler.run import obeyed

        command = self.prog.rpartition(" ")[2]
        if command not in ("stage", "hub", "put", "take", "status") or written.startswith("--"):
            return written
        if obeyed.is_of_hub(setting):
            option = obeyed.OPTIONS.get(setting, "")
            value = written.partition("=")[2]
            return written if command == "hub" else f"crawler hub {f'{option} {value}' if option else written}"
        stage = obeyed.one_reader(setting)
        return written if not stage or command == "stage" else f"crawler stage {stage} {written}"


def _columns() -> int:
    """Return the width of a help text: that of the terminal, unless the variable COLUMNS says another."""
    typed = os.environ.get("COLUMNS", "")
    if typed.isdecimal() and int(typed):
        return int(typed)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or COLUMNS
    except (AttributeError, ValueError, OSError):  # closed, replaced by an object without a file, or no terminal
        return COLUMNS


def nearest(word: str, names: Sequence[str], cutoff: float = NEAR) -> str:
    """Return the name that is most similar to the word; "" if none is similar enough."""
    import difflib  # here, because only mistakes need it

    return next(iter(difflib.get_close_matches(word, names, n=1, cutoff=cutoff)), "")
