"""The usual slips in a URL that a person types, each in words that do not repeat the URL, because it may have a password."""

from __future__ import annotations

import re
from typing import Final

from crawler.errors import BadUrl
from crawler.web import urls

LABELS: Final = f"each part between dots must have 1 to {urls.MAX_LABEL} characters"
_AROUND: Final = "<>\"'`‘’“”„«»()[]{}"  # quotes and brackets that are copied along with a URL


def fault(typed: str) -> str:
    """Return what is wrong with a text meant as a URL; "" if it is not one of the usual slips."""
    text = typed.strip()
    if text[:1] and text[0] in _AROUND and re.search(r"https?:", text, re.IGNORECASE):
        return f"it begins with {text[0]}; leave out what stands around the URL"
    if text.startswith(("//", "://")):
        return "it begins without http: or https:"
    web = re.match(r"https?(:?[/\\]*)", text, re.IGNORECASE)
    if web is None or not web[1]:
        return ""
    if not re.match(r"https?://", text, re.IGNORECASE):
        return "two slashes follow http: or https:"
    place = re.split(r"[/?#\\]", text[web.end() :])[0].rpartition("@")[2]
    host, _, port = place.partition("]:") if place.startswith("[") else place.partition(":")
    if not host.strip():
        return "its host is missing"
    if re.search(r"\s", place.strip()):
        return "there is a space in its host"
    if port and re.fullmatch(r"[0-9]+", port) is None:
        return "its port is not a number"
    if port and int(port[:9]) > urls.MAX_PORT:
        return f"its port is above {urls.MAX_PORT}"
    return _of_host(text)


def _of_host(url: str) -> str:
    """Return what is wrong with the host of a URL whose other parts are right."""
    try:
        name = urls.parse(url).hostname
    except BadUrl:
        return "its host is not a host's name or address"
    if "*" in name:
        return "there is a * in its host; begin from one host, and --scope domain follows links to all hosts of its domain"
    if urls.is_name(name):
        return "its host is not a host's name or address"
    if len(name.removesuffix(".")) > urls.MAX_NAME:
        return f"its host is longer than {urls.MAX_NAME} characters"
    return f"its host is not a host's name: {LABELS}"
