"""The built-in set of texts: names of signs in Unicode 3.2, by the kind of sign, which need no files.

Every version of Python holds this version's names. Source and licence: The Unicode Standard 3.2, Unicode License V3.
"""

from __future__ import annotations

import functools
import unicodedata

BUILTIN = "builtin:signs"
MOST = 120
"""Names of a kind; of more of them every so many is taken."""
KINDS = {
    "accent": ((0x0300, 0x036F), (0x02B0, 0x02FF)),
    "arrow": ((0x2190, 0x21FF), (0x27F0, 0x27FF), (0x2900, 0x297F)),
    "letter": ((0x2100, 0x214F), (0x1D400, 0x1D7FF)),
    "mathematics": ((0x2200, 0x22FF), (0x27C0, 0x27EF), (0x2980, 0x2AFF)),
    "music": ((0x1D100, 0x1D1FF),),
    "number": ((0x2150, 0x218F), (0x2460, 0x249B), (0x24EB, 0x24FE), (0x3220, 0x3229)),
    "picture": ((0x2600, 0x27BF),),
    "punctuation": ((0x0021, 0x002F), (0x003A, 0x0040), (0x005B, 0x0060), (0x007B, 0x00BF), (0x2010, 0x2063), (0x3001, 0x303F)),
    "shape": ((0x2500, 0x25FF),),
    "technical": ((0x2300, 0x23FF),),
}
"""Kind -> its ranges of code points, the first and the last: blocks of Unicode."""
PREFIXES = ("COMBINING ", "MODIFIER LETTER ", "MUSICAL SYMBOL ", "BOX DRAWINGS ", "MATHEMATICAL ", "APL FUNCTIONAL SYMBOL ")
"""What names begin with that would give the kind away; it is left out."""


@functools.cache
def listed() -> list[tuple[str, str, str]]:
    """(text, its title, kind) of each sign, a name of several kinds in the first."""
    names: dict[str, str] = {}
    for kind, ranges in KINDS.items():
        own = [name for low, high in ranges for code in range(low, high + 1) if (name := _name(code)) and name not in names]
        step = max(len(own) / MOST, 1)
        names |= {own[int(i * step)]: kind for i in range(min(len(own), MOST))}
    return [(name, f'"{name}"', kind) for name, kind in names.items()]


def _name(code: int) -> str:
    name = unicodedata.ucd_3_2_0.name(chr(code), "")
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name.lower()
