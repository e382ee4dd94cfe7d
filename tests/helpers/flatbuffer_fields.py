"""FlatBuffers without a schema: fields by their numbers."""

import struct


class Fields:
    """A FlatBuffers table, read by its offsets alone."""

    def __init__(self, data, at):
        self.data, self.at = data, at

    @classmethod
    def root(cls, data):
        return cls(data, struct.unpack_from("<I", data)[0])

    def place(self, field):
        table = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        size = struct.unpack_from("<H", self.data, table)[0]
        offset = struct.unpack_from("<H", self.data, table + 4 + 2 * field)[0] if 4 + 2 * field < size else 0
        return self.at + offset if offset else None

    def follow(self, field):
        place = self.place(field)
        return place + struct.unpack_from("<I", self.data, place)[0]

    def byte(self, field):
        return self.data[self.place(field)]

    def number(self, field):
        return struct.unpack_from("<I", self.data, self.place(field))[0]

    def table(self, field):
        return Fields(self.data, self.follow(field))

    def bytes(self, field):
        start = self.follow(field)
        return self.data[start + 4 : start + 4 + struct.unpack_from("<I", self.data, start)[0]]

    def text(self, field):
        return self.bytes(field).decode()

    def floats(self, field):
        start = self.follow(field)
        return struct.unpack_from(f"<{struct.unpack_from('<I', self.data, start)[0]}f", self.data, start + 4)

    def tables(self, field):
        start = self.follow(field)
        places = range(start + 4, start + 4 + 4 * struct.unpack_from("<I", self.data, start)[0], 4)
        return [Fields(self.data, at + struct.unpack_from("<I", self.data, at)[0]) for at in places]


def metadata_of(content):
    """The ModelMetadata in a TFLite file."""
    model = Fields.root(content)
    entry = next(each for each in model.tables(6) if each.text(0) == "TFLITE_METADATA")
    inside = model.tables(4)[entry.number(1)].bytes(0)
    assert inside[4:8] == b"M001"
    return Fields.root(inside)
