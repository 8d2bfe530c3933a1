"""The rows of `tests.oddities`: what a server does, and what becomes of each URL. Ids are those of the conformance set."""

from __future__ import annotations

import gzip
import time
import zlib
from email.utils import formatdate
from functools import cache

from tests.oddities import (
    CHUNKED,
    DEAD,
    FAILED,
    FINE,
    LED,
    MISSING,
    NEXT,
    SHORT,
    SKIPPED,
    TYPE,
    Answer,
    Exchange,
    Row,
    coded,
    ok,
    page,
    says,
    silence,
    then,
    to,
)  # fmt: skip

HTML = page("next")
ODD_TIMES = ("", "minus", "soon", "ages", "past")
HEAD = f"HTTP/1.1 200 OK\r\n{TYPE}\r\n"


def raw(text: str) -> bytes:
    return text.encode("latin-1")


def length(value: str) -> bytes:
    return raw(f"{HEAD}Content-Length: {value}\r\n\r\nhello")


@cache
def bomb() -> bytes:
    return gzip.compress(bytes(32 << 20))


def transfers() -> list[Row]:
    """Where a reply begins and ends."""
    once = gzip.compress(HTML)
    return [
        Row("chunked_no_end", "chunks, and the connection closed before the last one",
            {"": CHUNKED + b"5\r\nhello\r\n5\r\nagain\r\n"}, {"": FAILED}),
        Row("chunked_bad_size", "a chunk whose size is no number", {"": CHUNKED + b"yes\r\nhello\r\n0\r\n\r\n"}, {"": FAILED}),
        Row("chunked_size_overflow", "a chunk of more bytes than 64 bits can count, and one of minus one",
            {"": CHUNKED + b"f" * 40 + b"\r\nhello", "minus": CHUNKED + b"-1\r\nhello"}, {"": FAILED, "minus": FAILED}, ("",
             "minus")),
        Row("chunked_trailers", "fields after the last chunk, announced or not, with bare line feeds too",
            {"": CHUNKED + b"%x\r\n%b\r\n0\r\nX-After: 1\r\n\r\n" % (len(HTML), HTML),
             "next": CHUNKED + b"4\nfine\n0\nX-After: 1\n\n"},
            LED, keeps=True),
        Row("te_and_cl", "chunks and a Content-Length that says otherwise",
            {"": raw(f"{HEAD}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n{len(HTML):x}\r\n") + HTML + b"\r\n0\r\n\r\n",
             "next": FINE}, LED),
        Row("cl_too_long", "fewer bytes than Content-Length says, then the end", {"": length("1024")}, {"": FAILED}),
        Row("cl_too_short", "more bytes than Content-Length says, on a connection that is kept",
            {"": ok(HTML) + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nowned", "next": FINE}, LED, keeps=True),
        Row("cl_negative", "a Content-Length below zero", {"": length("-29")}, {"": FAILED}),
        Row("cl_garbage", "a Content-Length of words, of many numbers, of the same number twice",
            {"": length("plenty"), "5aa": length("5aa"), "blank": length(" 5 \t"), "list": length("5, 5"),
             "equal": length("5\r\nContent-Length: 5"), "two": length("5\r\nContent-Length: 6")},
            {"": FAILED, "5aa": FAILED, "blank": 200, "list": 200, "equal": 200, "two": FAILED},
            ("", "5aa", "blank", "list", "equal", "two")),
        Row("cl_huge", "a Content-Length beyond every disk, and beyond 64 bits",
            {"": length("9" * 17), "64": length("9" * 40)}, {"": DEAD, "64": DEAD}, ("", "64")),
        Row("no_headers_0_9", "a page and no status line", {"": HTML}, {"": FAILED}),
        Row("empty_reply", "the connection closed without a byte", {"": b""}, {"": FAILED}),
        Row("tcp_reset", "a reset in the header, and in the body",
            {"": says(b"HTTP/1.1 200 OK\r\nContent-", end=Exchange.reset), "body": says(length("1024"), end=Exchange.reset)},
            {"": FAILED, "body": FAILED}, ("", "body")),
        Row("never_answers", "a request heard, and never answered", {"": silence}, {"": FAILED}, fetch=SHORT),
        Row("hangs_in_body", "half a body, then silence", {"": says(length("1024"), end=silence)}, {"": FAILED}, fetch=SHORT),
        Row("drip", "a byte a second for ever", {"": says(length("1024"), end=Exchange.drip)}, {"": FAILED}, fetch=SHORT),
        Row("endless_body", "a body without end, in chunks and without",
            {"": says(CHUNKED, end=lambda e: e.pour(b"10000\r\n" + bytes(65_536) + b"\r\n")),
             "close": says(raw(HEAD), b"\r\n", end=lambda e: e.pour(bytes(65_536)))}, {"": DEAD, "close": DEAD}, ("", "close")),
        Row("endless_headers", "header lines without end, and one line without end",
            {"": says(raw(HEAD), end=lambda e: e.pour(b"X-More: of the same\r\n" * 100)),
             "line": says(raw(HEAD), b"X-Long: ", end=lambda e: e.pour(b"x" * 4_096))}, {"": DEAD, "line": DEAD}, ("", "line")),
        Row("header_folded", "a value that goes on in the next line",
            {"": raw("HTTP/1.1 200 OK\r\nContent-Type: text/html;\r\n\tcharset=utf-8\r\n\r\n") + HTML, "next": FINE}, LED),
        Row("header_no_colon", "lines that are no header fields among those that are",
            {"": raw("HTTP/1.1 200 OK\r\n<meta name=x>\r\nno colon\r\n: no name\r\n")
             + CHUNKED.partition(b"\r\n")[2] + b"%x\r\n%b\r\n0\r\n\r\n" % (len(HTML), HTML), "next": FINE}, LED),
        Row("header_nul", "NUL and a bare CR in a value", {"": raw(f"{HEAD}X-A: a\0b\r\nX-B: a\rb\r\n\r\n") + HTML, "next": FINE},
            LED),
        Row("header_nonascii", "bytes beyond ASCII in values", {"": ok(HTML, "X-A: \xfc\xe4", "X-B: \xc3\xbc"), "next": FINE}, LED),
        Row("dup_content_type", "two content types", {"": ok(HTML, TYPE, kind="text/plain"), "next": FINE}, LED),
        Row("status_odd", "status lines that nobody expects",
            {"": ok(FINE, status="999 Go Away"), "000": ok(status="000 None"), "bare": ok(status="200"),
             "minus": ok(status="-200 OK"),
             "words": ok(status="OK 200")},
            {"": 999, "000": FAILED, "bare": 200, "minus": FAILED, "words": FAILED}, ("", "000", "bare", "minus", "words")),
        Row("interim_1xx", "interim replies before the one that counts",
            {"": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </interim_1xx/hint>\r\n\r\n" + NEXT,
             "next": FINE}, LED),
        Row("status_204_body", "no content, and yet a body",
            {"": ok(b"hello", status="204 No Content"), "304": ok(b"hello", status="304 Not Modified"), "next": FINE},
            {"": 204, "304": 304, "next": 200}, ("", "304", "next"), keeps=True),
        Row("status_206_unasked", "a part that nobody asked for", {"": ok(HTML, "Content-Range: bytes 0-9/99", status="206 Part")},
            {"": 206, "next": 404}),
        Row("status_304_unasked", "not modified, says it, to who has never been here", {"": ok(status="304 Not Modified")},
            {"": 304}),
        Row("gzip_truncated", "gzip that ends in the middle", {"": coded("gzip", once[:-12])}, {"": FAILED}),
        Row("gzip_bad", "plain text that says it is gzip", {"": coded("gzip", HTML), "next": FINE}, LED),
        Row("gzip_trailing", "junk after the end of gzip", {"": coded("gzip", once + b"junk" * 99), "next": FINE}, LED),
        Row("gzip_members", "gzip in two members",
            {"": coded("gzip", gzip.compress(HTML[:9]) + gzip.compress(HTML[9:])), "next": FINE}, LED),
        Row("gzip_double", "two codings, one over the other",
            {"": coded("gzip, gzip", gzip.compress(once)), "next": coded("deflate, gzip", gzip.compress(zlib.compress(b"fine")))},
             LED),
        Row("gzip_unasked", "gzip, whatever was asked for", {"": coded("gzip", once), "next": FINE}, LED),
        Row("gzip_file_twice", "a gzipped sitemap, gzipped once more on its way", {"sitemap.xml.gz": _sitemap, "next": FINE},
            {"sitemap.xml.gz": 200, "next": 200}, ("sitemap.xml.gz",)),
        Row("gzip_upper", "names of codings as they come",
            {"": coded("GZIP", once), "next": coded("x-gzip", once), "comma": coded("gzip,", once), "none": coded("identity",
             HTML)},
            {**LED, "comma": 200, "none": 200}, ("", "comma", "none")),
        Row("deflate_raw", "deflate without its zlib header", {"": coded("deflate", zlib.compress(HTML)[2:-4]), "next": FINE}, LED),
        Row("zip_bomb", "a few kilobytes that expand a thousandfold, and a bomb in a bomb",
            {"": lambda _: coded("gzip", bomb()), "twice": lambda _: coded("gzip, gzip", gzip.compress(bomb()))},
            {"": DEAD, "twice": DEAD}, ("", "twice")),
        Row("long_coding_chain", "a hundred codings", {"": coded(", ".join(["gzip"] * 100), once)}, {"": FAILED}),
        Row("te_gzip", "gzip as a transfer coding",
            {"": raw(f"{HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n{len(once):x}\r\n") + once + b"\r\n0\r\n\r\n"}, {"": FAILED}),
        Row("keepalive_lie", "a connection said to be kept, and closed", {"": ok(HTML, "Connection: keep-alive"), "next": FINE},
            LED),
        Row("stale_conn", "a kept connection, closed when the next request is on its way",
            {"": NEXT, "next": lambda e: FINE if e.on_connection == 1 else None}, LED, keeps=True),
        Row("pipelined_garbage", "bytes after the reply on a kept connection", {"": ok(HTML) + b"\0garbage\r\n" * 9, "next": FINE},
            LED,
            keeps=True),
        Row("range_resume", "half a body the first time, all of it the second",
            {"": then(raw(f"{HEAD}Accept-Ranges: bytes\r\nContent-Length: {len(HTML)}\r\n\r\n") + HTML[:20], NEXT), "next": FINE},
            {"": "200 after 2", "next": 200}),
        Row("h2_only", "a server that speaks another version, and one that speaks HTTP/2 at once",
            {"": ok(status="505 HTTP Version Not Supported"), "frame": b"\0\0\0\x04\0\0\0\0\0"}, {"": 505, "frame": FAILED}, ("",
             "frame")),
    ]  # fmt: skip


def _sitemap(exchange: Exchange) -> bytes:
    listed = f"<loc>{exchange.server.url('gzip_file_twice', 'next')}</loc>"
    file = f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url>{listed}</url></urlset>'.encode()
    return ok(gzip.compress(gzip.compress(file)), "Content-Encoding: gzip", kind="application/gzip")


def replies() -> list[Row]:
    """What a status and its header mean."""
    moved = {"": to("b", "301 Moved"), "b": FINE}
    return [
        Row("redirect_relative", "targets in every relative form",
            {"": ok(page("d/up", "d/here", "d/query", "d/host", "d/only", "d/fragment")), "d/up": to("../x"), "d/here": to("./x"),
             "d/query": to("x?y"), "d/host": lambda e: to(f"//{e.server.host}/redirect_relative/x"), "d/only": to("?q"),
             "d/fragment": to("#f"), "x": FINE, "d/x": FINE, "d/x?y": FINE, "d/only?q": FINE},
            {"": 200, "d/up": 302, "d/here": 302, "d/query": 302, "d/host": 302, "d/only": 302, "d/fragment": 302, "x": 200,
             "d/x": 200,
             "d/x?y": 200, "d/only?q": 200}),
        Row("redirect_spaces", "blanks around a target and in it", {"": to("  a b \t"), "a%20b": FINE}, {"": 302, "a%20b": 200}),
        Row("redirect_utf8", "a target in raw UTF-8, and one in Latin-1",
            {"": to("\xc3\xbc"), "latin": to("\xfc"), "%C3%BC": FINE, "%FC": FINE},
            {"": 302, "latin": 302, "%C3%BC": 200, "%FC": 200}, ("", "latin")),
        Row("redirect_empty", "a redirect to nowhere", {"": to(""), "none": ok(status="301 Moved")}, {"": 302, "none": 301}, ("",
            "none")),
        Row("redirect_two_locations", "two targets, different and equal",
            {"": ok(b"", "Location: b", "Location: c", status="302 Found"), "equal": ok(b"", "Location: b", "Location: b",
             status="302 Found"),
             "b": FINE}, {"": 302, "equal": 302, "b": 200}, ("", "equal")),
        Row("redirect_self", "a redirect to itself", {"": to("./", "301 Moved")}, {"": 301}),
        Row("redirect_cookie_wall", "a redirect to itself until a cookie comes back",
            {"": lambda e: NEXT if e.header("cookie") == "seen=1" else ok(b"", "Location: ./", "Set-Cookie: seen=1",
             status="302 On"),
             "next": FINE}, LED, fetch={"cookies": True}),
        Row("redirect_loop2", "there and back again", {"": to("b"), "b": to("./")}, {"": 302, "b": 302}),
        Row("redirect_infinite", "a redirect to the next, for ever",
            {"": to("1"), **{str(n): to(str(n + 1)) for n in range(1, 30)}}, {"": 302, **{str(n): 302 for n in range(1, 11)}}),
        Row("redirect_scheme", "targets that are not on the web",
            {"": ok(page("ftp", "file", "script", "data")), "ftp": to("ftp://127.0.0.1/x"), "file": to("file:///etc/passwd"),
             "script": to("javascript:alert(1)"), "data": to("data:text/html,x")},
            {"": 200, "ftp": 302, "file": 302, "script": 302, "data": 302}),
        Row("redirect_offsite", "targets on another host, and where robots.txt forbids",
            {"": ok(page("away", "forbidden")), "away": to("http://other.invalid/"), "forbidden": to("private/x"),
             "private/x": FINE},
            {"": 200, "away": 302, "forbidden": 302, "private/x": SKIPPED}),
        Row("redirect_to_seen", "many URLs that redirect to one",
            {"": ok(page("p?id=1", "p?id=2", "p")), "p?id=1": to("p"), "p?id=2": to("p"), "p": then(FINE, MISSING)},
            {"": 200, "p?id=1": 302, "p?id=2": 302, "p": 200}),
        Row("redirect_body_links", "a redirect with a page that has links", {"": to("b", body=page("trap")), "b": FINE}, {"": 302,
            "b": 200}),
        Row("redirect_308_307", "the redirects that keep the method",
            {"": to("b", "308 Permanent Redirect"), "307": to("b", "307 Temporary Redirect"), "b": FINE},
            {"": 308, "307": 307, "b": 200}, ("", "307")),
        Row("redirect_300", "a choice, with a preferred one", {**moved, "": to("b", "300 Multiple Choices", page("b"))}, {"": 300}),
        Row("retry_429", "too many requests, come back in a second", _later(429, "1"), {"": "200 after 2", "next": 200}),
        Row("retry_503_date", "down until a date",
            {"": lambda e: NEXT if e.number > 1 else _down_until(time.time() + 1000), "next": FINE}, {"": "200 after 2",
             "next": 200}),
        Row("retry_after_odd", "come back at times that are none",
            {**_later(503, "0"), **_later(503, "-1", "minus"), **_later(503, "soon", "soon"), **_later(429, "1" + "0" * 9, "ages"),
             **_later(429, "Wed, 21 Oct 2015 07:28:00 GMT", "past")},
            dict.fromkeys(ODD_TIMES, "200 after 2") | {"next": 200}, ODD_TIMES),
        Row("retry_5xx", "trouble that passes", {"": then(ok(status="500 Oh"), ok(status="502 Oh"), NEXT), "next": FINE},
            {"": "200 after 3", "next": 200}),
        Row("no_retry_4xx", "what is not there, and what is not for us",
            {"": MISSING, "410": ok(status="410 Gone"), "403": ok(status="403 Forbidden")}, {"": 404, "410": 410, "403": 403}, ("",
             "410", "403")),
        Row("status_408", "a server tired of waiting", {"": then(ok(status="408 Request Timeout"), NEXT), "next": FINE},
            {"": "200 after 2", "next": 200}),
        Row("cookies_many", "more cookies than anybody keeps, of foreign domains too",
            {"": ok(HTML, *(f"Set-Cookie: c{n}={n}" for n in range(500)), "Set-Cookie: evil=1; Domain=other.example"),
             "next": _few_cookies},
            LED, fetch={"cookies": True}),
        Row("cookie_dates", "cookies that end on dates in odd forms",
            {"": ok(HTML, "Set-Cookie: a=1; Expires=Tue, 09 Feb 2094 22:23:32 GMT",
             "Set-Cookie: b=1; Expires=Tuesday, 09-Feb-2094 22:23:32 GMT",
                    "Set-Cookie: c=1; Expires=Thu, 01-Jan-1970 00:00:00 GMT", "Set-Cookie: d=1; Expires=whenever",
                    "Set-Cookie: e=1; Max-Age=0"),
             "next": lambda e: FINE if e.header("cookie") == "a=1; b=1; d=1" else MISSING}, LED, fetch={"cookies": True}),
        Row("auth_401", "a door with a lock", {"": ok(HTML, 'WWW-Authenticate: Basic realm="x"', status="401 Unauthorized")},
            {"": 401}),
        Row("vary_ua", "another page for another User-Agent",
            {"": lambda e: FINE if {e.header("user-agent")} == e.server.robots_agents else MISSING}, {"": 200}),
        Row("etag_304", "a page that says when it has not changed",
            {"": lambda e: ok(status="304 Not Modified") if e.header("if-none-match") == '"1"' else ok(HTML, 'ETag: "1"'),
             "next": FINE}, LED),
        Row("url_userinfo", "a link with a password in it",
            {"": lambda e: ok(page(f"http://me:word@{e.server.host}/url_userinfo/next")),
             "next": lambda e: MISSING if e.header("authorization") else FINE}, LED),
        Row("dns_fail", "links to hosts that cannot be",
            {"": ok(page("http://a..b/", "http://a b/", f"http://{'a' * 64}.example/"))},
            {"": 200, "http://a..b/": DEAD, f"http://{'a' * 64}.example/": DEAD}, frontier={"scope": "any"}),
    ]  # fmt: skip


def _later(status: int, after: str, path: str = "") -> dict[str, Answer]:
    return {path: then(ok(b"", f"Retry-After: {after}", status=f"{status} Later"), NEXT), "next": FINE}


def _down_until(moment: float) -> bytes:
    return ok(b"", f"Retry-After: {formatdate(moment, usegmt=True)}", status="503 Down")


def _few_cookies(exchange: Exchange) -> bytes:
    cookies = exchange.header("cookie").split("; ")
    return FINE if 0 < len(cookies) <= 50 and "evil=1" not in cookies else MISSING


def pages() -> list[Row]:
    """What is in a body, and where its links lead."""
    declared = b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><a href="next"/><![CDATA[<a href="no">]]></html>'
    return [
        Row("meta_refresh_0", "a page that leads on at once",
            {"": ok(b'<meta http-equiv=refresh content="0; url=next">'), "next": FINE}, LED),
        Row("meta_refresh_self", "a page that shows itself anew each minute", {"": ok(b'<meta http-equiv=refresh content="60">')},
            {"": 200}),
        Row("refresh_header", "the same, said in the header", {"": ok(b"wait", "Refresh: 5; url=next"), "next": FINE}, {"": 200}),
        Row("ct_lie_html", "pages sent as what they are not",
            {"": ok(HTML, kind="text/plain"), "octet": ok(HTML, kind="application/octet-stream"), "png": ok(HTML, kind="image/png"),
             "none": ok(HTML, kind=""), "empty": ok(HTML, "Content-Type: ", kind=""), "next": FINE},
            {"": 200, "octet": 200, "png": 200, "none": 200, "empty": 200, "next": 200}, ("", "octet", "png", "none", "empty")),
        Row("ct_lie_binary", "an image sent as a page", {"": ok(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400)}, {"": 200}),
        Row("ct_xhtml", "XHTML with its declaration", {"": ok(declared, kind="application/xhtml+xml"), "next": FINE}, LED),
        Row("charset_lie", "a header that names another encoding than the page",
            {"": ok("<meta charset=utf-8><a href=next>ü</a>".encode(), kind="text/html; charset=ISO-8859-1"), "next": FINE}, LED),
        Row("charset_unknown", "encodings that there are not",
            {"": ok(HTML, kind="text/html; charset=foo"), "next": ok(HTML, kind='text/html; charset="utf-8;')}, LED),
        Row("bom_vs_header", "a byte-order mark against the header",
            {"": ok("\ufeff<a href=next>x</a>".encode("utf-16-le"), kind="text/html; charset=utf-8"), "next": FINE}, LED),
        Row("soft_404", "pages that are missing and say they are fine",
            {"": ok(page("a", "b")), "a": ok(b"not found"), "b": ok(b"not found")}, {"": 200, "a": 200, "b": 200}),
        Row("infinite_calendar", "a month that links to the next, for ever",
            {"": ok(page("?month=1")), **{f"?month={n}": ok(page(f"?month={n + 1}")) for n in range(1, 30)}},
            {"": 200, **{f"?month={n}": 200 for n in range(1, 6)}}, frontier={"max_depth": 5}),
        Row("infinite_path", "a relative link that leads ever deeper",
            {"a/" * n: ok(page("a/")) for n in range(30)}, {"a/" * n: 200 for n in range(4)}),
        Row("session_ids", "a session in each link",
            {"": ok(page("?PHPSESSID=1", "next?PHPSESSID=2", "next?PHPSESSID=3")), "next?PHPSESSID=2": FINE},
            {"": 200, "next?PHPSESSID=2": 200}, frontier={"drop_params": ["PHPSESSID"]}),
        Row("query_perms", "parameters in another order", {"": ok(page("?a=1&b=2", "?b=2&amp;a=1")), "?a=1&b=2": FINE},
            {"": 200, "?a=1&b=2": 200}, frontier={"sort_query": True}),
        Row("case_port_dots", "one URL in several spellings",
            {"": lambda e: ok(page(f"HTTP://{e.server.host}/case_port_dots/a/../next", "./next", "next#x",
             "b/..//../case_port_dots/next")),
             "next": then(FINE, MISSING)}, {**LED, "case_port_dots/next": 404}),
        Row("trailing_slash", "a directory without its slash",
            {"": ok(page("dir")), "dir": to("dir/", "301 Moved"), "dir/": ok(page("x")), "dir/x": FINE},
            {"": 200, "dir": 301, "dir/": 200, "dir/x": 200}),
        Row("link_many", "100,000 links on a page, and one of a megabyte",
            {"": lambda _: ok(page("next", "y" * 1_000_000, *(f"http://x.invalid/{n}" for n in range(100_000)))), "next": FINE},
             LED),
        Row("html_deep", "100,000 elements one in the other", {"": lambda _: ok(b"<div>" * 100_000 + HTML), "next": FINE}, LED),
        Row("html_unclosed", "pages that end in the middle of something",
            {"": ok(HTML + b"<a href='x"), "next": ok(b"<!-- " * 9_999), "script": ok(b"<script>" + b"<!--<script" * 9_999)},
            {**LED, "script": 200}, ("", "script")),
        Row("unicode_path", "paths in Latin-1, in UTF-8, and in raw bytes",
            {"": ok(page("%E4%F6", "%C3%BC") + "<a href=ä>x</a>".encode(), kind="text/html; charset=utf-8"),
             "%E4%F6": FINE, "%C3%A4": FINE, "%C3%BC": FINE},
            {"": 200, "%E4%F6": 200, "%C3%A4": 200, "%C3%BC": 200}),
        Row("semicolon_params", "parameters in the middle of a path", {"": ok(page("a;x=1/b?c;d")), "a;x=1/b?c;d": FINE},
            {"": 200, "a;x=1/b?c;d": 200}),
    ]  # fmt: skip
