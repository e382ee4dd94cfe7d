"""The engine does not know what a text is: only inputs/, the formats of exports and the table of options do."""

import re
from pathlib import Path

ENGINE = Path(__file__).parents[2] / "tlapp" / "engine"
WORDS = re.compile(r"TextInput|TextExport|\bTexts\b|WordPiece|[Tt]okeni[sz]|\b[Vv]ocab|\b[Bb][Ee][Rr][Tt]\b|\"text\"")
OPEN = ("inputs/", "export/formats/", "options.py")


def test_no_other_file_of_the_engine_names_what_is_of_texts():
    files = {path.relative_to(ENGINE).as_posix(): path.read_text(encoding="utf-8") for path in ENGINE.rglob("*.py")}
    assert any(WORDS.search(text) for name, text in files.items() if name.startswith(OPEN)), "the pattern finds something"
    named = [
        f"{name}:{number}: {line.strip()}"
        for name, text in sorted(files.items())
        if not name.startswith(OPEN)
        for number, line in enumerate(text.splitlines(), 1)
        if WORDS.search(line)
    ]
    assert not named
