"""Pages that ask for far more than they bring, each of about `size` characters: the shapes that have hurt parsers and renderers."""

from __future__ import annotations

from collections.abc import Callable

FORMATTING = ["b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u", "a"]


def many(piece: str | Callable[[int], str], size: int) -> str:
    """Repeat a piece; each is another one where it is a function of its number."""
    if isinstance(piece, str):
        return piece * (size // len(piece))
    pieces: list[str] = []
    while size > 0:
        pieces.append(piece(len(pieces)))
        size -= len(pieces[-1])
    return "".join(pieces)


def bombs(size: int) -> dict[str, str]:
    half = size // 2
    return {
        # Formatting elements that differ, and blocks that make the parser copy all open ones (HTML standard §13.2.4.3).
        **{f"<{tag} id=N><p>": many(lambda i, tag=tag: f"<{tag} id={i}><p>", size) for tag in FORMATTING},    # type: ignore[misc]  # a lambda without types
        "three kinds": many(lambda i: f"<b id={i}><i id={i}><u id={i}><p>", size),
        "in a closed p": many(lambda i: f"<p><b id={i}>x</p>", size),
        "in a closed div": many(lambda i: f"<div><b id={i}>x</div>", size),
        "in items": many(lambda i: f"<b id={i}><li>x", size),
        "in cells": many(lambda i: f"<b id={i}><table><td>x", size),
        "in templates": many(lambda i: f"<template><b id={i}><p>", size),
        "in svg": many(lambda i: f"<svg><foreignObject><b id={i}><p>", size),
        "few, and many blocks": "<p>" + "".join(f"<b id={i}>" for i in range(40)) + "</p>" + many("<p>x", size),
        "all kinds without attributes": "<p>" + "".join(f"<{tag}>" * 3 for tag in FORMATTING) + "</p>" + many("<p>x", size),
        "with long attributes": "<p>" + "".join(f"<b id={i} class={'y' * 2_000}>" for i in range(50)) + "</p>" + many("<p>x", size),
        "foster parents": "<table>" + many(lambda i: f"<b id={i}><p>", size),
        "adoption": many(lambda i: f"<a href={i}><div>", half) + many("</a>", half),
        "attributes of body": many(lambda i: f"<body a{i}=b>", size),
        "attributes of html": many(lambda i: f"<html a{i}=b>", size),
        # Depth.
        **{f"deep {tag}": many(f"{tag}x", size) for tag in (
            "<div>", "<b>", "<span>", "<ul><li>", "<ol><li>", "<blockquote>", "<dl><dd>", "<table><td>", "<svg><g>",
            "<math><mi>", "<q>",
            "<template>", "<select><optgroup>", "<button>", "<main>", "<nav>", "<details>", "<em><strong>", "<h1>",
            "<a href=y><h1>",
            "<div hidden>", "<ruby><rt>", "<object>", "<fieldset>", "<frameset>", "<noscript>", "<table><caption>",
        )},
        **{f"{deep} x lines": deep * 2_000 + many(line, size) for deep in ("<blockquote>", "<ul><li>", "<ol><li>", "<dl><dd>")
           for line in ("x<br>", "<p>x", "<pre>x\n")},
        # Tables.
        "a wide cell and many rows": f"<table><tr><td>{'x' * half}<td>y" + many("<tr><td>a<td>b", half),
        "many columns and many rows": "<table><tr>" + many("<td>a", half) + many("<tr><td>b", half),
        "spans": "<table>" + many("<tr><td colspan=1000 rowspan=65534>a<td colspan=1000>b", size),
        "a cell of lines": "<table><tr><td>" + many("x<br>", size) + "<td>y",
        "a cell of code": "<table><tr><td><pre>" + many("x\n", size),
        "a cell of lists": "<table><tr><td>" + many("<ul><li>x", size),
        "tables in tables": many("<table><tr><td>a<td>b<td>", size),
        "tables alone": many("<table>", size),
        "tables, one cell each": many("<table><tr><td>", size),
        "cells of numbers beside code": "<table><tr><td>1<td><pre>x</pre>" + many("<tr><td><table><tr><td>1<td>x", size),
        "deep tables around code": many("<table><tr><td>1<table><tr><td>2", half) + "<pre>" + many("x\n", half),
        "open elements": many("<p><b><i><u><a href=x>", size),
        # Rows of small things.
        **{piece: many(piece, size) for piece in (
            "<p>x</p>", "<br>", "<hr>", "<main>x</main>", "<em>x</em>", "<option>x", "<title>x</title>", "&NotEqualTilde;", "&#x1F600;", "&",
            "&lt;", "*", "_[`\\", "<", "<!-", "<!---->", "<a b='<", "\xa0", "\n", "<code>`</code>",
            "<ol start=999999999><li>x</ol>",
            "<img alt=y>", "<a href=javascript:x>y</a>", "<p style=display:none>x", "<script type=application/ld+json>{}</script>",
        )},
        "links": many(lambda i: f"<a href=/{i}>x</a>", size),
        "links from a long base": f"<base href=http://e.org/{'b' * 8_000}/>" + many(lambda i: f"<a href={i}>x</a>", size),
        "links in links": many(lambda i: f"<a href=/{i}>x<table><td>", size),
        "images": many(lambda i: f"<img src={i} alt=y>", size),
        "metas": many(lambda i: f"<meta name=description content={i}>", size),
        "Open Graph": many(lambda i: f"<meta property=og:image content={i}>", size),
        "deep JSON": "<script type=application/ld+json>" + "[" * size,
        "a long number": "<script type=application/ld+json>" + "9" * size + "</script>",
        "one attribute": "<p title=" + "x" * size + ">",
        "attributes": "<p " + many(lambda i: f"a{i}=b ", size) + ">",
        "code with ticks": "".join(f"<code>{'`' * i}</code>" for i in range(int(half**0.5))),
    }  # fmt: skip
