"""The command crawler shell: an interactive Python with one page at hand, to try selectors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crawler.cli import common
from crawler.cli.printing import say, tell
from crawler.cli.shown import page_options
from crawler.errors import ConfigError
from crawler.wording.counting import counted
from crawler.wording.texts import escaped

if TYPE_CHECKING:
    from crawler.config.load import Config
    from crawler.web.page import Page

BANNER = """\
page      {what}
css(S)    texts that a CSS selector finds, as a field of [stages.parse.fields] would: css(".price::text"), css("a::attr(href)")
          (if you know Scrapy: a list, as of response.css(S).getall(); ::text is all text inside an element)
xpath(S)  the same for XPath: xpath("//h1/text()")
links     {links}
record    what parse makes of the page: a dict
soup      the page as BeautifulSoup
fetch(U)  fetch another page, by its URL or a link of this one, and work on it
view()    open the page, as it was received, in a web browser"""

LATE = object()  # stands for a value that is computed at first use


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "shell", parents=[common.options()],
        description="Fetch one page (or read a file), without a hub, and start an interactive Python with it: page, css, xpath, "
        "links, record, soup, fetch, view. IPython is used if it is installed. Commands may come from standard input; "
        "the exit code is then 1 if one of them failed.",
    )  # fmt: skip
    page_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from crawler.cli.files import page_file
    from crawler.cli.pages import page_of
    from crawler.pipeline.build import build
    from crawler.run.verify import options_of

    config = common.load(args)
    page_file(args.page)  # refuses a missing one
    options_of(build(config).stage("parse"), config)  # of `record`: before anything is fetched
    page = page_of(config, args.page, args.url)
    if page is None:
        return common.NOTHING_FETCHED
    names = Names(config)
    names.work_on(page)
    try:
        return common.OK if interact(names, names.banner()) else common.INTERNAL
    except SystemExit as end:  # typed by the person: exit(), sys.exit(4)
        return exit_code(end)


def exit_code(end: SystemExit) -> int:
    """Return the exit code that Python gives for this, and print its message if it has one instead of a code."""
    if end.code is None or isinstance(end.code, int):
        return int(end.code or common.OK) & 0xFF
    tell(*str(end.code).split("\n"))
    return common.INTERNAL


class Names(dict[str, Any]):
    """The names of the shell. `soup` and `record` are computed at first use."""

    def __init__(self, config: Config) -> None:
        super().__init__(__name__="__console__", __doc__=None)
        self._config = config
        self._late: dict[str, Callable[[], Any]] = {}
        self.update(css=self._css, xpath=self._xpath, fetch=self._fetch, view=self._view)

    def work_on(self, page: Page) -> None:
        """Make all names refer to this page."""
        self["page"] = page
        self["links"] = [link.url for link in page.links] if page.content else []
        self._late = {"soup": lambda: page.soup, "record": self._record}
        for name in self._late:
            self[name] = LATE  # there for dir() and completion

    def __getitem__(self, name: str) -> Any:
        if super().__getitem__(name) is LATE:
            self[name] = self._late[name]()
        return super().__getitem__(name)

    def banner(self) -> str:
        page: Page = self["page"]
        what = f"{page.url}: {page.status_code}, {page.content_type or 'no type'}, {counted(len(page.content), 'byte')}"
        return BANNER.format(what=escaped(what), links=counted(len(self["links"]), "absolute URL"))

    def _find(self, **selector: str) -> list[Any]:
        from crawler.web.fields import Fields, FieldSpec

        try:
            fields = Fields({"found": FieldSpec(many=True, **selector)})  # type: ignore[arg-type]  # all selectors are text
        except ConfigError as error:
            raise ValueError(str(error).removeprefix("fields.found: ")) from None
        found: list[Any] = fields.read(self["page"].html, _raise_failure)["found"]
        return found

    def _css(self, selector: str) -> list[Any]:
        return self._find(css=selector)

    def _xpath(self, expression: str) -> list[Any]:
        return self._find(xpath=expression)

    def _record(self) -> Any:
        from crawler.cli.pages import open_stage
        from crawler.stage import To

        stage = open_stage(self._config, "parse")
        try:
            return next((item for item in stage.process(self["page"]) if not isinstance(item, To)), None)
        finally:
            stage.close()

    def _fetch(self, url: str) -> Any:
        from crawler.cli.pages import fetched

        page, _ = fetched(self._config, self["page"].urljoin(url) or url)
        if page is not None:
            self.work_on(page)
        return page

    def _view(self) -> None:
        import tempfile
        import webbrowser

        page: Page = self["page"]
        file = Path(tempfile.mkdtemp(prefix="crawler-page-")) / "page.html"
        file.write_bytes(page.content)
        say(str(file) if webbrowser.open(file.as_uri()) else f"no browser was found; the page is in {file}")


def interact(names: Names, banner: str) -> bool:
    """Run until the person leaves: IPython if it is installed and a person types, otherwise Python's interactive mode.

    Returns False if commands from standard input failed.
    """
    if sys.stdin.isatty():
        try:
            from IPython import start_ipython
        except ImportError:
            pass
        else:
            say(*banner.split("\n"))
            start_ipython(argv=["--no-banner"], user_ns=names)
            return True
    return python(names, banner)


def python(names: Names, banner: str) -> bool:
    """Run Python's interactive mode. Returns False if commands from standard input failed; a person sees the errors at once."""
    import code

    class Console(code.InteractiveConsole):
        failed = False

        def write(self, data: str) -> None:
            tell(*data.removesuffix("\n").split("\n"))

        def showtraceback(self) -> None:
            self.failed = True
            super().showtraceback()

        def showsyntaxerror(self, *args: Any, **kwargs: Any) -> None:
            self.failed = True
            super().showsyntaxerror(*args, **kwargs)

    console = Console(names)
    is_person = sys.stdin.isatty()
    if is_person:
        with_completion(names)
    console.interact(banner=banner, exitmsg="")
    if console.buffer and not is_person:  # the input ended inside a statement
        try:
            rest = compile("\n".join([*console.buffer, ""]), console.filename, "exec")
        except SyntaxError:
            console.showsyntaxerror(console.filename)
        else:
            console.runcode(rest)
    return is_person or not console.failed


def with_completion(names: Names) -> None:
    """Complete names and attributes with Tab, if Python has readline."""
    try:
        import readline
        import rlcompleter
    except ImportError:
        return
    readline.set_completer(rlcompleter.Completer(names).complete)
    readline.parse_and_bind("tab: complete")


def _raise_failure(name: str, trouble: str, text: str) -> None:
    """Raise the error of a selector that fails on the page, for the person who typed it."""
    if trouble == "failed":
        raise ValueError(text)
