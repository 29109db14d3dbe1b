"""The names of the libraries that an ELF file for x86-64 wants, read and shortened."""
import struct

PT_LOAD, PT_DYNAMIC = 1, 2
DT_NULL, DT_NEEDED, DT_STRTAB = 0, 1, 5
HEADER = struct.Struct('<16sHHIQQQIHHHHHH')
SEGMENT = struct.Struct('<IIQQQQQQ')
ENTRY = struct.Struct('<qQ')


class ElfFile:
    """Raises ValueError for a file that is none, or is damaged."""

    def __init__(self, path):
        self.path = path
        with open(path, 'rb') as file:
            header = file.read(HEADER.size)
            if len(header) < HEADER.size or header[:6] != b'\x7fELF\x02\x01':
                raise ValueError(f'{path} is no 64-bit ELF file')
            fields = HEADER.unpack(header)
            if fields[2] != 62:
                raise ValueError(f'{path} is for another machine than x86-64')
            file.seek(fields[5])
            table = file.read(fields[9] * fields[10])
            if fields[9] != SEGMENT.size or len(table) != fields[9] * fields[10]:
                raise ValueError(f'{path} is damaged')
            self._segments = list(SEGMENT.iter_unpack(table))
            dynamic = next((s for s in self._segments if s[0] == PT_DYNAMIC), None)
            self._offset, self._entries = 0, []
            if dynamic is not None:
                self._offset = dynamic[2]
                file.seek(self._offset)
                self._entries = list(ENTRY.iter_unpack(file.read(dynamic[5] // ENTRY.size * ENTRY.size)))
            self._names = self._read_names(file)

    def _read_names(self, file):
        """value of each DT_NEEDED entry -> the name that it stands for."""
        wanted = [value for tag, value in self._entries if tag == DT_NEEDED]
        if not wanted:
            return {}
        table = next((value for tag, value in self._entries if tag == DT_STRTAB), None)
        load = next((s for s in self._segments if s[0] == PT_LOAD and table is not None and s[3] <= table < s[3] + s[5]), None)
        if load is None:
            raise ValueError(f'{self.path} is damaged: it has no table of strings')
        names = {}
        for value in wanted:
            file.seek(load[2] + table - load[3] + value)
            names[value] = file.read(4096).split(b'\0')[0].decode()
        return names

    def needed(self):
        return [self._names[value] for tag, value in self._entries if tag == DT_NEEDED]

    def remove_needed(self, names):
        """The entries that are left close up; as many empty ones follow at the end."""
        kept = [(tag, value) for tag, value in self._entries if tag != DT_NEEDED or self._names[value] not in names]
        kept += [(DT_NULL, 0)] * (len(self._entries) - len(kept))
        with open(self.path, 'r+b') as file:
            file.seek(self._offset)
            file.write(b''.join(ENTRY.pack(*entry) for entry in kept))
        self._entries = kept
