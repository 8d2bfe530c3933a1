"""A table in an SQLite database: a row a key, a column a field.

Columns come into being with the fields that need them. Values keep their type; lists and objects are JSON text. What cannot
be a column (a name that differs from another by case alone, one field too many) goes into `_extra`, as JSON.

The rollback journal, not WAL: between batches the database is one file, which any tool may read or copy.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from crawler import UsageError
from crawler_stages.sinks.contract import Ever, Row, SinkOptions, Written, digest, json_line, natural_key, opening, storage_errors
from crawler_stages.sinks.files import make_private, usable_directory
from crawler_stages.sinks.index import MANY, Index, Mark, index_path

KEY = "_key"
EXTRA = "_extra"
EVER = '"_crawler_rows"'  # a table of ours: the rows ever written to each table. See `Ever`
MAX_COLUMNS = 500  # fields with a column of their own; SQLite's limit is 2000 in all
BUSY = 10.0  # s to wait for a tool that has the database locked
INT64 = range(-(1 << 63), 1 << 63)


class SqliteTable:
    """A sink that writes to one table, and to a small one with the number of rows; it leaves the others alone."""

    def __init__(self, output: str, options: SinkOptions) -> None:
        self._output = output
        self._options = options
        self._table = quoted(options.table)
        self._columns: dict[str, str] = {}  # by name in lower case, which is how SQLite tells them apart
        usable_directory(Path(output).resolve(), output)
        with ExitStack() as undo, opening(output):
            self._db = sqlite3.connect(output, timeout=BUSY, isolation_level=None, check_same_thread=False)
            undo.callback(self._db.close)
            self._db.execute("PRAGMA journal_mode = DELETE")
            # EXTRA: the removal of the journal is on disk as well, or a power cut would bring it back and undo the batch.
            self._db.execute(f"PRAGMA synchronous = {'EXTRA' if options.sync == 'batch' else 'NORMAL'}")
            if options.mode == "overwrite":
                self._overwrite()
            self._begin_to_count()
            self._columns = columns(self._db, options)
            undo.pop_all()

    def write(self, rows: Sequence[Row]) -> Written:
        if not rows:
            return Written()
        by_key = {self._key(row): row for row in rows}
        with storage_errors(self._output), self._transaction():
            fields = [self._fields(row) for row in by_key.values()]
            known = self._known(list(by_key))
            columns = [name for name in self._columns.values() if name != KEY]
            values = [(key, *map(row.get, columns)) for key, row in zip(by_key, fields, strict=True)]
            changed = self._db.executemany(self._upsert(columns), values).rowcount
            if changed:
                sql = f"UPDATE {EVER} SET written = written + ? WHERE output = ?"  # noqa: S608  a constant
                self._db.execute(sql, (changed, self._options.table))
        new = len(by_key) - known
        return Written(new, changed - new, len(rows) - changed)

    def count(self, most: int = -1) -> int:
        with storage_errors(self._output):
            sql = f"SELECT count(*) FROM (SELECT 1 FROM {self._table} LIMIT ?)"  # noqa: S608  quoted name
            (n,) = self._db.execute(sql, (most,)).fetchone()
        return int(n)

    def ever(self) -> Ever:
        with storage_errors(self._output):
            sql = f"SELECT id, written FROM {EVER} WHERE output = ?"  # noqa: S608  a constant
            row = self._db.execute(sql, (self._options.table,)).fetchone()
        return Ever(*row) if row else Ever("", 0)

    def close(self) -> None:
        self._db.close()

    def _begin_to_count(self) -> None:
        """Make the table, and with a new table a new count."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            is_new = not columns(self._db, self._options)
            self._db.execute(f"CREATE TABLE IF NOT EXISTS {self._table} ({KEY} TEXT PRIMARY KEY)")
            self._db.execute(f"CREATE TABLE IF NOT EXISTS {EVER} (output TEXT PRIMARY KEY, id TEXT, written INTEGER)")
            verb = "REPLACE" if is_new else "IGNORE"
            sql = f"INSERT OR {verb} INTO {EVER} VALUES (?, ?, 0)"  # noqa: S608  constants only
            self._db.execute(sql, (self._options.table, secrets.token_hex(8)))
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _overwrite(self) -> None:
        """Drop the table unless this very crawl has done so before: then its rows are ours."""
        path = index_path(self._options.state, Path(self._output).resolve())
        make_private(path)
        memory = Index(path)
        try:
            if not self._options.run or memory.mark.run != self._options.run:
                self._db.execute(f"DROP TABLE IF EXISTS {self._table}")
                memory.clear(Mark(run=self._options.run))
        finally:
            memory.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        columns = dict(self._columns)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._columns = columns
            if self._db.in_transaction:  # a full disk has rolled back already
                self._db.execute("ROLLBACK")
            raise

    def _key(self, row: Row) -> str:
        return (natural_key(row, self._options.key_fields) or digest(json_line(row))).hex()

    def _known(self, keys: Sequence[str]) -> int:
        """Count the keys that have a row."""
        known = 0
        for start in range(0, len(keys), MANY):
            some = keys[start : start + MANY]
            holders = ",".join("?" * len(some))
            sql = f"SELECT count(*) FROM {self._table} WHERE {KEY} IN ({holders})"  # noqa: S608  quoted name, holders only
            known += self._db.execute(sql, some).fetchone()[0]
        return known

    def _fields(self, row: Row) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        extra: Row = {}
        for name, value in row.items():
            if self._has_column(name):
                fields[name] = _value(value)
            else:
                extra[name] = value
        if extra:
            self._add_column(EXTRA)
            fields[EXTRA] = json_line(extra).decode()
        return fields

    def _has_column(self, name: str) -> bool:
        if name.lower() in (KEY, EXTRA) or "\0" in name:
            return False
        if name.lower() not in self._columns and len(self._columns) < MAX_COLUMNS:
            self._add_column(name)
        return self._columns.get(name.lower()) == name

    def _add_column(self, name: str) -> None:
        if name not in self._columns.values():
            self._db.execute(f"ALTER TABLE {self._table} ADD COLUMN {quoted(name)}")
            self._columns[name.lower()] = name

    def _upsert(self, columns: Sequence[str]) -> str:
        """Insert rows, or replace those that differ, so that `rowcount` is the number of new or changed rows."""
        names = [quoted(name) for name in columns]
        into = ", ".join([KEY, *names])
        sql = f"INSERT INTO {self._table} ({into}) VALUES ({','.join('?' * (len(names) + 1))}) ON CONFLICT ({KEY}) DO "  # noqa: S608  quoted names
        if not names:
            return sql + "NOTHING"
        changes = ", ".join(f"{name} = excluded.{name}" for name in names)
        differs = " OR ".join(f"{self._table}.{name} IS NOT excluded.{name}" for name in names)
        return f"{sql}UPDATE SET {changes} WHERE {differs}"


def columns(database: sqlite3.Connection, options: SinkOptions) -> dict[str, str]:
    """Return the columns of the table by lower-case name; {} if there is no table. Raises UsageError for a foreign table."""
    found = {row[1].lower(): row[1] for row in database.execute(f"PRAGMA table_info({quoted(options.table)})")}
    if found and KEY not in found:
        raise UsageError(
            f"{options.output}: the table {options.table} is not a crawler's, it has no column {KEY}; "
            "name another in stages.store.table, or give another output"
        )
    return found


def quoted(name: str) -> str:
    """Return any name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _value(value: Any) -> Any:
    if value is None or isinstance(value, (str, float, bytes)) or (isinstance(value, int) and value in INT64):
        return value
    return json_line(value).decode()  # a list, an object, or an integer above 2**63 - 1
