"""Programs for phones that name a picture, in Kotlin and Swift, by MediaPipe."""

from __future__ import annotations

KOTLIN_KNOWN = """\
        val (known, classes) = outputs.partition { it.headName().orElse("") == "known" }
        val best = classes[0].categories()[0]
        val answer = "${best.categoryName()} ${best.score()}"
        return if (known[0].categories()[0].score() >= 0.5f) answer else "unknown ($answer)"
"""
SWIFT_KNOWN = """\
        guard let known = outputs.first(where: { $0.headName == "known" })?.categories.first,
              let best = outputs.first(where: { $0.headName != "known" })?.categories.first else { return "" }
        let answer = "\\(best.categoryName ?? "") \\(best.score)"
        return known.score >= 0.5 ? answer : "unknown (\\(answer))"
"""
"""How a program in each language reads an output `known` beside the classes."""

_KOTLIN = """\
// Android, app/build.gradle: implementation("com.google.mediapipe:tasks-vision:latest.release")
// Put model.tflite into app/src/main/assets. Labels and normalisation are inside it.
import android.content.Context
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Matrix
import android.graphics.Paint
import android.media.ExifInterface
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

{answer}
{square}}
"""

_KOTLIN_LIMIT = {"one": ".setMaxResults(1)", "known": ".setMaxResults(1)", "many": ".setScoreThreshold(0.5f)"}
_KOTLIN_ANSWER = {
    "one": """\
    /** The label of an upright ARGB_8888 bitmap of any size: it is {made}. */
    fun name(bitmap: Bitmap): String {
        val best = classifier.classify(BitmapImageBuilder(square(bitmap)).build())
            .classificationResult().classifications()[0].categories()[0]
        return "${best.categoryName()} ${best.score()}"
    }""",
    "many": """\
    /** The labels above 0.5 of an upright ARGB_8888 bitmap of any size, none included: it is {made}. */
    fun names(bitmap: Bitmap): List<String> =
        classifier.classify(BitmapImageBuilder(square(bitmap)).build())
            .classificationResult().classifications()[0].categories()
            .map { "${it.categoryName()} ${it.score()}" }""",
    "known": f"""\
    /** The label of an upright ARGB_8888 bitmap of any size: it is {{made}}. Unknown: unlike what the model was trained on. */
    fun name(bitmap: Bitmap): String {{
        val outputs = classifier.classify(BitmapImageBuilder(square(bitmap)).build()).classificationResult().classifications()
{KOTLIN_KNOWN}    }}""",
}
_KOTLIN_SQUARE = """\

    /** The bitmap of a picture file, turned upright. */
    fun read(path: String): Bitmap {
        val stored = BitmapFactory.decodeFile(path)
        val turn = Matrix()
        when (ExifInterface(path).getAttributeInt(ExifInterface.TAG_ORIENTATION, 1)) {
            2 -> turn.postScale(-1f, 1f)
            3 -> turn.postRotate(180f)
            4 -> turn.postScale(1f, -1f)
            5 -> { turn.postRotate(90f); turn.postScale(-1f, 1f) }
            6 -> turn.postRotate(90f)
            7 -> { turn.postRotate(-90f); turn.postScale(-1f, 1f) }
            8 -> turn.postRotate(-90f)
        }
        return Bitmap.createBitmap(stored, 0, 0, stored.width, stored.height, turn, true)
    }

    private fun square(bitmap: Bitmap): Bitmap {
        val square = Bitmap.createBitmap({width}, {height}, Bitmap.Config.ARGB_8888)
        val left = (square.width - bitmap.width) / 2f
        val top = (square.height - bitmap.height) / 2f
        val white = Paint().apply { color = Color.WHITE }  // transparent pixels are white, as in training
        val canvas = Canvas(square)
        canvas.drawColor(Color.BLACK)
        canvas.drawRect(left, top, left + bitmap.width, top + bitmap.height, white)
        canvas.drawBitmap(bitmap, left, top, null)
        return square
    }
"""
_KOTLIN_SIDES = {
    "squash": ("bitmap.width", "bitmap.height"),
    "crop": ("minOf(bitmap.width, bitmap.height)",) * 2,
    "pad": ("maxOf(bitmap.width, bitmap.height)",) * 2,
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

{answer}
{square}}
"""

_SWIFT_LIMIT = {"one": "options.maxResults = 1", "known": "options.maxResults = 1", "many": "options.scoreThreshold = 0.5"}
_SWIFT_ANSWER = {
    "one": """\
    /// The label of a picture of any size: it is {made}.
    func name(_ picture: UIImage) throws -> String {
        let image = try MPImage(uiImage: square(picture))
        let result = try classifier.classify(image: image)
        guard let best = result.classificationResult.classifications.first?.categories.first else { return "" }
        return "\\(best.categoryName ?? "") \\(best.score)"
    }""",
    "many": """\
    /// The labels above 0.5 of a picture of any size, none included: it is {made}.
    func names(_ picture: UIImage) throws -> [String] {
        let image = try MPImage(uiImage: square(picture))
        let result = try classifier.classify(image: image)
        let categories = result.classificationResult.classifications.first?.categories ?? []
        return categories.map { "\\($0.categoryName ?? "") \\($0.score)" }
    }""",
    "known": f"""\
    /// The label of a picture of any size: it is {{made}}. Unknown: unlike what the model was trained on.
    func name(_ picture: UIImage) throws -> String {{
        let outputs = try classifier.classify(image: MPImage(uiImage: square(picture))).classificationResult.classifications
{SWIFT_KNOWN}    }}""",
}
_SWIFT_SQUARE = """\

    private func square(_ picture: UIImage) -> UIImage {
        let size = picture.size
        let canvas = CGSize(width: {width}, height: {height})
        let corner = CGPoint(x: (canvas.width - size.width) / 2, y: (canvas.height - size.height) / 2)
        let format = UIGraphicsImageRendererFormat()
        format.scale = picture.scale
        return UIGraphicsImageRenderer(size: canvas, format: format).image { context in
            UIColor.black.setFill()
            context.fill(CGRect(origin: .zero, size: canvas))
            UIColor.white.setFill()  // transparent pixels are white, as in training
            context.fill(CGRect(origin: corner, size: size))
            picture.draw(at: corner)  // upright, whatever its orientation is
        }
    }
"""
_SWIFT_SIDES = {
    "squash": ("size.width", "size.height"),
    "crop": ("min(size.width, size.height)",) * 2,
    "pad": ("max(size.width, size.height)",) * 2,
}
_MADE = {
    "squash": "squashed to the model's square",
    "crop": "cut to its centre square",
    "pad": "fitted into a square with black bars",
}


def program(language: str, labelling: str, resize: str) -> str:
    """A program in "kotlin" or "swift".

    Args:
        labelling: "one" or "many", the labels of a picture; "known": one, where the file has the output `known` too.
        resize: how a picture that is not square becomes one: "squash", "crop" or "pad".
    """
    whole, limit, answer, square, sides = {
        "kotlin": (_KOTLIN, _KOTLIN_LIMIT, _KOTLIN_ANSWER, _KOTLIN_SQUARE, _KOTLIN_SIDES),
        "swift": (_SWIFT, _SWIFT_LIMIT, _SWIFT_ANSWER, _SWIFT_SQUARE, _SWIFT_SIDES),
    }[language]
    width, height = sides[resize]
    parts = {
        "limit": limit[labelling], "answer": answer[labelling], "square": square, "made": _MADE[resize], "width": width,
        "height": height,
    }  # fmt: skip
    for name, text in parts.items():
        whole = whole.replace(f"{{{name}}}", text)
    return whole
