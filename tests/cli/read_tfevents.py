#!/usr/bin/env python3
"""Reads TensorBoard's event files with nothing but the format's description: framing, checksums and protobuf by hand.

    read_tfevents.py FILE...      one JSON object a line: {"file", "wall_time", "step", "tag", "value"}, and
                                  {"file", "version"} for the first record; {"file", "bad"} where a file is damaged
"""
import json
import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(content):
    at = 0
    while at < len(content):
        length_bytes = content[at:at + 8]
        if len(content) < at + 12 or struct.unpack('<I', content[at + 8:at + 12])[0] != masked(length_bytes):
            raise ValueError(f'bad length at byte {at}')
        length = struct.unpack('<Q', length_bytes)[0]
        data = content[at + 12:at + 12 + length]
        end = content[at + 12 + length:at + 16 + length]
        if len(data) != length or len(end) != 4 or struct.unpack('<I', end)[0] != masked(data):
            raise ValueError(f'bad data at byte {at}')
        yield data
        at += 16 + length


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            value, at = struct.unpack('<d', data[at:at + 8])[0], at + 8
        elif kind == 5:
            value, at = struct.unpack('<f', data[at:at + 4])[0], at + 4
        elif kind == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            raise ValueError(f'wire type {kind}')
        yield key >> 3, value


def rows(content):
    for index, record in enumerate(records(content)):
        event = dict(fields(record))  # 1 wall_time, 2 step (absent: 0), 3 file_version, 5 summary
        if (index == 0) != (3 in event):
            raise ValueError(f'record {index}: a file has its version first, and once')
        if index == 0:
            yield {'version': event[3].decode()}
            continue
        for number, value in fields(event[5]):
            if number == 1:
                point = dict(fields(value))  # 1 tag, 2 simple_value
                yield {'wall_time': event[1], 'step': event.get(2, 0), 'tag': point[1].decode(), 'value': point.get(2, 0.0)}


def main():
    for path in sys.argv[1:]:
        with open(path, 'rb') as file:
            content = file.read()
        try:
            read = list(rows(content))
        except (ValueError, IndexError, KeyError, struct.error) as error:
            read = [{'bad': str(error)}]
        for row in read:
            print(json.dumps({'file': path, **row}))


if __name__ == '__main__':
    main()
