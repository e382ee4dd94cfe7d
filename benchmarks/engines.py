"""What computes a frozen front fastest: TensorFlow, LiteRT, ONNX Runtime, in alternating rounds of 64 pictures of noise.

    python benchmarks/engines.py [BACKBONE ...] [--size 224] [--rounds 5] [--onnx]

BACKBONE: efficientnet-lite0 or a name of keras.applications, of random weights. Times are given as ratios to TensorFlow's, of
the wall clock and of the seconds of all cores together, which other work on the machine changes less.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from tlapp.tensorflow_import import quiet_tensorflow, silenced

COUNT = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbones", nargs="*", default=["efficientnet-lite0"])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--onnx", action="store_true", help="ONNX Runtime too, 8 pictures a call")
    given = parser.parse_args()
    quiet_tensorflow()
    print(
        "| backbone | engine | times as fast | by the seconds of all cores | largest error | seconds to make it |\n"
        + "| --- " * 6
        + "|"
    )
    for name in given.backbones:
        for row in compared(name, given.size, given.rounds, given.onnx):
            print(f"| {name} | {row} |", flush=True)


def compared(name: str, size: int, rounds: int, onnx: bool) -> list[str]:
    """Rows of the table for one backbone."""
    import keras

    from tlapp.backbones.keras_cv import KerasCV
    from tlapp.engine.inputs.threads import workers
    from tlapp.engine.network.engines import LiteFront, converted
    from tlapp.engine.network.front import Front

    if name.startswith("efficientnet-"):
        graph = KerasCV().load(name, image_size=size).graph
    else:
        graph = getattr(keras.applications, name)(weights=None, include_top=False, pooling="avg", input_shape=(size, size, 3))
    makers = {
        "TensorFlow": lambda: Front(graph, graph.outputs),
        "LiteRT": lambda: LiteFront(converted(graph, graph.outputs), workers()),
    }
    if onnx:
        makers["ONNX Runtime"] = lambda: onnx_runtime(graph)
    ways, made = {}, {}
    for engine, maker in makers.items():
        began = time.perf_counter()
        ways[engine] = maker()
        made[engine] = time.perf_counter() - began
    pictures = [np.random.default_rng(0).integers(0, 256, (COUNT, size, size, 3), dtype=np.uint8)]
    plain = graph.predict(pictures[0].astype(np.float32), batch_size=32, verbose=0)
    times = {engine: [] for engine in ways}
    error = {engine: float(np.abs(way(pictures)[0] - plain).max() / np.abs(plain).max()) for engine, way in ways.items()}
    for _ in range(rounds):
        for engine, way in ways.items():
            began = time.perf_counter(), time.process_time()
            way(pictures)
            times[engine].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    rows = []
    for engine, found in times.items():
        wall, cores = (
            statistics.median(base[i] / own[i] for base, own in zip(times["TensorFlow"], found, strict=True)) for i in (0, 1)
        )
        rows.append(f"{engine} | {wall:.2f} | {cores:.2f} | {error[engine]:.0e} | {made[engine]:.1f}")
    return rows


def onnx_runtime(graph):
    """A function as `Front`, by ONNX Runtime on all cores."""
    import onnxruntime
    import tensorflow as tf
    import tf2onnx

    spec = [tf.TensorSpec((8, *graph.inputs[0].shape[1:]), "float32", name="image")]
    with silenced():
        model, _ = tf2onnx.convert.from_function(tf.function(lambda image: graph(image, training=False)), spec, opset=17)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def run(arrays):
        blocks = [arrays[0][start : start + 8].astype(np.float32) for start in range(0, len(arrays[0]), 8)]
        return [np.concatenate([session.run(None, {"image": block})[0] for block in blocks])]

    return run


if __name__ == "__main__":
    main()
