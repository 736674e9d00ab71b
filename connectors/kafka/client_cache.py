"""A bounded cache of open clients that closes every client which leaves it."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Client = TypeVar("Client", bound="AbstractContextManager[object]")


@dataclass
class _Entry(Generic[Client]):
    client: Client
    users: int = 0
    is_evicted: bool = False


class ClientCache(Generic[Key, Client]):
    """Keeps the most recently used clients open, at most `capacity` of them.

    A client is a context manager; leaving its context closes it. A client that is evicted while a
    caller still uses it is closed when its last user returns it. Safe to share between threads.
    """

    def __init__(self, capacity: int, open_client: Callable[[Key], Client]) -> None:
        self._capacity = capacity
        self._open_client = open_client
        self._entries: OrderedDict[Key, _Entry[Client]] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def client(self, key: Key) -> Iterator[Client]:
        """Lend the client of a key for the block; open it if the cache does not hold it."""
        entry, evicted_entries = self._borrow(key)
        for evicted_entry in evicted_entries:
            _close(evicted_entry)
        try:
            yield entry.client
        finally:
            self._return(entry)

    def close(self) -> None:
        """Close every client; one that is in use is closed when its last user returns it."""
        with self._lock:
            evicted_entries = self._evict_down_to(0)
        for evicted_entry in evicted_entries:
            _close(evicted_entry)

    def _borrow(self, key: Key) -> tuple[_Entry[Client], list[_Entry[Client]]]:
        """Return the entry of a key, and the unused entries that had to leave the cache for it."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                entry = _Entry(self._open_client(key))
                self._entries[key] = entry
            self._entries.move_to_end(key)
            entry.users += 1
            return entry, self._evict_down_to(self._capacity)

    def _return(self, entry: _Entry[Client]) -> None:
        with self._lock:
            entry.users -= 1
            is_unused = entry.is_evicted and entry.users == 0
        if is_unused:
            _close(entry)

    def _evict_down_to(self, count: int) -> list[_Entry[Client]]:
        """Evict the least recently used entries. Returns those that have no user."""
        unused_entries = []
        while len(self._entries) > count:
            _, entry = self._entries.popitem(last=False)
            entry.is_evicted = True
            if entry.users == 0:
                unused_entries.append(entry)
        return unused_entries


def _close(entry: _Entry[Client]) -> None:
    entry.client.__exit__(None, None, None)
