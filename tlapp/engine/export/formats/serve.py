"""A program of its own: open a SavedModel with TensorFlow alone, as a server would, and write down what it answers."""

import json
import os
import sys
import time

if __name__ == "__main__":
    sys.path.pop(0)  # this folder, some of whose files are called like packages: keras.py is one


def main() -> None:
    """Read job.json, whose path is the only argument, and write answers.npz beside it."""
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
    folder = os.path.dirname(sys.argv[1])
    examples = {name: np.load(os.path.join(folder, file), mmap_mode="r") for name, file in job["examples"].items()}
    loaded = tf.saved_model.load(job["model"])
    default = loaded.signatures["serving_default"]
    answers = asked(default, examples)
    results = {"probabilities": numbers(answers), "named": np.array([name.decode() for name in answers.get("label", ())])}
    if "known" in answers:
        results["known"] = answers["known"]
    with open(tf.compat.as_str(loaded.labels_file.asset_path.numpy()), encoding="utf-8") as file:
        results["labels"] = np.array(file.read().splitlines())
    for name, endpoint in loaded.signatures.items():
        if takes_files(endpoint):
            results[f"files:{name}"] = read(endpoint, job["files"], results["probabilities"].shape[1])
        elif name != "serving_default":
            results[f"examples:{name}"] = numbers(asked(endpoint, examples))
    one = tensors(default, {name: array[:1] for name, array in examples.items()})
    results["median_ms"] = median_ms(default, one, job["warm"], job["timed"])
    np.savez(os.path.join(folder, "answers.npz"), **results)


def takes_files(endpoint):
    """Whether an endpoint takes the contents of files."""
    return any(spec.dtype.name == "string" for spec in endpoint.structured_input_signature[1].values())


def tensors(endpoint, examples):
    """Examples as an endpoint takes them: by name, or the only array for the only input, whatever it is called."""
    import numpy as np
    import tensorflow as tf

    specs = endpoint.structured_input_signature[1]
    if len(specs) == len(examples) == 1:
        examples = dict(zip(specs, examples.values(), strict=True))
    return {name: tf.cast(tf.constant(np.asarray(examples[name])), spec.dtype) for name, spec in specs.items()}


def asked(endpoint, examples):
    """What an endpoint answers to all examples, output by output, 32 at a time."""
    import numpy as np

    count = len(next(iter(examples.values())))
    answers = []
    for start in range(0, count, 32):
        block = {name: array[start : start + 32] for name, array in examples.items()}
        answers.append(endpoint(**tensors(endpoint, block)))
    return {name: np.concatenate([answer[name].numpy() for answer in answers]) for name in answers[0]}


def numbers(answers):
    """Of an endpoint's outputs the one beside the label and what is known: probabilities, or the value."""
    return next(answers[name] for name in answers if name not in ("label", "known"))


def read(endpoint, files, classes):
    """Probabilities of files by an endpoint that takes their contents, with tabs between several strings."""
    import numpy as np
    import tensorflow as tf

    names = sorted(endpoint.structured_input_signature[1])
    probabilities = [np.zeros((0, classes), np.float32)]
    for start in range(0, len(files), 8):
        contents = tf.stack([tf.io.read_file(file) for file in files[start : start + 8]])
        parts = tf.strings.split(contents, "\t").to_tensor() if len(names) > 1 else contents[:, None]
        probabilities.append(numbers(endpoint(**{name: parts[:, i] for i, name in enumerate(names)})).numpy())
    return np.concatenate(probabilities)


def median_ms(endpoint, one, warm, timed):
    """Milliseconds of one answer."""
    import numpy as np

    times = []
    for _ in range(warm + timed):
        began = time.perf_counter()
        numbers(endpoint(**one)).numpy()
        times.append(time.perf_counter() - began)
    return np.median(times[warm:]) * 1000


if __name__ == "__main__":
    main()
