"""All transfers of a process in one thread: libcurl's multi interface, told by poll() which sockets are ready.

    start(curl, transfer) ──▶ waiting ──▶ CurlMulti ◀──ready sockets, timers──▶ poll
    abandon(curl) ──────────╯                └──▶ transfer.finish(failure) ──▶ work, if no thread waits for it: done here

While a piece of work takes long, a second thread drives the transfers: see `relief`.
`CurlMulti.perform` with `select` would be shorter: it looks at every transfer each time, and at no socket beyond the 1,024th.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from select import POLLIN, POLLOUT, poll
from typing import Final

import pycurl

from crawler_stages.clients.contract import ConnectFailed, PutOff, TimedOut, Work
from crawler_stages.clients.curl.relief import Relief
from crawler_stages.clients.curl.transfer import Transfer
from crawler_stages.clients.sockets import Attempt

log = logging.getLogger(__name__)

SWEEP: Final = 1.0  # s between looks at the limits of transfers that say nothing
SLICE: Final = 0.005  # s of work between looks at the sockets: each look costs as much as a tenth of a small page
_CLOSED: Final = "the loop of transfers has ended"
_STOPPING: Final = 5.0  # s that `close` waits for the loop, which never does anything that long

_WATCHED: Final = {pycurl.POLL_IN: POLLIN, pycurl.POLL_OUT: POLLOUT, pycurl.POLL_INOUT: POLLIN | POLLOUT}
_READY: Final = {POLLIN: pycurl.CSELECT_IN, POLLOUT: pycurl.CSELECT_OUT}  # if not, both: libcurl finds the error by itself
_BOTH: Final = pycurl.CSELECT_IN | pycurl.CSELECT_OUT

Failed = Callable[[pycurl.Curl, Transfer, int, str], Exception]  # of libcurl's code and message


class Loop:
    """Runs from construction to `close`. The other methods are thread-safe."""

    def __init__(self, connections: int, failed: Failed) -> None:
        """connections: kept open while unused. failed: turns libcurl's error into ours."""
        self._failed = failed
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._poll = poll()  # not epoll: sockets come and go twice a page, and are a few hundred at most
        self._due: float | None = None  # when libcurl wants to be called, s, monotonic
        self._swept = time.monotonic()
        self._running: dict[pycurl.Curl, Transfer] = {}
        self._waiting: deque[tuple[pycurl.Curl, Transfer | None]] = deque()  # None: it is abandoned
        self._work: deque[Work] = deque()  # of transfers that are over
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)  # for the thread that works, while another drives: work, or the end
        self.has_failed = False  # it ended by itself: a new one is needed
        self._is_closed = False
        self._is_asleep = False  # or about to be: it must be woken for new handles
        self._bell, self._rope = socket.socketpair()
        self._bell.setblocking(False)
        self._bell_number = self._bell.fileno()
        self._poll.register(self._bell, POLLIN)
        self._relief = Relief(self._turn, self._interrupt, self._fail)
        self._thread = threading.Thread(target=self._run, name="transfers", daemon=True)
        self._thread.start()

    def start(self, curl: pycurl.Curl, transfer: Transfer) -> None:
        """Raises ConnectFailed: it is closed."""
        if not self._hand_in(curl, transfer):
            raise ConnectFailed(_CLOSED)

    def abandon(self, curl: pycurl.Curl) -> None:
        """Close the connection of a transfer and ignore the rest of it. Does nothing if the transfer is over."""
        self._hand_in(curl, None)

    def attempts(self) -> list[Attempt]:
        """Return what runs now. Read without the loop's leave: one may have ended since."""
        return [transfer.attempt for transfer in list(self._running.values())]

    def close(self) -> None:
        """End all transfers, close all connections. Twice is fine."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._wake()
                self._news.notify()
        self._relief.close()
        self._thread.join(_STOPPING)

    def _hand_in(self, curl: pycurl.Curl, transfer: Transfer | None) -> bool:
        """Give a handle to the loop's thread. Returns False if the loop is closed."""
        with self._lock:
            if not self._is_closed:
                self._waiting.append((curl, transfer))
                self._wake()
            return not self._is_closed

    def _wake(self) -> None:
        if self._is_asleep:
            self._is_asleep = False
            self._rope.send(b"\0")

    def _interrupt(self) -> None:
        with self._lock:
            self._wake()

    def _run(self) -> None:
        self._relief.begin()
        try:
            while not self._is_closed:
                if not self._relief.is_first:
                    self._work_on()
                    continue
                self._turn()
                if self._work:
                    self._relief.work(self._work_off)
        except Exception:  # noqa: BLE001  it is logged, and ends the loop
            self._fail()
        finally:
            self._relief.close()
            self._relief.end()
            self._end()

    def _fail(self) -> None:
        """Note that the loop has failed. Called in an `except`."""
        self.has_failed = True
        log.exception("the loop of transfers failed; the fetches it was at are tried again, in a new one")
        with self._lock:
            self._is_closed = True
            self._news.notify()

    def _turn(self) -> None:
        now = time.monotonic()
        for number, events in self._poll.poll(self._patience(now)):
            if number == self._bell_number:
                self._bell.recv(64)
            else:
                self._multi.socket_action(number, _READY.get(events, _BOTH))
        self._take()
        if self._due is not None and time.monotonic() >= self._due:
            self._due = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._reap()
        if now >= self._swept + SWEEP:
            self._swept = now
            self._sweep()

    def _work_off(self) -> None:
        """Do some of the work; the rest is done later, so that transfers do not wait for all of it."""
        until = time.monotonic() + SLICE
        while self._work:
            self._work.popleft()()
            if time.monotonic() >= until:
                break

    def _work_on(self) -> None:
        """Wait for work and do it, while another thread drives."""
        with self._lock:
            self._news.wait_for(lambda: self._work or self._is_closed)
        if not self._work:
            return
        began = time.monotonic()
        self._work.popleft()()
        self._relief.took(time.monotonic() - began)

    def _patience(self, now: float) -> float:
        """Return the ms in which there can be no work unless a socket is ready."""
        latest = self._swept + SWEEP if self._running else now + SWEEP
        with self._lock:
            self._is_asleep = not (self._waiting or (self._work and not self._relief.is_second))
        return max(0.0, min(latest, self._due or latest) - now) * 1000 if self._is_asleep else 0.0

    def _take(self) -> None:
        with self._lock:
            self._is_asleep = False
            waiting, self._waiting = self._waiting, deque()
        for curl, transfer in waiting:
            if transfer is not None:
                self._running[curl] = transfer
                self._multi.add_handle(curl)
            elif curl in self._running:
                self._finish(curl, None)

    def _reap(self) -> None:
        rest = 1
        while rest:
            rest, done, failed = self._multi.info_read()
            for curl in done:
                self._finish(curl, None)
            for curl, code, text in failed:
                self._finish(curl, self._failed(curl, self._running[curl], code, text))

    def _sweep(self) -> None:
        for curl, transfer in list(self._running.items()):
            try:
                transfer.attempt.remaining()
            except (TimedOut, PutOff) as late:
                self._finish(curl, late)

    def _finish(self, curl: pycurl.Curl, failure: Exception | None) -> None:
        transfer = self._running.pop(curl)
        self._multi.remove_handle(curl)
        self._end_of(transfer, failure)

    def _end_of(self, transfer: Transfer, failure: Exception | None) -> None:
        work = transfer.finish(failure)
        if work is not None:
            self._work.append(work)
            if not self._relief.is_first:
                with self._lock:
                    self._news.notify()

    def _end(self) -> None:
        with self._lock:
            self._is_closed = True
            waiting = [*self._running.items(), *self._waiting]
        for curl in list(self._running):
            self._multi.remove_handle(curl)
        for _, transfer in waiting:
            if transfer is not None:
                self._end_of(transfer, ConnectFailed(_CLOSED))
        while self._work:
            self._work.popleft()()
        self._multi.close()
        self._bell.close()
        self._rope.close()

    def _on_socket(self, wanted: int, number: int, _multi: object, _data: object) -> None:
        if wanted == pycurl.POLL_REMOVE:
            self._poll.unregister(number)
        else:
            self._poll.register(number, _WATCHED[wanted])  # anew, or in place of what it was watched for

    def _on_timer(self, milliseconds: int) -> None:
        self._due = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000
