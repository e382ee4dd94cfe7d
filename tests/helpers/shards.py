"""Shards of pictures: tar files in WebDataset's layout, and TFRecord files of tf.train.Example written by hand."""

import io
import struct
import tarfile

from tlapp.engine.inputs.shards.crc32c import masked
from tlapp.words import natural_sort


def tar(path, members, **options):
    """A tar of (name, content) pairs, in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def files(root):
    """(label, path) of each picture in class folders, in the order in which they are listed."""
    for label in natural_sort(each.name for each in root.iterdir()):
        for name in natural_sort(each.name for each in (root / label).iterdir()):
            yield label, root / label / name


def tar_of(root, path, numbered=False):
    """The pictures of class folders as a shard; `numbered`: labels are numbers, and classes.txt names them."""
    labels = natural_sort(each.name for each in root.iterdir())
    members = []
    for label, file in files(root):
        text = str(labels.index(label)) if numbered else label
        members += [(f"{label}/{file.name}", file.read_bytes()), (f"{label}/{file.stem}.cls", text.encode())]
    tar(path, members)
    if numbered:
        (path.parent / "classes.txt").write_text("\n".join(labels) + "\n")
    return path


def records(path, contents):
    """A TFRecord file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = []
    for content in contents:
        length = struct.pack("<Q", len(content))
        parts += [length, struct.pack("<I", masked(length)), content, struct.pack("<I", masked(content))]
    path.write_bytes(b"".join(parts))
    return path


def records_of(root, path):
    """The pictures of class folders as a TFRecord file."""
    return records(
        path, [example({"image/encoded": file.read_bytes(), "image/class/text": label.encode()}) for label, file in files(root)]
    )


def example(features):
    """A tf.train.Example: each value bytes, an int or a float."""
    return _field(1, b"".join(_field(1, _field(1, key.encode()) + _field(2, _feature(value))) for key, value in features.items()))


def _feature(value):
    if isinstance(value, bytes):
        return _field(1, _field(1, value))
    if isinstance(value, float):
        return _field(2, _field(1, struct.pack("<f", value)))
    return _field(3, _field(1, _varint(value & (1 << 64) - 1)))


def _field(number, content):
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number):
    out = []
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])
