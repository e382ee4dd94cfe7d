"""Programs for phones that name a picture, in Kotlin and Swift, by MediaPipe."""

from __future__ import annotations

_KOTLIN = """\
// Android, app/build.gradle: implementation("com.google.mediapipe:tasks-vision:latest.release")
// Put model.tflite into app/src/main/assets. Labels and normalisation are inside it.
import android.content.Context
import android.graphics.Bitmap
{imports}import com.google.mediapipe.framework.image.BitmapImageBuilder
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

_KOTLIN_LIMIT = {"one": ".setMaxResults(1)", "many": ".setScoreThreshold(0.5f)"}
_KOTLIN_ANSWER = {
    "one": """\
    /** The label of an upright ARGB_8888 bitmap of any size: it is {made}. */
    fun name(bitmap: Bitmap): String {
        val best = classifier.classify(BitmapImageBuilder({bitmap}).build())
            .classificationResult().classifications()[0].categories()[0]
        return "${best.categoryName()} ${best.score()}"
    }""",
    "many": """\
    /** The labels above 0.5 of an upright ARGB_8888 bitmap of any size, none included: it is {made}. */
    fun names(bitmap: Bitmap): List<String> =
        classifier.classify(BitmapImageBuilder({bitmap}).build())
            .classificationResult().classifications()[0].categories()
            .map { "${it.categoryName()} ${it.score()}" }""",
}
_KOTLIN_SQUARE = {
    "squash": "",
    "crop": """\

    private fun square(bitmap: Bitmap): Bitmap {
        val side = minOf(bitmap.width, bitmap.height)
        return Bitmap.createBitmap(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side)
    }
""",
    "pad": """\

    private fun square(bitmap: Bitmap): Bitmap {
        val side = maxOf(bitmap.width, bitmap.height)
        val square = Bitmap.createBitmap(side, side, Bitmap.Config.ARGB_8888)
        val canvas = Canvas(square)
        canvas.drawColor(Color.BLACK)
        canvas.drawBitmap(bitmap, (side - bitmap.width) / 2f, (side - bitmap.height) / 2f, null)
        return square
    }
""",
}
_KOTLIN_IMPORTS = {"squash": "", "crop": "", "pad": "import android.graphics.Canvas\nimport android.graphics.Color\n"}

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

_SWIFT_LIMIT = {"one": "options.maxResults = 1", "many": "options.scoreThreshold = 0.5"}
_SWIFT_ANSWER = {
    "one": """\
    /// The label of a picture of any size: it is {made}.
    func name(_ picture: UIImage) throws -> String {
        let image = try {image}
        let result = try classifier.classify(image: image)
        guard let best = result.classificationResult.classifications.first?.categories.first else { return "" }
        return "\\(best.categoryName ?? "") \\(best.score)"
    }""",
    "many": """\
    /// The labels above 0.5 of a picture of any size, none included: it is {made}.
    func names(_ picture: UIImage) throws -> [String] {
        let image = try {image}
        let result = try classifier.classify(image: image)
        let categories = result.classificationResult.classifications.first?.categories ?? []
        return categories.map { "\\($0.categoryName ?? "") \\($0.score)" }
    }""",
}
_SWIFT_IMAGE = {
    "squash": "MPImage(uiImage: picture, orientation: picture.imageOrientation)",
    "crop": "MPImage(uiImage: square(picture))",
    "pad": "MPImage(uiImage: square(picture))",
}
_SWIFT_DRAW = """\

    private func square(_ picture: UIImage) -> UIImage {
        let side = {side}(picture.size.width, picture.size.height)
        let format = UIGraphicsImageRendererFormat()
        format.scale = picture.scale
        return UIGraphicsImageRenderer(size: CGSize(width: side, height: side), format: format).image { context in
            UIColor.black.setFill()
            context.fill(CGRect(x: 0, y: 0, width: side, height: side))
            picture.draw(at: CGPoint(x: (side - picture.size.width) / 2, y: (side - picture.size.height) / 2))
        }
    }
"""
_SWIFT_SQUARE = {"squash": "", "crop": _SWIFT_DRAW.replace("{side}", "min"), "pad": _SWIFT_DRAW.replace("{side}", "max")}
_MADE = {
    "squash": "squashed to the model's square",
    "crop": "cut to its centre square",
    "pad": "fitted into a square with black bars",
}


def program(language: str, labelling: str, resize: str) -> str:
    """A program in "kotlin" or "swift".

    Args:
        labelling: "one" or "many", the labels of a picture.
        resize: how a picture that is not square becomes one: "squash", "crop" or "pad".
    """
    bitmap = "bitmap" if resize == "squash" else "square(bitmap)"
    whole, parts = {
        "kotlin": (_KOTLIN, {
            "imports": _KOTLIN_IMPORTS[resize], "limit": _KOTLIN_LIMIT[labelling], "answer": _KOTLIN_ANSWER[labelling],
            "square": _KOTLIN_SQUARE[resize], "bitmap": bitmap,
        }),
        "swift": (_SWIFT, {
            "limit": _SWIFT_LIMIT[labelling], "answer": _SWIFT_ANSWER[labelling], "square": _SWIFT_SQUARE[resize],
            "image": _SWIFT_IMAGE[resize],
        }),
    }[language]  # fmt: skip
    for name, text in {**parts, "made": _MADE[resize]}.items():
        whole = whole.replace(f"{{{name}}}", text)
    return whole
