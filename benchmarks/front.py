"""The front pass alone: Keras predict beside the ways that were tried, in alternating runs.

python benchmarks/front.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np

from tlapp.tensorflow_import import quiet_tensorflow

COUNT = 128


def main(rounds: int) -> None:
    quiet_tensorflow()
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from tlapp.backbones.keras_cv import KerasCV
    from tlapp.contracts.graph import needed, replay, steps
    from tlapp.engine.network import front
    from tlapp.engine.network.net import infer

    graph = KerasCV().load("efficientnet-lite0").graph
    source, output = graph.inputs[0], graph.outputs[0]
    pictures = np.random.default_rng(0).integers(0, 256, (COUNT, *source.shape[1:]), dtype=np.uint8)
    blocks = [tf.constant(pictures[i : i + 32], tf.float32) for i in range(0, COUNT, 32)]
    todo = needed(steps(graph), [output])

    @tf.function
    def plain(block):
        return replay(todo, {id(source): block}, infer)[id(output)]

    constant = convert_variables_to_constants_v2(plain.get_concrete_function(blocks[0]))
    ways = {
        "Keras predict": lambda: graph.predict(pictures.astype(np.float32), batch_size=32, verbose=0),
        "tf.function": lambda: [plain(block) for block in blocks],
        "with constants": lambda: [constant(block) for block in blocks],
    }
    for batch in (8, 16, 32, 64):
        front.BATCH = batch
        ways[f"tlapp's front, batches of {batch}"] = _with_batch(front, batch, front.Front(graph, [output]), pictures)
    seconds = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - began)
    print("| way | pictures a second, median | times as fast as predict |\n| --- | --- | --- |")
    base = seconds["Keras predict"][1:]
    for name, found in seconds.items():
        ratio = statistics.median(b / f for b, f in zip(base, found[1:], strict=True))
        print(f"| {name} | {COUNT / statistics.median(found[1:]):.0f} | {ratio:.2f} |")


def _with_batch(front, batch, compiled, pictures):
    def way():
        front.BATCH = batch
        return compiled(pictures)

    return way


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
