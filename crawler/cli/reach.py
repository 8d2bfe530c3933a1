"""Find the broker that a command talks to: the hub or, while none runs, the store in the data directory itself.

--hub, or hub.address of another machine ──▶ only that hub
otherwise ──▶ the hub of the data directory ──none answers──▶ <data>/hub.sqlite3 ──is in use──▶ a hub that starts or hangs
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.broker.sqlite.place import store_path
from crawler.cli import common
from crawler.cli.printing import tell
from crawler.errors import ConfigError, HubLost, HubUnreachable, NoCrawl, UsageError

if TYPE_CHECKING:
    from crawler.broker.contract import Broker
    from crawler.config.load import Config
    from crawler.hub.client import HubClient


@contextmanager
def reach(
    args: argparse.Namespace, config: Config, worker: str = "", role: str = "admin", *, is_quiet: bool = False
) -> Iterator[Broker]:
    """Yield the broker that these arguments mean, and close it at the end. Says on stderr if it is the store itself.

    worker, role: as for `common.connect`. is_quiet: do not say it again. Raises what `common.connect` and
    `local_store.open_store` raise.
    """
    broker = find(args, config, worker, role, is_quiet=is_quiet)
    try:
        yield broker
    finally:
        broker.close()


def find(args: argparse.Namespace, config: Config, worker: str, role: str, *, is_quiet: bool = False) -> Broker:
    """Return a client of the hub if it answers, otherwise the store."""
    from crawler.run import local_store  # here and below, because they would slow down `crawler --help`

    if not means_data(config):
        return common.connect(config, worker, common.PATIENCE, role)
    data = Path(config.settings.data)
    has_store = local_store.has_store(data)
    address = common.hub_address(config)
    try:
        return answering(config, worker, role, patience=0.0)
    except HubUnreachable as error:
        if not has_store:
            raise NoCrawl(address, nothing_here(data, common.hints(args, config))) from error
    except HubLost as error:
        raise HubUnreachable(address, "something listens there but does not answer like a hub; perhaps a hub hangs") from error
    try:
        broker = open_store(remembering(args, config))
    except UsageError:  # in use: perhaps by a hub that is starting and answers soon
        try:
            return answering(config, worker, role, patience=common.PATIENCE)
        except HubUnreachable as error:
            raise HubUnreachable(
                address, f"but a process uses {store_path(data)}: a hub that hangs, or another command; wait for it, or stop it"
            ) from error
    if not is_quiet:
        tell(f"crawler: no hub runs; this is from {store_path(data)}")
    return broker


def answering(config: Config, worker: str, role: str, *, patience: float) -> HubClient:
    """Return a client whose hub has answered once. Raises HubUnreachable, HubLost, KeyRefused, TlsRefused."""
    client = common.connect(config, worker, patience, role)
    try:
        client.drained([])
    except BaseException:
        client.close()
        raise
    client.patience = common.PATIENCE
    return client


def means_data(config: Config) -> bool:
    """Tell whether the arguments mean the data directory: hub.address is unset, or is where the directory's hub last listened."""
    address = config.settings.hub.address
    if not address:
        return True
    return config.origin("hub.address") != "-s" and address == common.written_address(config)


def remembering(args: argparse.Namespace, config: Config) -> Config:
    """Return the configuration with the settings that were typed for the crawl in the data directory, where nothing sets them now.

    Raises what `decide.look` raises.
    """
    from crawler.run.resume import decide, differences

    was = decide.look(Path(config.settings.data)).definition
    values = {} if was is None else differences.remembered(was, config.origin, os.getcwd())
    try:
        return common.load(args, values) if values else config
    except ConfigError:  # crawler.toml is another one now; a question about the crawl does not depend on it
        args.remembered = []
        return config


def open_store(config: Config) -> Broker:
    """Open the store in the data directory. Raises what `local_store.open_store` raises."""
    from crawler.pipeline.build import build
    from crawler.run import local_store
    from crawler.run.making import politeness

    settings = config.settings
    return local_store.open_store(Path(settings.data), build(config).queues.values(), politeness(settings), settings.hub.durability)


def nothing_here(data: Path, hint: common.Hint) -> str:
    """Return the end of the error message if there is neither a hub nor a store: what to do."""
    if not data.exists():
        return f"there is no data directory {data}; name the crawl's with --data DIR, or start one with '{hint('run URL')}'"
    return f"{data} has no store; name another directory with --data DIR, or start a crawl with '{hint('run URL')}'"
