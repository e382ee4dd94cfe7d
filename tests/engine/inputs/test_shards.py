"""Members of tars and records of TFRecord files are found where they lie; what is broken is named, with its place."""

import contextlib
import io
import tarfile
from collections import Counter

import numpy as np
import pytest
from helpers.image_sets import pictures
from helpers.shards import example, records, tar

from tlapp.contracts import BadExample
from tlapp.engine.inputs import images
from tlapp.engine.inputs.shards import places, tfrecord
from tlapp.engine.inputs.shards.crc32c import crc32c
from tlapp.engine.inputs.shards.files import is_shard, shards
from tlapp.engine.inputs.shards.member import Damaged
from tlapp.engine.inputs.shards.samples import Sample, samples

WRITTEN = (
    "59000000000000008a1d65b60a570a1b0a10696d6167652f636c6173732f7465787412070a050a036361740a1a0a11696d6167652f636c61"
    "73732f6c6162656c12051a030a01070a1c0a0d696d6167652f656e636f646564120b0a090a0770696374757265359e10c245000000000000"
    "00ebe668b00a430a230a11696d6167652f636c6173732f6c6162656c120e1a0c0a0affffffffffffffffff010a1c0a0d696d6167652f656e"
    "636f646564120b0a090a077069637475726573c8c054"
)
"""What TensorFlow 2.21 writes: TFRecordWriter, two records of `image/encoded`, b"picture", `image/class/text` and
`image/class/label`, 7 and -1."""


def listed(path):
    unread = Counter()
    return list(samples(str(path), unread)), unread


def fault(path):
    with pytest.raises(Damaged) as told:
        listed(path)
    return str(told.value)


def bits(content):
    state = 0xFFFFFFFF
    for byte in content:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def test_the_checksum_is_that_of_rfc_3720():
    assert crc32c(b"123456789") == 0xE3069283 and crc32c(bytes(32)) == 0x8A9136AA


@pytest.mark.parametrize("size", [0, 1, 2047, 2048, 2049, 4096, 9000])
def test_the_checksum_of_long_contents_is_the_same(size):
    content = np.random.default_rng(size).bytes(size)
    assert crc32c(content) == bits(content)


def test_names_of_shards():
    assert all(
        map(
            is_shard,
            ["a.tar", "A.TAR", "a.tfrecord", "a.tfrecords", "mnist-train.tfrecord-00000-of-00001", "train-00000-of-01024"],
        )
    )
    assert not any(map(is_shard, ["a.tar.gz", "tar", "a.tarx", "1-of-2", "a.tar/b.jpg"]))


def test_what_tensorflow_writes_is_read(tmp_path):
    (path := tmp_path / "a.tfrecord").write_bytes(bytes.fromhex(WRITTEN))
    assert listed(path)[0] == [Sample("0", "cat"), Sample("1", "-1")]
    assert places.content(f"{path}/0") == b"picture" and places.size(f"{path}/2") is None


@pytest.mark.parametrize(
    "features, label",
    [
        ({"image/class/text": b"cat", "image/class/label": 3}, "cat"), ({"image/class/text": b"", "image/class/label": 3}, "3"),
        ({"label": 300}, "300"), ({"image/class/label": 1.5}, "1.5"), ({"height": 3}, None),
    ],
)  # fmt: skip
def test_labels_of_records(features, label, tmp_path):
    path = records(tmp_path / "a.tfrecord", [example({"image/height": 9, "image/encoded": b"0" * 300, **features})])
    assert listed(path)[0] == [Sample("0", label)]


def test_broken_records_are_named(tmp_path):
    good = [example({"image/encoded": bytes([i]) * 3000, "label": i}) for i in range(3)]
    path = records(tmp_path / "a.tfrecord", good)
    content, second = path.read_bytes(), len(good[0]) + 16
    path.write_bytes(content[:-100])
    assert fault(path) == f"cut short: record 2 should have {len(good[2])} bytes, and {len(good[2]) - 96} follow"
    path.write_bytes(content[: second + 5])
    assert fault(path) == "cut short: record 1 ends within its first 12 bytes"
    path.write_bytes(content[:second] + b"\xff" + content[second + 1 :])
    assert "the checksum of the length of record 1 is wrong" in fault(path)
    path.write_bytes(b"\x1f\x8b" + bytes(50))
    assert fault(path) == "compressed; write it again without compression"
    path.write_bytes(b"no records at all")
    assert fault(path) == "not a TFRecord file"
    assert fault(records(path, [good[0], b"no example"])) == "record 1: not a tf.train.Example"
    assert "record 0: expected one encoded picture" in fault(records(path, [example({"label": 1})]))


def test_a_wrong_checksum_is_found_when_the_picture_is_read(tmp_path):
    path = records(tmp_path / "a.tfrecord", [example({"image/encoded": b"0" * 3000, "label": 1})])
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadExample, match="record 0: its checksum is wrong") as told:
        places.content(f"{path}/0")
    assert told.value.passing  # nothing about these bytes is remembered


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_lie_where_they_are_found(format, tmp_path):
    long, odd = "deep/" * 18 + "x.jpg", "ü/中.jpg"
    members = [
        ("1.jpg", b"a" * 700),
        ("1.cls", b"cat\n"),
        (long, b"b"),
        (odd, b""),
        ("b/2.PNG", b"d" * 512),
        ("b/2.txt", b" a dog "),
    ]
    path = tar(tmp_path / "a.tar", members, format=format)
    assert listed(path)[0] == [Sample("1.jpg", "cat"), Sample(long, None), Sample(odd, None), Sample("b/2.PNG", "a dog")]
    for name, content in (members[0], *members[2:5]):
        assert places.content(f"{path}/{name}") == content
        assert places.size(f"{path}/{name}") == len(content)
    assert places.content(str(tmp_path / "1.jpg")) is None


def test_members_of_a_sample_lie_side_by_side(tmp_path):
    path = tmp_path / "a.tar"
    tar(
        path,
        [
            ("1.json", b'{"label": 3, "cls": 4}'),
            ("1.jpg", b""),
            ("2.jpg", b""),
            ("2.json", b'{"w": 1}'),
            ("2.txt", b"cat"),
            ("2.cls", b"dog"),
        ],
    )
    assert [sample.label for sample in listed(path)[0]] == ["3", "dog"]
    tar(path, [("1.jpg", b""), ("1.json", b'{"label": ["a", "b"]}'), ("2.json", b'{"w": 1}'), ("2.jpg", b"")])
    assert [sample.label for sample in listed(path)[0]] == ["a;b", None]
    tar(
        path, [("1.jpg", b""), ("1.seg.png", b""), ("1.npy", b""), ("README.txt", b""), ("._1.jpg", b""), ("__MACOSX/1.jpg", b"")]
    )
    assert listed(path) == ([Sample("1.jpg", None)], Counter({".seg.png": 1, ".npy": 1}))
    assert "2.cls has no picture of the same key beside it" in fault(tar(path, [("1.jpg", b""), ("2.cls", b"")]))
    assert fault(tar(path, [("1.jpg", b""), ("1.png", b"")])) == "holds two pictures of one key: 1.jpg and 1.png"
    assert fault(tar(path, [("1.jpg", b""), ("2.jpg", b""), ("1.jpg", b"")])) == "holds two pictures of the name 1.jpg"
    assert fault(tar(path, [("1.jpg", b""), ("1.cls", b"\xff")])) == "1.cls is not UTF-8"
    assert fault(tar(path, [("1.jpg", b""), ("1.json", b"{")])) == "1.json is not JSON"


def test_names_that_lead_out_of_a_tar_are_only_names(tmp_path):
    (tmp_path / "b.jpg").write_bytes(b"outside")
    path = tar(tmp_path / "a.tar", [("../b.jpg", b"inside"), ("/etc/../c.jpg", b"c"), ("./d.jpg", b"d")])
    assert [sample.name for sample in listed(path)[0]] == ["b.jpg", "etc/c.jpg", "d.jpg"]
    assert places.content(f"{path}/b.jpg") == b"inside" and places.content(f"{path}/etc/c.jpg") == b"c"
    with pytest.raises(BadExample, match="no such picture in the shard"):
        places.content(f"{path}/../b.jpg")
    assert "twice" not in fault(tar(path, [("../b.jpg", b""), ("b.jpg", b"")]))


def test_broken_tars_are_named(tmp_path):
    path = tar(tmp_path / "a.tar", [("1.jpg", b"a" * 700), ("1.cls", b"cat"), ("2.jpg", b"b" * 700)])
    content = path.read_bytes()
    path.write_bytes(content[: 1536 + 1024 + 512 + 600])
    assert fault(path) == "cut short: member 2 (2.jpg) should have 700 bytes, and 600 follow"
    path.write_bytes(content[: 1536 + 100])
    assert fault(path) == "damaged: the header of member 1 cannot be read (truncated header)"
    path.write_bytes(content[:1540] + b"x" + content[1541:])
    assert fault(path) == "damaged: the header of member 1 cannot be read (bad checksum)"
    path.write_bytes(content + content)
    assert "are these several tars in one file?" in fault(path)
    path.write_bytes(b"\x1f\x8b" + bytes(1000))
    assert fault(path) == "compressed; decompress it first"
    path.write_bytes(b"no tar" * 100)
    assert fault(path) == "not a tar file"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("1.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert "member 0 (1.jpg) is a link" in fault(path)


def test_a_length_in_a_header_that_no_number_has(tmp_path):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("1.jpg")
        info.pax_headers = {"size": "9" * 30}
        archive.addfile(info)
    (path := tmp_path / "a.tar").write_bytes(content.getvalue())
    assert fault(path) == "damaged: the header of member 0 cannot be read"


def test_a_shard_that_changes_is_looked_through_again(tmp_path):
    path = tar(tmp_path / "a.tar", [("1.jpg", b"a")])
    assert places.content(f"{path}/1.jpg") == b"a"
    tar(path, [("0.jpg", b"z" * 999), ("1.jpg", b"changed")])
    assert places.content(f"{path}/1.jpg") == b"changed"


def test_a_picture_is_the_same_in_a_shard(tmp_path):
    file = pictures(tmp_path / "d", 1) / "1.png"
    path = tar(tmp_path / "a.tar", [("1.png", file.read_bytes()), ("2.png", b""), ("3.png", b"no picture")])
    pixels, shape = images.read_sized(f"{path}/1.png", 32, "squash")
    np.testing.assert_array_equal(pixels, images.read(str(file), 32))
    assert shape == (6, 6) == images.sides(f"{path}/1.png")
    for number, reason in ((2, "empty file"), (3, "not a picture"), (4, "no such picture")):
        with pytest.raises(BadExample, match=reason):
            images.read(f"{path}/{number}.png", 32)


def test_what_stands_for_shards(tmp_path):
    for name in ("a-00.tar", "a-01.tar", "b.tfrecord", "notes.txt", ".hidden.tar"):
        (tmp_path / name).write_bytes(b"")

    def names(path):
        return [each.removeprefix(f"{tmp_path}/") for each in shards(str(path))]

    assert names(tmp_path) == ["a-00.tar", "a-01.tar", "b.tfrecord"]
    assert names(tmp_path / "a-{00..02}.tar") == ["a-00.tar", "a-01.tar", "a-02.tar"]
    assert names(tmp_path / "*.tar") == ["a-00.tar", "a-01.tar"]
    assert names(tmp_path / "notes.txt") == names(tmp_path / "none") == []
    (tmp_path / "train").mkdir()
    assert names(tmp_path) == []  # shards beside folders
    (tmp_path / "train" / "c.tar").write_bytes(b"")
    assert names(tmp_path) == ["train/c.tar"]


def test_a_record_that_is_damaged_in_its_label_is_no_crash():
    good, rng = example({"image/encoded": b"0" * 40, "image/class/text": b"cat"}), np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(good)
        content[rng.integers(len(good))] = rng.integers(256)
        record = places.Member("0", 0, len(good))
        with contextlib.suppress(Damaged):
            tfrecord.label(record, io.BytesIO(content))
