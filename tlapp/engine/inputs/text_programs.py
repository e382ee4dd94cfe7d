"""Programs that name a text: how one in Python makes ids, and whole ones for phones, in Kotlin and Swift, by MediaPipe."""

from __future__ import annotations

from tlapp.engine.inputs.phone_programs import KOTLIN_KNOWN, SWIFT_KNOWN

PREPARE = """

# pip install tokenizers; vocab.txt lies beside the model
tokenizer = Tokenizer(models.WordPiece.from_file("vocab.txt", unk_token="[UNK]", max_input_chars_per_word=100))
tokenizer.normalizer = normalizers.BertNormalizer(lowercase={lowercase}, strip_accents={strip_accents})
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
text = open(sys.argv[1], encoding="utf-8-sig", errors="ignore").read()
first, last = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
ids = np.array([[first, *tokenizer.encode(text).ids[:{inside}], last]])
inputs = {name: ids if name == "ids" or len(shapes) == 1 else np.zeros_like(ids) for name in shapes}"""

PREPARE_PAIR = """

# pip install tokenizers; vocab.txt lies beside the model
tokenizer = Tokenizer(models.WordPiece.from_file("vocab.txt", unk_token="[UNK]", max_input_chars_per_word=100))
tokenizer.normalizer = normalizers.BertNormalizer(lowercase={lowercase}, strip_accents={strip_accents})
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
first, last = ((token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]"))
tokenizer.post_processor = processors.BertProcessing(last, first)
tokenizer.enable_truncation({length}, strategy="longest_first")
text, text2 = open(sys.argv[1], encoding="utf-8-sig", errors="ignore").read().split("\\t")
ids = np.array([tokenizer.encode(text, text2).ids])
inputs = {name: ids if name == "ids" or len(shapes) == 1 else np.zeros_like(ids) for name in shapes}"""

_KOTLIN = """\
// Android, app/build.gradle: implementation("com.google.mediapipe:tasks-text:latest.release")
// Put model.tflite into app/src/main/assets. Labels and vocabulary are inside it.
import android.content.Context
import com.google.mediapipe.tasks.core.BaseOptions
import com.google.mediapipe.tasks.text.textclassifier.TextClassifier
import com.google.mediapipe.tasks.text.textclassifier.TextClassifier.TextClassifierOptions

class Names(context: Context) {
    private val classifier = TextClassifier.createFromOptions(
        context,
        TextClassifierOptions.builder()
            .setBaseOptions(BaseOptions.builder().setModelAssetPath("model.tflite").build())
            {limit}
            .build(),
    )

{answer}
}
"""
_KOTLIN_LIMIT = {"one": ".setMaxResults(1)", "known": ".setMaxResults(1)", "many": ".setScoreThreshold(0.5f)"}
_KOTLIN_ANSWER = {
    "one": """\
    /** The label of a text of any length. */
    fun name(text: String): String {
        val best = classifier.classify(text).classificationResult().classifications()[0].categories()[0]
        return "${best.categoryName()} ${best.score()}"
    }""",
    "many": """\
    /** The labels above 0.5 of a text of any length, none included. */
    fun names(text: String): List<String> =
        classifier.classify(text).classificationResult().classifications()[0].categories()
            .map { "${it.categoryName()} ${it.score()}" }""",
    "known": f"""\
    /** The label of a text of any length. Unknown: unlike what the model was trained on. */
    fun name(text: String): String {{
        val outputs = classifier.classify(text).classificationResult().classifications()
{KOTLIN_KNOWN}    }}""",
}
_SWIFT = """\
// iOS, Podfile: pod 'MediaPipeTasksText'
// Add model.tflite to the app's target. Labels and vocabulary are inside it.
import Foundation
import MediaPipeTasksText

final class Names {
    private let classifier: TextClassifier

    init() throws {
        let options = TextClassifierOptions()
        options.baseOptions.modelAssetPath = Bundle.main.path(forResource: "model", ofType: "tflite")!
        {limit}
        classifier = try TextClassifier(options: options)
    }

{answer}
}
"""
_SWIFT_LIMIT = {"one": "options.maxResults = 1", "known": "options.maxResults = 1", "many": "options.scoreThreshold = 0.5"}
_SWIFT_ANSWER = {
    "one": """\
    /// The label of a text of any length.
    func name(_ text: String) throws -> String {
        let result = try classifier.classify(text: text)
        guard let best = result.classificationResult.classifications.first?.categories.first else { return "" }
        return "\\(best.categoryName ?? "") \\(best.score)"
    }""",
    "many": """\
    /// The labels above 0.5 of a text of any length, none included.
    func names(_ text: String) throws -> [String] {
        let categories = try classifier.classify(text: text).classificationResult.classifications.first?.categories ?? []
        return categories.map { "\\($0.categoryName ?? "") \\($0.score)" }
    }""",
    "known": f"""\
    /// The label of a text of any length. Unknown: unlike what the model was trained on.
    func name(_ text: String) throws -> String {{
        let outputs = try classifier.classify(text: text).classificationResult.classifications
{SWIFT_KNOWN}    }}""",
}


def program(language: str, labelling: str) -> str:
    """A program in "kotlin" or "swift", for labels "one" or "many" of a text; "known" as for pictures."""
    whole, limit, answer = {
        "kotlin": (_KOTLIN, _KOTLIN_LIMIT, _KOTLIN_ANSWER),
        "swift": (_SWIFT, _SWIFT_LIMIT, _SWIFT_ANSWER),
    }[language]
    return whole.replace("{limit}", limit[labelling]).replace("{answer}", answer[labelling])
