"""The batches of a phase: their rows, what a source gives of them, and making them ahead of their use."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tlapp.contracts import Batch, Fit
from tlapp.engine.network.replicas import Share
from tlapp.engine.training import returned
from tlapp.engine.training.feeds import Feed


def row_order(phase: Fit, name: str, feed: Feed, seed: Sequence[int], steps: int, batch: int) -> np.ndarray:
    """Row numbers (steps, batch) of a stream; a pure function of seed and stream, so that a resumed run goes on alike."""
    rng = np.random.default_rng([*seed, *name.encode()])
    if phase.sampler is not None and name == phase.streams[0]:
        labels = np.argmax(feed.labels, axis=1) if feed.labels is not None else np.zeros(feed.size, int)
        return returned.batches(phase.sampler.batches(labels, rng, steps), phase.name, steps, feed.size)
    wanted = steps * batch
    rounds = [rng.permutation(feed.size) for _ in range(-(-wanted // feed.size))]
    return np.concatenate(rounds)[:wanted].reshape(steps, batch)


def gather(feed: Feed, rows: np.ndarray, epoch: int) -> Batch:
    """The batches of these rows (steps, batch), as arrays (steps, batch, ...)."""
    taken = [feed.source.take(rows.reshape(-1), epoch * feed.versions + version) for version in range(feed.versions)]
    views = tuple(tuple(array.reshape(*rows.shape, *array.shape[1:]) for array in view) for view in taken)
    labels = feed.labels[rows] if feed.labels is not None else None
    first = epoch * feed.versions
    said = {name: guide.take(rows.reshape(-1), first)[0] for name, guide in feed.guides.items()}
    guides = {name: array.reshape(*rows.shape, *array.shape[1:]) for name, array in said.items()}
    return Batch(views[0], labels, feed.weights[rows], views if feed.versions > 1 else (), guides, rows)


def share_of(block: Batch, share: Share) -> Batch:
    """A share of each of several batches."""
    import tensorflow as tf

    return tf.nest.map_structure(lambda array: None if array is None else array[:, share.begin : share.end], block)


def batch_at(block: Batch, index: Any) -> Batch:
    """One of several batches."""

    def at_cut(tensors: Sequence[Any]) -> Any:
        return tuple(tensor[index] for tensor in tensors) if len(tensors) > 1 else tensors[0][index]

    labels = None if block.y is None else block.y[index]
    guides = {name: array[index] for name, array in block.guides.items()}
    views = tuple(at_cut(view) for view in block.views)
    return Batch(at_cut(block.x), labels, block.weight[index], views, guides, block.rows[index])


def ahead(items: Iterator[Any], depth: int = 2) -> Iterator[Any]:
    """The same items, made in a thread while the earlier ones are used."""
    made: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
    stop = threading.Event()

    def put(kind: str, value: Any) -> None:
        while not stop.is_set():
            try:
                return made.put((kind, value), timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put("item", item)
                if stop.is_set():
                    return
            put("end", None)
        except BaseException as error:  # raised again where the items are used
            put("error", error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (got := made.get())[0] == "item":
            yield got[1]
        if got[0] == "error":
            raise got[1]
    finally:
        stop.set()
        thread.join()
