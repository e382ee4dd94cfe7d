"""Keras files are archives: members outside the folder, bombs, overlaps and damage are refused."""

from __future__ import annotations

import random
import shutil
import struct
import zipfile

import pytest
from helpers.archives import poisoned, rewrite

from tlapp.cli.main import run
from tlapp.errors import UserError
from tlapp.untrusted_files import keras_fault


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:\\evil.txt"])
def test_a_member_outside_the_folder_is_refused(name, model):
    with zipfile.ZipFile(model, "a") as archive:
        archive.writestr(name, "x")
    assert "outside the folder" in keras_fault(model)


def test_a_link_in_an_archive_is_refused(model):
    member = zipfile.ZipInfo("assets/link")
    member.external_attr = 0o120777 << 16
    with zipfile.ZipFile(model, "a") as archive:
        archive.writestr(member, "/etc/passwd")
    assert "outside the folder" in keras_fault(model)


def test_a_bomb_is_refused_unpacked_by_nobody(model):
    with zipfile.ZipFile(model, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("assets/zeros", "w") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
    assert "a bomb" in keras_fault(model)
    with pytest.raises(UserError, match=r"a bomb.*option trust"):
        from tlapp.backbones.file import File

        File().load(str(model))


def test_many_small_bombs_are_one(model):
    with zipfile.ZipFile(model, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"assets/{number}", bytes(15 << 20))
    assert "a bomb" in keras_fault(model)


def damaged(path, name):
    """A .keras file that begins with a member that cannot be read; zipfile says so only when it is."""
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in {name: b"as it was", **members}.items():
            archive.writestr(each, content)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"as it was", b"as it is.", 1))
    return path


def test_a_member_that_cannot_be_read_hides_none_after_it(model):
    damaged(poisoned(model, class_name="Popen", module="subprocess"), "a/saved_model.pb")
    with zipfile.ZipFile(model) as archive:
        assert archive.namelist()[0] == "a/saved_model.pb" and archive.read("config.json")
    assert "cannot be read" in keras_fault(model)


def test_a_damaged_model_of_a_run_is_told(finished, tmp_path, shapes, capfd):
    other = tmp_path / "run"
    shutil.copytree(finished, other)
    whole = (other / "model.keras").read_bytes()
    at = whole.index(b"\x89HDF")
    for content in (b"", whole[:-60], whole[: at + 3000] + b"damaged" + whole[at + 3007 :]):
        (other / "model.keras").write_bytes(content)
        assert run(["predict", str(other), str(next(shapes.rglob("*.png")))]) == 2
        assert str(other / "model.keras") in capfd.readouterr().err


def test_two_members_of_one_name_are_refused(model):
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(model, "a") as archive:
        archive.writestr("config.json", "{}")
    assert "two members" in keras_fault(model)


def test_overlapping_members_are_refused(model):
    """Each entry of the index told to take all of the file: as many copies of one content as there are entries."""
    with zipfile.ZipFile(model) as archive:
        at = archive.start_dir
    content = bytearray(model.read_bytes())
    while content[at : at + 4] == b"PK\1\2":
        struct.pack_into("<II", content, at + 20, len(content), len(content))
        lengths = struct.unpack_from("<HHH", content, at + 28)
        at += 46 + sum(lengths)
    model.write_bytes(content)
    assert "overlap" in keras_fault(model)


def test_a_config_that_is_nested_without_end_is_refused(model):
    rewrite(model, lambda text: "[" * 200_000 + "]" * 200_000)
    assert "nested too deeply" in keras_fault(model)


def test_mutated_archives_never_end_in_a_traceback(model, tmp_path):
    from tlapp.backbones.file import File

    whole, dice, path = model.read_bytes(), random.Random(0), tmp_path / "mutant.keras"
    for _ in range(60):
        broken = bytearray(whole)
        for _ in range(dice.randint(1, 8)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        path.write_bytes(broken[: dice.choice([len(broken), dice.randrange(len(broken))])])
        try:
            assert File().load(str(path)).graph.outputs
        except UserError as error:
            assert str(path) in str(error)
