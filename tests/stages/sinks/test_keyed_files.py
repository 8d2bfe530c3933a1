"""What holds for text files: the index, the repair of what a kill left, the rewrite."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from crawler import StorageError, UsageError
from crawler_stages.sinks import SinkOptions, Written, open_sink
from crawler_stages.sinks.keyed import SCANNED
from tests.stages.outputs import Output, page


@pytest.fixture(params=[".jsonl", ".csv"])
def text(request: pytest.FixtureRequest, tmp_path: Path) -> Output:
    return Output(tmp_path / f"out{request.param}")


def test_a_lost_or_broken_index_is_made_again_from_the_file(text: Output):
    rows = [page(f"http://a/{number}", text="two\nlines") for number in range(30)]
    text.put(rows)
    before = text.path.read_bytes()

    text.lose_index()
    assert text.put(rows) == [Written(0, 0, 30)]

    (index,) = (text.path.parent / "state").glob("out*.index")
    index.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    assert text.put(rows) == [Written(0, 0, 30)]
    assert text.path.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("is_lost", [True, False], ids=["an index that is lost", "a file from elsewhere"])
def test_every_row_of_a_long_file_is_indexed_again(text: Output, is_lost: bool):
    rows = [page(f"http://a/{number}") for number in range(2 * SCANNED + 2)]
    text.put(rows)
    if is_lost:
        text.lose_index()
    else:
        text.path.rename(text.path.with_name("elsewhere"))
        text.path.write_bytes(text.path.with_name("elsewhere").read_bytes())
    before = text.path.read_bytes()

    assert text.put(rows[SCANNED - 1 : SCANNED + 1], rows) == [Written(0, 0, 2), Written(0, 0, len(rows))]
    assert text.path.read_bytes() == before


def test_rows_in_the_file_that_the_index_has_not_heard_of_are_found(text: Output):
    text.put([page("http://a/")])
    whole = Output(text.path.with_name("whole" + text.path.suffix))
    whole.put([page("http://a/"), page("http://b/")])
    text.path.write_bytes(whole.path.read_bytes())  # same inode: as killed between the file and the index

    assert text.put([page("http://b/"), page("http://c/")]) == [Written(1, 0, 1)]

    assert [row["url"] for row in text.rows()] == ["http://a/", "http://b/", "http://c/"]


@pytest.mark.slow
def test_a_half_written_last_row_is_cut_at_every_byte(text: Output, caplog: pytest.LogCaptureFixture):
    text.put([page("http://a/")])
    whole = text.path.read_bytes()
    text.put([page("http://b/", sha256='ü"\n,"x')])
    half = text.path.read_bytes()[len(whole) :]

    for n in range(1, len(half)):
        caplog.clear()
        text.path.write_bytes(whole)
        text.put([])  # the index knows the first row
        with text.path.open("ab") as file:
            file.write(half[:n])

        assert text.put([]) == [Written()]

        is_whole = text.path.suffix == ".jsonl" and n == len(half) - 1  # all but its line end
        assert text.path.read_bytes() == (whole + half if is_whole else whole)
        assert is_whole or f"cut off a half-written row at its end, {n} bytes" in caplog.text


def test_a_hole_that_a_power_cut_left_is_cut_with_what_follows(text: Output):
    whole = Output(text.path.with_name("whole" + text.path.suffix))
    whole.put([page(f"http://{name}/") for name in "abcd"])
    sink = open_sink(SinkOptions(output=str(text.path), **text.options))
    sink.write([page("http://a/")])
    os.close(sink._fd)  # killed: neither the file nor the index is closed in order
    sink._index.close()
    text.path.write_bytes(whole.path.read_bytes().replace(b"http://c/", bytes(9)))

    assert text.put([page(f"http://{name}/") for name in "bcd"]) == [Written(2, 0, 1)]

    assert text.rows() == whole.rows()


def test_zeros_that_somebody_else_has_added_are_not_cut(text: Output):
    text.put([page("http://a/")])
    with text.path.open("ab") as file:
        file.write(b"mine\0mine\nmine\n")
    before = text.path.read_bytes()

    with suppress(UsageError):  # of JSON Lines: that is no row
        text.put([])

    assert text.path.read_bytes() == before


def test_a_file_cut_short_from_outside_loses_what_was_cut_and_no_more(text: Output):
    text.put([page("http://a/"), page("http://b/"), page("http://c/")])
    os.truncate(text.path, text.path.stat().st_size - 5)

    assert text.put([page("http://b/"), page("http://c/")]) == [Written(1, 0, 1)]

    assert [row["url"] for row in text.rows()] == ["http://a/", "http://b/", "http://c/"]


def test_a_file_emptied_from_outside_begins_anew(text: Output):
    text.put([page("http://a/")])
    os.truncate(text.path, 0)

    assert text.put([page("http://a/")]) == [Written(1)]
    assert text.rows() == [page("http://a/")]


def test_another_file_under_the_same_name_is_read_anew(text: Output):
    text.put([page("http://a/"), page("http://b/")])
    content = text.path.read_bytes()
    text.path.unlink()
    text.path.write_bytes(content.replace(b"http://b/", b"http://c/"))

    assert text.put([page("http://b/"), page("http://c/")]) == [Written(1, 0, 1)]


def test_two_stores_on_one_file_are_one_too_many(text: Output):
    sink = open_sink(SinkOptions(output=str(text.path), **text.options))
    with pytest.raises(UsageError, match=f"another store is writing to {text.path}"):
        text.put()
    sink.close()
    text.put([page("http://a/")])


def test_a_file_changed_while_it_is_written_is_left_alone(text: Output):
    sink = open_sink(SinkOptions(output=str(text.path), **text.options))
    sink.write([page("http://a/")])
    with text.path.open("ab") as file:
        file.write(b"mine\n")

    with pytest.raises(StorageError, match="another program has changed"):
        sink.write([page("http://b/")])

    assert text.path.read_bytes().endswith(b"mine\n")
    sink.close()


def test_a_file_removed_while_it_is_written_is_noticed(text: Output):
    sink = open_sink(SinkOptions(output=str(text.path), **text.options))
    sink.write([page("http://a/")])
    text.path.unlink()

    with pytest.raises(StorageError, match=r"was removed, or moved away, while rows were written to it"):
        sink.write([page("http://b/")])
    sink.close()


def test_after_a_full_disk_the_next_write_goes_on_behind_the_last_acknowledged_row(
    text: Output, file_size_limit: Callable[[int], None]
):
    sink = open_sink(SinkOptions(output=str(text.path), **text.options))
    sink.write([page("http://a/")])

    file_size_limit(text.path.stat().st_size + 100)
    with pytest.raises(StorageError, match=r"the rows in it are safe.*see to the disk"):
        sink.write([page("http://b/", text="x" * 500)])
    file_size_limit(-1)

    assert sink.write([page("http://c/")]) == Written(1)
    sink.close()
    assert [row["url"] for row in text.rows()] == ["http://a/", "http://c/"]


def test_replaced_rows_are_left_out_at_the_next_start_when_the_store_was_killed(text: Output):
    sink = open_sink(SinkOptions(output=str(text.path), **text.options))
    sink.write([page("http://a/", title="old"), page("http://b/", title="b")])
    sink.write([page("http://a/", title="new")])
    killed = text.path.read_bytes()
    state = {file: file.read_bytes() for file in (text.path.parent / "state").iterdir()}
    sink.close()
    text.path.write_bytes(killed)
    for file in (text.path.parent / "state").iterdir():
        file.unlink()
    for file, content in state.items():
        file.write_bytes(content)
    assert len(text.rows()) == 3

    text.put([])

    assert [(row["url"], row["title"]) for row in text.rows()] == [("http://b/", "b"), ("http://a/", "new")]
    assert text.put([page("http://a/", title="new"), page("http://b/", title="b")]) == [Written(0, 0, 2)]


def test_a_rewrite_keeps_mode_and_link_and_the_lock(text: Output):
    text.put([page("http://a/", title="old"), page("http://b/", title="b")])
    text.path.chmod(0o640)
    link = Output(text.path.with_name("link" + text.path.suffix), **text.options)
    link.path.symlink_to(text.path)

    sink = open_sink(SinkOptions(output=str(link.path), **link.options))
    sink.write([page("http://a/", title="new")])
    sink.close()

    assert link.path.is_symlink()
    assert text.path.stat().st_mode & 0o777 == 0o640
    assert len(text.rows()) == 2
    with text.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # given back
    assert not list(text.path.parent.glob(".*.compact"))


def test_a_rewrite_that_has_no_room_leaves_the_file_as_it_is(
    text: Output, file_size_limit: Callable[[int], None], caplog: pytest.LogCaptureFixture
):
    text.put([page("http://a/", title="old"), page("http://b/", title="b" * 200_000)], sync="close")
    sink = open_sink(SinkOptions(output=str(text.path), **text.options))
    sink.write([page("http://a/", title="new")])

    file_size_limit(100_000)
    sink.close()
    file_size_limit(-1)

    assert "keeps 1 replaced rows" in caplog.text
    assert len(text.rows()) == 3
    text.put([])
    assert len(text.rows()) == 2


def test_without_a_state_directory_the_index_is_beside_the_output(text: Output):
    text.put([page("http://a/")], state="")
    assert (text.path.parent / f".{text.path.name}.index").exists()
