"""A program of its own: open a SavedModel with TensorFlow alone, as a server would, and write down what it answers."""

import json
import os
import sys
import time


def main() -> None:
    """Read job.json, whose path is the only argument, and write answers.npz beside it."""
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
    folder = os.path.dirname(sys.argv[1])
    pictures = np.load(os.path.join(folder, "pictures.npy"), mmap_mode="r")
    loaded = tf.saved_model.load(job["model"])
    floats, whole, encoded = (loaded.signatures[name] for name in ("serving_default", "serve_uint8", "serve_bytes"))
    blocks = [pictures[i : i + 32] for i in range(0, len(pictures), 32)]
    answers = [floats(image=tf.constant(block, tf.float32)) for block in blocks]
    probabilities = np.concatenate([answer["probabilities"].numpy() for answer in answers])
    names = np.concatenate([answer["label"].numpy() for answer in answers])
    with open(tf.compat.as_str(loaded.labels_file.asset_path.numpy()), encoding="utf-8") as file:
        labels = file.read().splitlines()
    one = tf.constant(pictures[:1], tf.float32)
    times = []
    for _ in range(job["warm"] + job["timed"]):
        began = time.perf_counter()
        floats(image=one)["probabilities"].numpy()
        times.append(time.perf_counter() - began)
    np.savez(
        os.path.join(folder, "answers.npz"),
        probabilities=probabilities,
        labels=np.array(labels),
        said=np.array([name.decode() for name in names]),
        serve_uint8=np.concatenate([whole(image=tf.constant(block))["probabilities"].numpy() for block in blocks]),
        serve_bytes=read(encoded, job["files"], probabilities.shape[1]),
        median_ms=np.median(times[job["warm"] :]) * 1000,
    )


def read(encoded, files, classes):
    """Probabilities of picture files by the endpoint serve_bytes."""
    import numpy as np
    import tensorflow as tf

    found = [np.zeros((0, classes), np.float32)]
    for start in range(0, len(files), 8):
        contents = [tf.io.read_file(file) for file in files[start : start + 8]]
        found.append(encoded(contents=tf.stack(contents))["probabilities"].numpy())
    return np.concatenate(found)


if __name__ == "__main__":
    main()
