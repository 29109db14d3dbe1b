"""The network between a worker and the coordinator: a TCP relay on loopback that can be cut, stalled and slowed, without privileges."""
import asyncio
import socket
import struct
import threading


class Network:
    """The thread that all relays run on. Its methods, and those of its relays, are for one other thread."""

    def __init__(self):
        self._relays = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name='network', daemon=True)
        self._thread.start()

    def relay(self, target_port):
        self._relays.append(self._call(Relay._open(target_port)))
        return self._relays[-1]

    def close(self):
        self._call(self._end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end_all(self):
        for relay in self._relays:
            relay._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def do(self, function, *args):
        self._loop.call_soon_threadsafe(function, *args)

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)


class Relay:
    """Listens on `port` and relays to the target. Its state is what the network does now; change it through Network.do."""

    def __init__(self, target_port):
        self.port = 0
        self._target_port = target_port
        self._is_cut = False
        self._delay = 0.0
        self._bytes_left = None  # until a connection breaks in the middle
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers = set()
        self._server = None

    @staticmethod
    async def _open(target_port):
        relay = Relay(target_port)
        relay._server = await asyncio.start_server(relay._serve, '127.0.0.1', 0)
        relay.port = relay._server.sockets[0].getsockname()[1]
        return relay

    def heal(self):
        self._is_cut = False
        self._delay = 0.0
        self._bytes_left = None
        self._flowing.set()

    def cut(self):
        """Breaks every connection and refuses new ones."""
        self._is_cut = True
        self._abort_all()

    def stall(self):
        """Swallows what is sent and says nothing: no reset, no answer, as behind a dead switch."""
        self._flowing.clear()

    def slow(self, seconds):
        """Each piece of data arrives so much later."""
        self._delay = seconds

    def tear(self, after_bytes):
        """Breaks every connection once so many more bytes have passed: in the middle of a message, of a checkpoint."""
        self._bytes_left = after_bytes

    def _abort_all(self):
        for writer in list(self._writers):
            self._reset(writer)

    @staticmethod
    def _reset(writer):
        """Ends a connection by a reset, not by an orderly end."""
        end = writer.get_extra_info('socket')
        if end is not None and end.fileno() >= 0:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        writer.transport.abort()

    async def _serve(self, reader, writer):
        if self._is_cut:
            self._reset(writer)
            return
        self._writers.add(writer)
        other = None
        try:
            await self._flowing.wait()
            other_reader, other = await asyncio.open_connection('127.0.0.1', self._target_port)
            self._writers.add(other)
            await asyncio.gather(self._pump(reader, other), self._pump(other_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # cancelled only by the end of the network
        finally:
            for end in (writer, other):
                if end is not None:
                    self._writers.discard(end)
                    self._reset(end)

    async def _pump(self, reader, writer):
        while data := await reader.read(1 << 16):
            if self._delay:
                await asyncio.sleep(self._delay)
            await self._flowing.wait()
            if self._bytes_left is not None:
                passed = data[:self._bytes_left]
                self._bytes_left -= len(passed)
                writer.write(passed)
                if len(passed) < len(data):
                    self._bytes_left = None
                    await asyncio.sleep(0)
                    self._abort_all()
                    return
            else:
                writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
