"""Other crawlers on the sites of `crawler bench crawl --peers`, each a script that is written as its author would write it.

    known: which there are ─▶ turns: this project and each of them, one after the other, again and again ─▶ figures and ratios
                                ╰─▶ python -m crawler_bench.peers.SCRIPT START OUTPUT     (shape: what these have in common)

A script starts at START, follows every <a href> that stays on its host and asks for each page once. To OUTPUT it writes a JSON
line a page; what is no HTML, or is not there, may have a line of its own. It obeys no robots.txt and waits for nobody, for
that is where these crawlers are fastest.
"""
