"""SQLite's write-ahead log as a file: where its valid frames end (https://www.sqlite.org/fileformat2.html#the_write_ahead_log)."""
import struct

HEADER = 32
FRAME_HEADER = 24


def _checksum(data, big_endian, s0=0, s1=0):
    words = struct.unpack(('>' if big_endian else '<') + f'{len(data) // 4}I', data)
    for i in range(0, len(words), 2):
        s0 = (s0 + words[i] + s1) & 0xffffffff
        s1 = (s1 + words[i + 1] + s0) & 0xffffffff
    return s0, s1


class Wal:
    """`commits`: offsets in the file behind each committed transaction, from first to last; empty when nothing is valid."""

    def __init__(self, path):
        with open(path, 'rb') as file:
            self._bytes = file.read()
        self.commits = []
        self.page_size = 0
        if len(self._bytes) < HEADER:
            return
        magic, _, self.page_size, _, salt0, salt1, c0, c1 = struct.unpack('>8I', self._bytes[:HEADER])
        big = magic & 1
        sums = _checksum(self._bytes[:24], big)
        if magic & ~1 != 0x377f0682 or sums != (c0, c1):
            return
        size = FRAME_HEADER + self.page_size
        for offset in range(HEADER, len(self._bytes) - size + 1, size):
            frame = self._bytes[offset:offset + size]
            _, pages, f0, f1, g0, g1 = struct.unpack('>6I', frame[:FRAME_HEADER])
            sums = _checksum(frame[:8], big, *sums)
            sums = _checksum(frame[FRAME_HEADER:], big, *sums)
            if (f0, f1) != (salt0, salt1) or (g0, g1) != sums:
                return
            if pages:
                self.commits.append(offset + size)

    @property
    def end(self):
        """Behind the last committed transaction."""
        return self.commits[-1] if self.commits else min(HEADER, len(self._bytes))

    def tear(self, path, rng):
        """Leaves behind the last commit what a crash in the middle of the next transaction leaves: a part of a frame, or one whose pages
        did not all arrive. Returns what it did."""
        size = FRAME_HEADER + (self.page_size or 4096)
        last = self._bytes[max(HEADER, self.end - size):self.end]
        tail = bytearray(last if len(last) == size else rng.randbytes(size))
        kind = rng.choice(['a part of a frame', 'a frame with wrong bytes', 'noise'])
        if kind == 'a part of a frame':
            tail = tail[:rng.randrange(1, size)]
        elif kind == 'a frame with wrong bytes':
            tail[rng.randrange(FRAME_HEADER, size)] ^= 1 << rng.randrange(8)
        else:
            tail = rng.randbytes(rng.randrange(1, 3 * size))
        with open(path, 'r+b') as file:
            file.seek(self.end)
            file.write(tail)
        return f'{kind}, {len(tail)} bytes behind {len(self.commits)} commits'

    def cut(self, path, commits):
        """Takes the newest transactions away, as a disk does that said "stored" too early. Returns what it did."""
        with open(path, 'r+b') as file:
            file.truncate(self.commits[-1 - commits])
        return f'{commits} of {len(self.commits)} commits are gone from its end'

    def flip(self, path, rng, commits):
        """Changes a bit in the transaction before the newest `commits`. Returns what it did."""
        begin, end = self.commits[-2 - commits], self.commits[-1 - commits]
        offset = rng.randrange(begin, end)
        with open(path, 'r+b') as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1 << rng.randrange(8)]))
        return f'a bit is flipped at byte {offset}, before the newest {commits} of {len(self.commits)} commits'


def is_checkpointed(shm_path):
    """Whether SQLite has begun to copy the log into the database: then a log that lost its end no longer fits the database, and no test can
    expect anything of the two together. (https://www.sqlite.org/walformat.html#the_wal_index_file_format)"""
    with open(shm_path, 'rb') as file:
        index = file.read(136)
    copied, attempted = struct.unpack_from('=I', index, 96)[0], struct.unpack_from('=I', index, 128)[0]
    return copied != 0 or attempted != 0
