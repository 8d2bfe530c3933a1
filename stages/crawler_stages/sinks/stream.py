"""Sink for standard output, a pipe or a device: JSON Lines that cannot be read back.

Written rows are remembered, so a row that is handed in again is not written again. A changed row is written again. When the process
is killed between a row's last byte and the note of it, the row comes twice: a stream cannot be read back.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from crawler import StorageFull, visible_json
from crawler_stages.sinks.contract import Ever, Row, SinkOptions, Written, digest, json_line, natural_key, opening, storage_errors
from crawler_stages.sinks.files import make_private, write_all
from crawler_stages.sinks.index import Entry, Index, Mark

STDOUT = 1  # the descriptor: `sys.stdout` has a buffer of its own


class Stream:
    """Sink for outputs that cannot be read back. output "-" is standard output."""

    def __init__(self, output: str, options: SinkOptions) -> None:
        self._output = "standard output" if output == "-" else output
        self._options = options
        with ExitStack() as undo, opening(self._output):
            self._fd = os.dup(STDOUT) if output == "-" else _opened(output)
            undo.callback(os.close, self._fd)
            self._is_terminal = os.isatty(self._fd)
            path = None
            if options.state and options.run:  # without the crawl's id every start is a new stream
                path = Path(options.state) / "stream.index"
                make_private(path)
            self._index = Index(path)
            if self._index.mark.run != options.run:
                self._index.clear(Mark(run=options.run))
            self._id, self._written = self._index.mark.id or secrets.token_hex(8), self._index.mark.written
            undo.pop_all()

    def write(self, rows: Sequence[Row]) -> Written:
        entries = []
        for row in rows:
            line = json_line(row) + b"\n"
            content = digest(line)
            entries.append((natural_key(row, self._options.key_fields) or content, content, line))
        with storage_errors(self._output, can_go_on=False):
            known = self._index.contents([key for key, _, _ in entries])
            fresh = {key: (content, line) for key, content, line in entries if known.get(key) != content}
            text = b"".join(line for _, line in fresh.values())
            write_all(self._fd, visible_json(text.decode()).encode() if self._is_terminal else text)
            written = self._written + len(fresh)
            self._index.put(
                (Entry(key, 0, len(line), content) for key, (content, line) in fresh.items()),
                Mark(run=self._options.run, id=self._id, written=written),
            )
            self._written = written
        replaced = len(fresh.keys() & known.keys())
        return Written(len(fresh) - replaced, replaced, len(rows) - len(fresh))

    def count(self, most: int = -1) -> int:
        with storage_errors(self._output):
            return self._index.count(most)

    def ever(self) -> Ever:
        return Ever(self._id, self._written)

    def close(self) -> None:
        self._index.close()
        os.close(self._fd)


def _opened(output: str) -> int:
    """Open a pipe or device for writing. Raises StorageFull for a named pipe without a reader: the store tries it again."""
    try:
        fd = os.open(output, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO and Path(output).is_fifo():
            raise StorageFull(f"{output}: no program reads this pipe yet") from error
        raise
    os.set_blocking(fd, True)
    return fd
