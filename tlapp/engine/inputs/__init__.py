"""All that knows what an example is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tlapp.contracts import BackboneProvider, ImageInput, Input, TextInput, UserError
from tlapp.engine.inputs import image_export, images
from tlapp.engine.inputs.digits import digit
from tlapp.engine.inputs.formats import advice_for, first_bytes, is_picture
from tlapp.engine.inputs.images import Images
from tlapp.engine.inputs.texts import Texts
from tlapp.engine.options import RunOptions

Facts = ImageInput | TextInput | Input
"""What a backbone states of its input: facts for one of the engine's readers, or a reader of a plugin's own."""
READERS: dict[str, type[Any]] = {"image": Images, "text": Texts}
"""Kind -> the engine's reader, made `of` the facts that a backbone states and the options of the run."""

OPTIONS = {"image": ("augment", "resize", "image_size"), "text": ("max_length",)}
"""Kind -> the options of a run that only its examples read."""


def reader(facts: Facts, options: RunOptions) -> Input:
    """What reads examples for a backbone whose `input` is `facts`; a plugin's own `Input` reads itself.

    Raises:
        UserError: the options ask for what the input cannot give.
    """
    return facts if isinstance(facts, Input) else READERS[facts.kind].of(facts, options)


def unread_by(examples: Input) -> dict[str, str]:
    """The options of a run that are for examples of another kind -> why nothing reads them, in words."""
    own = OPTIONS.get(examples.kind, ("image_size",))  # the provider of a plugin's input may read it
    others = {option for kind, options in OPTIONS.items() if kind != examples.kind for option in options if option not in own}
    return dict.fromkeys(sorted(others), f"its examples are {examples.noun}s")


def recognizes(examples: Input, path: str) -> bool:
    """Whether a file without a suffix holds an example, by its first bytes."""
    if not isinstance(examples, Images):
        return False
    try:
        return is_picture(first_bytes(path))
    except OSError:
        return False


def read_sized(examples: Input, source: str | bytes) -> tuple[tuple[Any, ...], tuple[int, int] | None]:
    """The arrays of one example, and the width and height of a picture; see `Input.read`. Bytes: what a picture's file holds."""
    if not isinstance(examples, Images):
        assert isinstance(source, str), "only pictures are read from bytes"
        return examples.read(source), None
    if isinstance(source, str) and examples.content(source) is not None:
        height, width = digit(source).shape
        return examples.read(source), (width, height)
    picture, shape = images.read_sized(source, examples.size, examples.resize)
    return (picture,), shape


def sides(examples: Input, source: str | bytes) -> tuple[int, int] | None:
    """Width and height of a picture in a file, or in what a file holds, upright, read without decoding it; None of all else."""
    in_a_file = isinstance(source, bytes) or examples.content(source) is None
    return images.sides(source) if isinstance(examples, Images) and in_a_file else None


def read_content(examples: Input, content: bytes, most_pixels: int) -> tuple[Any, ...]:
    """The arrays of one example from what its file holds; nothing on the disk is read. For the engine's own inputs, see `is_own`.

    Raises:
        BadExample: it cannot be read, or is a picture of more than `most_pixels` pixels.
    """
    if isinstance(examples, Texts):
        return examples.read(content.decode("utf-8", "replace") + "\n")  # with a line end it is never the path of a file
    assert isinstance(examples, Images), "the engine has no others"
    return (images.read_sized(content, examples.size, examples.resize, most_pixels)[0],)


def advice(examples: Input, suffix: str) -> str:
    """What makes a file of this suffix, which is not read, an example; "" where nothing is known."""
    return advice_for(suffix) if isinstance(examples, Images) else ""


def no_files(name: str) -> bytes:
    """There are no files beside the artifact.

    Raises:
        KeyError: always.
    """
    raise KeyError(name)


def stated_input(provider: BackboneProvider, name: str, image_size: int | None) -> Facts | None:
    """The input of a backbone, as far as its provider can tell before it is loaded; None where it cannot."""
    facts = provider.facts(name, image_size)
    if facts is not None:
        return facts.input
    size = image_size or provider.native_size(name)
    return None if size is None else ImageInput(size)


def reader_of(
    kind: str, model: Callable[[], Any], facts: Callable[[], Facts | None], options: RunOptions,
    size: int | None = None,
) -> Input:  # fmt: skip
    """What reads examples for a deployed model, by the kind of its input.

    Args:
        model: opens it; asked where the size is not known.
        facts: gives what the backbone's provider says of its input; asked where the kind is none of the engine's own.
        size: what the engine's own reader states as its size.

    Raises:
        UserError: nothing knows the kind.
    """
    if kind == Images.kind:
        return Images.of(ImageInput(size), options) if size else Images.of_model(model(), options)
    stated = facts()
    if stated is None or stated.kind != kind:
        raise UserError(f"the model reads {kind}, and its backbone's provider does not say how; install the plugin that it needs")
    return reader(stated, options)


def exported_reader(
    facts: Mapping[str, Any], stated: Callable[[], Facts | None], files: Callable[[str], bytes] = no_files
) -> Input:
    """What reads examples for an exported model, by what its export says of its input.

    Args:
        stated: gives what the backbone's provider says of its input; asked where the kind is none of the engine's own.
        files: gives what a file beside the artifact holds, by its name.

    Raises:
        UserError: nothing knows the input, or what is said of it was altered.
    """
    if facts["kind"] == Texts.kind:
        return Texts.of_export(facts, files)
    if facts["kind"] in READERS:
        options = RunOptions(**{key: value for key, value in facts.items() if key in RunOptions.model_fields})
        return READERS[facts["kind"]].of(ImageInput(facts["size"]), options)
    examples = stated()
    if not isinstance(examples, Input) or examples.export.facts() != facts:
        raise UserError(
            f"the export takes {facts['noun']}s, and its backbone's provider does not say how to read one; install its plugin"
        )
    return examples


def read_vector(path: Path, facts: Mapping[str, Any], files: Callable[[str], bytes]) -> tuple[Any, ...]:
    """The arrays of the example in a golden vector that is a file of the input's kind; the rest as in `exported_reader`."""
    if facts.get("kind") == Texts.kind:
        return Texts.of_export(facts, files).read(str(path))
    return image_export.read_vector(path)


def is_own(examples: Input) -> bool:
    """Whether a reader is the engine's own, not a plugin's."""
    return READERS.get(examples.kind) is type(examples)


def needs_tensorflow(examples: Input) -> bool:
    """Whether TensorFlow's operations read the examples."""
    return isinstance(examples, Texts)


def is_slow(examples: Input) -> bool:
    """Whether files are read in processes of their own: worth it for what takes long, and holds the interpreter lock."""
    return isinstance(examples, Images)


def is_large(examples: Input) -> bool:
    """Whether a row takes much more room than its source and its activations, so that it is kept only where it is read again."""
    return isinstance(examples, Images)


def are_sharded(examples: Input) -> bool:
    """Whether examples are read from shards."""
    return isinstance(examples, Images)


def kept(examples: Input) -> str:
    """What a run keeps of its input to read by it later, as `packed`; "" where the model and the settings say it all."""
    return "" if isinstance(examples, Images) or not is_own(examples) else packed(examples)


def packed(examples: Input) -> str:
    """A reader of the engine's own as text, for another process."""
    return json.dumps([examples.kind, asdict(examples)])


def unpacked(text: str) -> Input:
    """The reverse of `packed`."""
    kind, fields = json.loads(text)
    return READERS[kind](**fields)
