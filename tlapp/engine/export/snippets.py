"""Code to start from: short programs that load an artifact, prepare a picture the same way and print the label."""

from __future__ import annotations

from tlapp.errors import UserError

_RUN = {
    "tflite": """\
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter("model.tflite")
interpreter.allocate_tensors()
source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
size = source["shape"][1]


def classify(pixels):
    interpreter.set_tensor(source["index"], pixels.astype(source["dtype"]))
    interpreter.invoke()
    return interpreter.get_tensor(target["index"])[0]
""",
    "savedmodel": """\
import tensorflow as tf

model = tf.saved_model.load("1").signatures["serving_default"]
size = model.structured_input_signature[1]["image"].shape[1]


def classify(pixels):
    return model(image=tf.constant(pixels, tf.float32))["probabilities"].numpy()[0]
""",
    "keras": """\
import keras

model = keras.saving.load_model("model.keras", compile=False)
size = model.input_shape[1]


def classify(pixels):
    return model.predict(pixels.astype("float32"), verbose=0)[0]
""",
    "onnx": """\
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
source = session.get_inputs()[0]
size = source.shape[1]


def classify(pixels):
    return session.run(None, {source.name: pixels.astype("float32")})[0][0]
""",
}

_PYTHON = '''\
"""Name a picture: python classify.py PICTURE, in the folder of the export."""

import sys

import numpy as np
from PIL import Image, ImageOps

{run}

labels = open("labels.txt", encoding="utf-8").read().splitlines()
picture = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB")
picture = picture.resize((size, size), Image.Resampling.BILINEAR)  # the values stay 0 to 255: the model scales them itself
probabilities = classify(np.asarray(picture)[None])
{tell}'''

_TELL = {
    "one": """\
best = int(probabilities.argmax())
print(labels[best], f"{probabilities[best]:.4f}")
""",
    "many": """\
for number in np.flatnonzero(probabilities > 0.5):  # any number of labels, none included
    print(labels[number], f"{probabilities[number]:.4f}")
""",
}

_KOTLIN = """\
// Android, app/build.gradle: implementation("com.google.mediapipe:tasks-vision:latest.release")
// Put model.tflite into app/src/main/assets. Labels and normalisation are inside it.
import android.content.Context
import android.graphics.Bitmap
import com.google.mediapipe.framework.image.BitmapImageBuilder
import com.google.mediapipe.tasks.core.BaseOptions
import com.google.mediapipe.tasks.vision.imageclassifier.ImageClassifier
import com.google.mediapipe.tasks.vision.imageclassifier.ImageClassifier.ImageClassifierOptions

class Names(context: Context) {
    private val classifier = ImageClassifier.createFromOptions(
        context,
        ImageClassifierOptions.builder()
            .setBaseOptions(BaseOptions.builder().setModelAssetPath("model.tflite").build())
            {limit}
            .build(),
    )

{tell}
}
"""

_KOTLIN_LIMIT = {"one": ".setMaxResults(1)", "many": ".setScoreThreshold(0.5f)"}
_KOTLIN_TELL = {
    "one": """\
    /** The label of an upright ARGB_8888 bitmap of any size: it is squashed to the model's square. */
    fun name(bitmap: Bitmap): String {
        val best = classifier.classify(BitmapImageBuilder(bitmap).build())
            .classificationResult().classifications()[0].categories()[0]
        return "${best.categoryName()} ${best.score()}"
    }""",
    "many": """\
    /** The labels above 0.5 of an upright ARGB_8888 bitmap of any size, none included: it is squashed to the model's square. */
    fun names(bitmap: Bitmap): List<String> =
        classifier.classify(BitmapImageBuilder(bitmap).build())
            .classificationResult().classifications()[0].categories()
            .map { "${it.categoryName()} ${it.score()}" }""",
}

_SWIFT = """\
// iOS, Podfile: pod 'MediaPipeTasksVision'
// Add model.tflite to the app's target. Labels and normalisation are inside it.
import MediaPipeTasksVision
import UIKit

final class Names {
    private let classifier: ImageClassifier

    init() throws {
        let options = ImageClassifierOptions()
        options.baseOptions.modelAssetPath = Bundle.main.path(forResource: "model", ofType: "tflite")!
        {limit}
        classifier = try ImageClassifier(options: options)
    }

{tell}
}
"""

_SWIFT_LIMIT = {"one": "options.maxResults = 1", "many": "options.scoreThreshold = 0.5"}
_SWIFT_TELL = {
    "one": """\
    /// The label of a picture of any size: it is squashed to the model's square.
    func name(_ picture: UIImage) throws -> String {
        let upright = try MPImage(uiImage: picture, orientation: picture.imageOrientation)
        let result = try classifier.classify(image: upright)
        guard let best = result.classificationResult.classifications.first?.categories.first else { return "" }
        return "\\(best.categoryName ?? "") \\(best.score)"
    }""",
    "many": """\
    /// The labels above 0.5 of a picture of any size, none included: it is squashed to the model's square.
    func names(_ picture: UIImage) throws -> [String] {
        let result = try classifier.classify(image: MPImage(uiImage: picture))
        let found = result.classificationResult.classifications.first?.categories ?? []
        return found.map { "\\($0.categoryName ?? "") \\($0.score)" }
    }""",
}


def snippet(language: str, kind: str, labelling: str = "one") -> str:
    """A program in "python", "kotlin" or "swift" for an artifact of the format `kind`.

    Args:
        labelling: "one" or "many", the labels of a picture.

    Raises:
        UserError: a phone's language with a format that phones do not run.
    """
    if language == "python":
        return python(kind, labelling)
    if kind != "tflite":
        raise UserError(f"is for option format=tflite. Received: option format={kind}", language, option="snippet")
    whole, limit, tell = {
        "kotlin": (_KOTLIN, _KOTLIN_LIMIT, _KOTLIN_TELL),
        "swift": (_SWIFT, _SWIFT_LIMIT, _SWIFT_TELL),
    }[language]
    return whole.replace("{limit}", limit[labelling]).replace("{tell}", tell[labelling])


def python(kind: str, labelling: str = "one") -> str:
    """The program in Python."""
    return _PYTHON.format(run=_RUN[kind].rstrip(), tell=_TELL[labelling])
