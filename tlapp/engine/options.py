"""What can be set about any run, whatever its strategy. Every default of the engine stands here, with its source."""

from __future__ import annotations

from typing import Literal

from tlapp.contracts.options import Field, Options, other_than, when

Resize = Literal["squash", "crop", "pad"]
"""How a picture that is not square becomes one."""


class RunOptions(Options):
    """The engine's settings: a field is a flag, a YAML key and a help line."""

    plugin: str = Field("partial", description="strategy: see `tlapp plugins list`")
    data: str = Field(
        "builtin:digits",
        path=True,
        description="class folders, or train/ val/ test/ of them; tar or TFRecord shards; CSV with path,label[,split,group]; "
        "builtin:digits, :signs",
    )
    val: str | None = Field(
        None, path=True, description="class folders or CSV to validate with, instead of a split of option data"
    )
    test: str | None = Field(None, path=True, description="class folders or CSV to test with, instead of a split of option data")
    target: str | None = Field(
        None, path=True, description="pictures or texts of the domain to adapt to; labels, if any, are only used for metrics"
    )
    aux: str | None = Field(
        None, path=True, description="a second labelled set, with its own classes; a share is held out to measure it"
    )
    support: str | None = Field(
        None, path=True, description="labelled examples of other classes, a few of each, for strategies that learn from few"
    )
    query: str | None = Field(None, path=True, description="further labelled examples of the classes of option support")
    backbone: str = Field(
        "keras-cv:efficientnet-lite0", by_input={"text": "bert:minilm"},
        description="pre-trained network: see `tlapp backbones list`",
    )  # fmt: skip
    backbone_weights: str | None = Field(None, path=True, description="weights file of the backbone, or none for random ones")
    head: str = Field("linear", description="head: see `tlapp plugins list`")
    image_size: int | None = Field(None, ge=32, le=2048, description="pixels a side; by default the backbone's own")
    resize: Resize = Field(
        "squash", description="pictures that are not square: stretch them, keep the centre square, or add black bars"
    )
    max_length: int | None = Field(
        None, ge=8, le=8192, description="tokens of a text, the rest is cut off; by default what holds 95 % of the training texts"
    )
    batch_size: int = Field(32, ge=1, le=4096, description="examples per training step")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of the split, the order and the initial weights")
    # 15 % and 20 %: with 200 pictures that leaves 24 to stop on and 40 to test on.
    val_share: float = Field(
        0.15,
        gt=0,
        lt=0.9,
        description="share of option data split off for validation, if there is no val set",
        when=when(val=None),
    )
    test_share: float = Field(
        0.2, gt=0, lt=0.9, description="share of option data, and of option aux, split off for testing, if there is no test set",
        when=(when(test=None), when(aux=other_than(None))),
    )  # fmt: skip
    on_bad: Literal["fail", "skip"] = Field("fail", description="unreadable examples: stop, or skip them")
    augment: Literal["none", "basic"] = Field("none", description="basic: random flip, crop and colour, new each epoch")
    # Where stages train, the last weights are better than those of the lowest loss; a head alone overfits (docs/results.md).
    patience: int | None = Field(
        None, ge=1, description="epochs without a better one before a phase stops; null: 10, or none where stages train"
    )  # fmt: skip
    schedule: Literal["cosine", "constant"] = Field("cosine", description="how the learning rate changes during a phase")
    # 0.05: on small sets as accurate as 0.1 and better calibrated, and half a point above none (docs/results.md).
    label_smoothing: float = Field(0.05, ge=0, lt=1, description="share of each label that is spread over all classes")
    clip_norm: float = Field(1.0, gt=0, description="maximum global norm of a step's gradient; larger ones are clipped")
    weight_decay: float = Field(1e-4, ge=0, description="decoupled weight decay (AdamW)")
    class_weights: Literal["auto", "none"] = Field("auto", description="auto: weight classes if they differ by more than 3 to 1")
    precision: Literal["float32", "bfloat16", "auto"] = Field(
        "float32", description="what live layers compute in while they train; auto: bfloat16 on GPUs that have it"
    )
    cache: Literal["auto", "off"] = Field("auto", description="off: recompute the frozen front each epoch")
    # Higher in nine of ten means (docs/results.md).
    refit: bool | None = Field(
        None, description="fit the head once more, on train and val, before testing; null: if in closed form, without unknown"
    )  # fmt: skip
    verdict: bool = Field(False, description="train the same network from random weights too, to say what transfer is worth")
    report: Literal["on", "off"] = Field("on", description="write report.html into the run's folder at the end")
    unknown: float | None = Field(
        None,
        gt=0.5,
        lt=1,
        description="let the model say unknown, and call this share of pictures like val's known, such as 0.95",
    )
    log: tuple[str, ...] = Field((), description="reporters to tell, by commas: tensorboard, mlflow, or a plugin's")
    run: str | None = Field(None, path=True, description="folder of the run; a new one under saved_models/ by default")
