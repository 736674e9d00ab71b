"""A bad network between one worker and Cassandra: answers get lost, connections are cut, and
written requests arrive much later.

It understands just enough of the native protocol to tell writes (BATCH) from other requests, and
answers by their stream. Up to version 4, a frame is 9 bytes, of which the third and fourth are the
stream, the fifth the opcode, and the last four the length of the body after it.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import NamedTuple

LOOPBACK = "127.0.0.1"
RESULT = 0x08
BATCH = 0x0D
HEADER_BYTES = 9
LATEST_VERSION = 4
SECONDS_FOR_LAST_ANSWERS = 10


class Frame(NamedTuple):
    """A request or an answer."""

    raw: bytes
    opcode: int
    stream: int


class Proxy:
    """Listens on a port of its own. What it does wrong is set here, from any thread; what went
    wrong is counted here.
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = host, port
        self.port = 0
        # so many answers to writes get lost; at so many, the connection breaks
        self.lose = 0
        self.cut = 0
        self.slow_seconds = 0.0  # each answer is late by this
        self.refusing = False  # connections are cut as soon as they are made
        self.lost = self.cuts = self.slowed = self.refused = self.held = self.late = 0
        self.holding = False  # writes wait here
        self._loop = asyncio.new_event_loop()
        self._connections: set[Connection] = set()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()
        assert self._listening.wait(10), "the proxy does not listen"

    def release_writes(self) -> None:
        """Those that wait go on to Cassandra, even if who wrote them is dead."""
        self.holding = False
        for connection in list(self._connections):
            self._loop.call_soon_threadsafe(connection.release)

    def cut_all(self) -> None:
        """Breaks every connection."""
        for connection in list(self._connections):
            self._loop.call_soon_threadsafe(connection.abort)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, LOOPBACK, 0)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.1))
        self._loop.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        connection = Connection(self, reader, writer)
        self._connections.add(connection)
        try:
            if self.refusing:
                self.refused += 1
            else:
                await connection.serve()
        except asyncio.CancelledError:
            pass
        finally:
            connection.abort()
            self._connections.discard(connection)


class Connection:
    """One connection of the worker, and ours to Cassandra for it."""

    def __init__(
        self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._server: asyncio.StreamWriter | None = None
        self._doomed: set[int] = set()
        self._fatal: set[int] = set()
        self._late: set[int] = set()
        self._held: list[Frame] = []

    async def serve(self) -> None:
        """Until both sides have ended."""
        with contextlib.suppress(OSError):
            from_server, self._server = await asyncio.open_connection(*self._proxy.target)
            answers = asyncio.create_task(self._answers(from_server))
            await self._requests(self._server)
            with contextlib.suppress(
                TimeoutError
            ):  # held writes of a dead worker still get their answers
                async with asyncio.timeout(SECONDS_FOR_LAST_ANSWERS):
                    while self._late and not answers.done():
                        await asyncio.sleep(0.01)
            answers.cancel()

    def release(self) -> None:
        """Sends the writes that were held."""
        for frame in self._held:
            assert self._server is not None
            self._late.add(frame.stream)
            self._server.write(frame.raw)
        self._held.clear()

    def abort(self) -> None:
        """Breaks both sides."""
        for side in (self._writer, self._server):
            if side is not None:
                side.transport.abort()

    async def _requests(self, server: asyncio.StreamWriter) -> None:
        """From the worker to Cassandra, until the worker is gone and no request of its is held."""
        with contextlib.suppress(OSError):
            async for frame in frames(self._reader):
                if frame.opcode != BATCH or not self._misfortune(frame):
                    server.write(frame.raw)
                    await server.drain()
        while self._held:
            await asyncio.sleep(0.01)

    def _misfortune(self, write: Frame) -> bool:
        """What happens to a write; whether it is held. Whatever comes after it may overtake it."""
        proxy = self._proxy
        if proxy.holding:
            proxy.held += 1
            self._held.append(write)
        elif proxy.lose:
            proxy.lose -= 1
            self._doomed.add(write.stream)
        elif proxy.cut:
            proxy.cut -= 1
            self._fatal.add(write.stream)
        return proxy.holding

    async def _answers(self, from_server: asyncio.StreamReader) -> None:
        """From Cassandra to the worker."""
        proxy = self._proxy
        with contextlib.suppress(OSError):
            async for frame in frames(from_server):
                proxy.late += frame.stream in self._late and frame.opcode == RESULT
                self._late.discard(frame.stream)
                if frame.stream in self._doomed:
                    self._doomed.discard(frame.stream)
                    proxy.lost += 1
                    continue
                if frame.stream in self._fatal:
                    proxy.cuts += 1
                    break
                if proxy.slow_seconds:
                    proxy.slowed += 1
                    await asyncio.sleep(proxy.slow_seconds)
                if not self._writer.is_closing():  # else who asked is dead
                    self._writer.write(frame.raw)
                    with contextlib.suppress(OSError):
                        await self._writer.drain()
        if not self._late:
            self.abort()


async def frames(reader: asyncio.StreamReader) -> AsyncIterator[Frame]:
    """What arrives, until the other side ends."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            header = await reader.readexactly(HEADER_BYTES)
            assert header[0] & 0x7F <= LATEST_VERSION, (
                f"version {header[0] & 0x7F} of the protocol has other frames"
            )
            yield Frame(
                header + await reader.readexactly(int.from_bytes(header[5:])),
                header[4],
                int.from_bytes(header[2:4]),
            )
