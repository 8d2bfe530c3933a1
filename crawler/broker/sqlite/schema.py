"""The tables of the embedded engine, and opening a file of them safely.

SQLite in WAL mode, one connection, used by one thread at a time, `locking_mode=EXCLUSIVE`: no second process can open the live
file, there is no shared memory, and the WAL-reset fault of SQLite 3.7.0 - 3.51.2 (which needs two connections) cannot occur.
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
from pathlib import Path

from crawler.errors import StorageError, StorageFull, UsageError

log = logging.getLogger(__name__)

VERSION = 6
READY, DELAYED, LEASED, DEAD, DONE = range(5)
STATES = ("ready", "delayed", "leased", "dead", "done")
ASIDE = 5  # taken off its queue because the rules have changed, and not counted: see `review`
MEMORY = ":memory:"
NEVER = 1e12  # hub time, of a delayed task that no clock makes ready: see table `suspect`
INLINE = 2_000  # bytes of an item at most that stand in its task's row: what changes in a row has all of it written anew
LOCK_WAIT = 1.0  # s to wait for a store that another command reads; a read takes a tenth of this
CHECKED = 1 << 30  # bytes of a store that is looked through after it was not closed: 1.5 s of them, 6 million URLs

TABLES = """
CREATE TABLE head (                 -- one row, with all that changes in each commit: a table of its own would be a page of its own
  version INTEGER NOT NULL,
  store INTEGER NOT NULL,           -- which store this is, drawn at random when it was made
  epoch INTEGER NOT NULL,           -- times this file was opened; the high part of every token
  now REAL NOT NULL,                -- hub time of the last commit
  next_id INTEGER NOT NULL,
  notes INTEGER NOT NULL,           -- version of the last change to a note
  counts TEXT NOT NULL,             -- JSON: by queue [accepted, ready, delayed, leased, dead, done, bytes]
  counters TEXT NOT NULL            -- JSON, by name
);
CREATE TABLE queue (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
  polite INTEGER                    -- as the pipeline had it in the last run: whether tasks are in the lanes of their hosts
);
CREATE TABLE lane (                 -- a host of a polite queue; a plain queue has one lane of name ''
  id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, name TEXT NOT NULL,
  accepted INTEGER NOT NULL DEFAULT 0, ready INTEGER NOT NULL, leased INTEGER NOT NULL, next REAL NOT NULL,
  delay REAL, fixed REAL, paused INTEGER NOT NULL,
  open INTEGER NOT NULL,
  UNIQUE (queue, name)
);
CREATE INDEX lane_open ON lane (queue, next) WHERE open;
CREATE TABLE task (
  id INTEGER PRIMARY KEY,           -- order of arrival
  queue INTEGER NOT NULL, lane INTEGER NOT NULL, priority INTEGER NOT NULL,
  state INTEGER NOT NULL,           -- that of a leased task is READY: see `caller`
  attempt INTEGER NOT NULL DEFAULT 0,       -- those that have ended otherwise than done
  depth INTEGER NOT NULL, due REAL NOT NULL, put_at REAL NOT NULL, changed_at REAL NOT NULL,
  key BLOB,
  parent BLOB,                      -- key of the task that found it; on a queue without keys the id of the keyed task it came from
  report TEXT NOT NULL DEFAULT '', failures TEXT NOT NULL DEFAULT '',
  item BLOB                         -- NULL: it is in `body`
);
CREATE TABLE body (                 -- the items that are larger than `INLINE`, by task
  id INTEGER PRIMARY KEY, item BLOB NOT NULL
);
CREATE TABLE trace (                -- of dead tasks: the traceback of the last attempt in the stage's code
  id INTEGER PRIMARY KEY, text TEXT NOT NULL
);
CREATE VIEW whole AS                -- tasks with their items, wherever these are
  SELECT id, queue, lane, state, priority, attempt, depth, due, put_at, changed_at, key, parent, report, failures,
    ifnull(item, (SELECT body.item FROM body WHERE body.id = task.id)) AS item FROM task;
CREATE TRIGGER task_gone AFTER DELETE ON task WHEN old.item IS NULL BEGIN DELETE FROM body WHERE id = old.id; END;
CREATE INDEX task_ready ON task (lane, priority DESC, id) WHERE state = 0;
CREATE INDEX task_delayed ON task (due) WHERE state = 1;
CREATE INDEX task_dead ON task (state) WHERE state = 3;
CREATE UNIQUE INDEX task_key ON task (queue, key) WHERE key IS NOT NULL;
CREATE TABLE caller (               -- the last call of each worker and producer, to answer a repeated one as before, and its loans
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, is_worker INTEGER NOT NULL,
  call INTEGER, verdicts TEXT NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL,      -- tokens of the leases it was answered with
  ttl REAL NOT NULL, seen REAL NOT NULL,
  lent TEXT NOT NULL,               -- JSON: what it holds, by the first token of a call: ids of tasks, their tokens consecutive,
                                    -- 0 where a task was given back. One that is done is not READY any more
  claim BLOB,                       -- digest of the secret of the process that has this worker's name
  UNIQUE (name, is_worker)
);
CREATE TABLE suspect (              -- tasks that were held when a worker died: they are lent apart from the others
  id INTEGER PRIMARY KEY,           -- of the task
  deaths INTEGER NOT NULL,          -- of workers that held it, in a row
  alone INTEGER NOT NULL            -- whether a worker that has it is to have nothing else
);
CREATE TABLE inbox (                -- children of large steps that are still to be put on their queue: see `inbox`
  id INTEGER PRIMARY KEY, queue INTEGER NOT NULL,
  n INTEGER NOT NULL, tasks BLOB NOT NULL     -- so many, in msgpack
);
CREATE TABLE note (name TEXT PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL);
CREATE INDEX note_version ON note (version);
CREATE TABLE note_total (           -- one row: of all notes, with their names
  n INTEGER NOT NULL, bytes INTEGER NOT NULL
);
CREATE VIEW loan AS                 -- from here on for people, who look into the file
  SELECT CAST(batch.key AS INTEGER) + each.key AS token, each.value AS task, caller.id AS holder
    FROM caller, json_each(lent) AS batch, json_each(batch.value) AS each
    WHERE EXISTS (SELECT 1 FROM task WHERE id = each.value AND state = 0);
CREATE VIEW life AS                 -- tasks in the states that they are told of
  SELECT id, queue, lane, iif(loan.task IS NULL, state, 2) AS state, priority, attempt + (loan.task IS NOT NULL) AS attempt,
    token, holder, depth, due, put_at, changed_at, key, parent, report, failures, item
    FROM whole LEFT JOIN loan ON loan.task = whole.id;
CREATE VIEW tally AS
  SELECT queue.id, name, json_extract(value, '$[0]') AS accepted, json_extract(value, '$[1]') AS ready,
    json_extract(value, '$[2]') AS delayed, json_extract(value, '$[3]') AS leased, json_extract(value, '$[4]') AS dead,
    json_extract(value, '$[5]') AS done, json_extract(value, '$[6]') AS bytes
    FROM queue JOIN (SELECT key, value FROM head, json_each(head.counts)) ON CAST(key AS INTEGER) = queue.id;
"""


def connect(path: str) -> sqlite3.Connection:
    """Open or make the store at `path` (":memory:" for one that dies with the process), exclusively.

    If the file was replaced meanwhile, as by a fresh crawl, the new one is opened.
    Raises UsageError when another hub has it, StorageError when it cannot be read, is not ours, or is damaged.
    """
    before = _identity(path)
    try:
        return _connect(path)
    except StorageError as error:
        now = _identity(path)
        if before in (now, None):
            raise
        replaced = StorageError(f"the store {path} was removed or replaced while it was opened, as a fresh crawl does; try again")
        if now is None:  # to open it would make a new one
            raise replaced from error
    try:
        return _connect(path)
    except StorageError as error:
        if _identity(path) == now:
            raise
        raise replaced from error


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from another one of the same name; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connect(path: str) -> sqlite3.Connection:
    was_closed = path == MEMORY or not _has_content(f"{path}-wal")  # closing moves the log into the database
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=LOCK_WAIT, cached_statements=256)
    except sqlite3.Error as error:
        raise refusal(path, error) from error
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        if path != MEMORY:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint=4000")  # pages: 16 MiB of WAL between checkpoints
        connection.execute("PRAGMA cache_size=-65536")  # KiB: 64 MiB, whatever the frontier grows to
        connection.execute("PRAGMA temp_store=MEMORY")
        _prepare(connection, path)
        connection.execute("PRAGMA busy_timeout=0")  # the lock is ours until the connection is closed
        if not was_closed:
            _look_through(connection, path)
    except StorageError:
        connection.close()
        raise
    except sqlite3.Error as error:
        connection.close()
        raise refusal(path, error) from error
    if path != MEMORY:
        sync_directory(Path(path).parent)
    return connection


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("BEGIN IMMEDIATE")  # takes the exclusive lock, and keeps it until the connection is closed
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if found and not {"head", "task"} <= found:
        raise StorageError(f"{path} is a database of something else; give the hub another --data directory")
    if not found:
        for statement in TABLES.split(";\n"):
            connection.execute(statement)
        connection.execute("INSERT INTO note_total VALUES (0, 0)")
        connection.execute("INSERT INTO head VALUES (?, ?, 0, 0, 1, 0, '{}', '{}')", (VERSION, secrets.randbits(62) + 1))
    (version,) = connection.execute("SELECT version FROM head").fetchone()
    connection.execute("COMMIT")
    if version != VERSION:
        raise StorageError(f"{path} is of store version {version}, this crawler reads {VERSION}; use --fresh or another --data")
    if found and not {"note_total", "inbox"} <= found:
        _complete(connection, has_total="note_total" in found)


def _complete(connection: sqlite3.Connection, *, has_total: bool) -> None:
    """Add what a store of an older version lacks. has_total: its notes are counted."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS inbox (id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, n INTEGER NOT NULL, tasks BLOB NOT NULL)"
    )
    if "claim" not in {name for _, name, *_ in connection.execute("PRAGMA table_info(caller)")}:
        connection.execute("ALTER TABLE caller ADD COLUMN claim BLOB")
    connection.execute("CREATE INDEX IF NOT EXISTS note_version ON note (version)")
    if not has_total:
        connection.execute("CREATE TABLE note_total (n INTEGER NOT NULL, bytes INTEGER NOT NULL)")
        connection.execute("INSERT INTO note_total SELECT count(*), ifnull(sum(length(name) + length(value)), 0) FROM note")
    connection.execute("COMMIT")


def stored_politeness(path: str) -> dict[str, bool]:
    """Return by queue name whether it is polite, for a store that no hub has open. Raises what `connect` raises."""
    db = connect(path)
    try:
        return {name: bool(polite) for name, polite in db.execute("SELECT name, polite FROM queue WHERE polite IS NOT NULL")}
    except sqlite3.Error as error:
        raise refusal(path, error) from error
    finally:
        db.close()


def coming(db: sqlite3.Connection) -> dict[int, int]:
    """Return the number of tasks in the inbox by queue id."""
    found: dict[int, int] = {}
    for queue, n in db.execute("SELECT queue, n FROM inbox"):
        found[queue] = found.get(queue, 0) + n
    return found


def _has_content(path: str) -> bool:
    return os.path.exists(path) and os.path.getsize(path) > 0


def _look_through(connection: sqlite3.Connection, path: str) -> None:
    """Check a file that was not closed: its process was killed, which does no harm, or the machine went down, which should not."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    if pages * size > CHECKED:
        log.info("%s was not closed; it is too large to be looked through at each start", path)
        return
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        what = " ".join(found.split())
        raise StorageError(f"the store {path} is damaged: {what}; look at the disk, then go back to a copy or begin with --fresh")


def refusal(path: str, error: sqlite3.Error | OSError) -> UsageError | StorageError:
    """Return the error to raise for a store that cannot be opened."""
    if "locked" in str(error):
        return UsageError(f"another hub is using {path}; stop it, or give this one another --data directory")
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return StorageFull(f"the disk of {os.path.abspath(path)} is full; free some space and start again")
    return StorageError(f"cannot open the store {path}: {error}; look at the disk, or move the file away to begin anew")


def sync_directory(directory: Path) -> None:
    """Make new names in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
