"""A failure names the line of the author's code that it came from."""

from __future__ import annotations

import importlib
import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from crawler import Page
from crawler.wording import places
from crawler_stages.parse import Parse
from crawler_stages.square import Square

ENRICH = """\
import json

def helper(record):
    return [record[name] for name in ("ttle",)]

def process(record):
    return helper(record)

def read(text):
    return json.loads(text)

def wait(started, go_on):
    started.set()
    go_on.wait()

def deep(n):
    return deep(n - 1) if n else 1 / 0

class Odd(Exception):
    def __str__(self):
        raise ValueError

def odd():
    raise Odd
"""


@pytest.fixture
def enrich(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "enrich.py").write_text(ENRICH, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("enrich")
    del sys.modules["enrich"]


def failure(function: Any, *args: Any) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011  each test says what it is
        function(*args)
    error = caught.value
    assert error.__traceback__ is not None
    return error.with_traceback(error.__traceback__.tb_next)  # without the frame of this test


def test_the_place_is_the_innermost_line_of_the_author(enrich: Any) -> None:
    assert places.told(failure(enrich.process, {})) == "KeyError: 'ttle' at enrich.py:4 in helper"


def test_what_a_library_raises_is_placed_where_the_author_called_it(enrich: Any) -> None:
    assert places.place(failure(enrich.read, "{")) == "enrich.py:10 in read"


def test_without_a_line_of_the_author_it_is_the_innermost_of_all(enrich: Any) -> None:
    assert places.place(failure(json.loads, "{")).startswith("decoder.py:")
    assert places.place(failure(Square.process, None, "x")).startswith("stages/crawler_stages/square.py:")
    assert places.place(ValueError("never raised")) == ""


def test_a_file_that_does_not_compile_is_its_own_place(tmp_path: Path) -> None:
    code = "def process(:\n"

    error = failure(compile, code, str(tmp_path / "broken.py"), "exec")

    assert places.told(error) == "SyntaxError: invalid syntax at broken.py:1"


def test_a_module_that_fails_as_it_is_imported_is_placed_at_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "divides.py").write_text("x = 1\ny = x / 0\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    assert places.told(failure(importlib.import_module, "divides")) == "ZeroDivisionError: division by zero at divides.py:2"


def test_an_exception_that_cannot_say_what_it_is_is_named_by_its_type(enrich: Any) -> None:
    error = failure(enrich.odd)

    assert places.told(error) == "Odd at enrich.py:24 in odd"
    assert "enrich.py" in places.trace(error)


def test_foreign_text_is_escaped_and_bounded() -> None:
    error = failure(int, "\x1b[31m" + 9_000 * "x")

    assert places.said(error).isprintable()
    assert len(places.said(error)) < 600
    assert all(line.isprintable() for line in places.trace(error).split("\n"))


def test_a_traceback_is_what_python_prints_without_the_frames_of_ours(enrich: Any) -> None:
    class Shop(Parse):
        def record(self, page: Page, html: Any) -> Any:
            return enrich.process({})

    error = failure(lambda: list(Shop().process(Page(url="", status_code=200))))
    trace = places.trace(error)

    assert trace.startswith("Traceback (most recent call last):\n")
    assert trace.endswith("\nKeyError: 'ttle'")
    assert f'File "{enrich.__file__}", line 7, in process\n    return helper(record)' in trace


def test_a_deep_traceback_is_bounded_and_keeps_its_end(enrich: Any) -> None:
    trace = places.trace(failure(enrich.deep, 200))

    assert len(trace) <= places.TRACE_LENGTH
    assert trace.endswith("ZeroDivisionError: division by zero")


def test_the_place_of_a_running_thread_is_the_line_it_is_at(enrich: Any) -> None:
    started, go_on = threading.Event(), threading.Event()
    thread = threading.Thread(target=enrich.wait, args=(started, go_on))
    thread.start()
    try:
        started.wait(10)
        assert thread.ident is not None
        assert places.current(thread.ident) in ("enrich.py:13 in wait", "enrich.py:14 in wait")
    finally:
        go_on.set()
        thread.join()
    assert places.current(-1) == ""
