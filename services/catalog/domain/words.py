"""Words: those a product may not contain, and those it is found by."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import rjieba

from shared.kernel.errors import Invalid

# A hint for the reviewer, not a judgement: "replica" may be a honest model ship.
PROHIBITED = (
    "枪支", "手枪", "弹药", "子弹", "炸药", "雷管", "管制刀具", "弩", "毒品", "海洛因", "冰毒", "大麻", "摇头丸",
    "迷药", "假币", "假证", "发票代开", "高仿", "精仿", "A货", "翻墙", "赌具", "窃听器", "针孔摄像", "象牙", "虎骨",
    "穿山甲", "处方药", "代孕", "最便宜", "国家级", "全网第一", "包治百病",
    "firearm", "pistol", "ammunition", "explosive", "detonator", "heroin", "cocaine", "methamphetamine", "cannabis",
    "counterfeit", "replica", "fake id", "lock pick", "wiretap", "spy camera", "ivory", "tiger bone", "pangolin",
    "prescription drug", "cures all", "miracle cure",
)  # fmt: skip


class ProhibitedWords(Invalid):
    """A text of a product that was reviewed may not get words that need a review."""


def prohibited(texts: dict[str, str]) -> list[str]:
    """Hints ``field: word`` for each prohibited word, however it is spaced or disguised by full-width
    letters."""
    found = []
    for field, text in texts.items():
        plain = _plain(text)
        squeezed = re.sub(r"[\W_]+", "", plain)
        for word in PROHIBITED:
            folded = word.casefold()
            if folded.isascii():
                hit = re.search(rf"\b{re.escape(folded)}s?\b", plain)
            else:
                hit = re.search(re.escape(folded), squeezed)
            if hit:
                found.append(f"{field}: {word}")
    return found


def title_words(texts: Iterable[str]) -> str:
    """Search words of titles, separated by spaces. Single Chinese characters too, so that one alone finds
    a title."""
    words: dict[str, None] = {}
    for text in texts:
        words |= dict.fromkeys(_cut(text, fine=True))
        words |= dict.fromkeys(letter for letter in text if "\u4e00" <= letter <= "\u9fff")
    return " ".join(words)


def text_words(texts: Iterable[str]) -> str:
    """Search words of longer texts, separated by spaces."""
    return " ".join(dict.fromkeys(word for text in texts for word in _cut(text, fine=True)))


def query_words(text: str) -> list[str]:
    """What somebody looks for, cut as the texts are. At most sixteen words."""
    return list(dict.fromkeys(_cut(text, fine=False)))[:16]


def _cut(text: str, *, fine: bool) -> list[str]:
    # The dictionary writes Latin letters large ("T恤"): without that, "t恤" would be cut another way.
    large = unicodedata.normalize("NFKC", text).upper()
    pieces = rjieba.cut_for_search(large) if fine else rjieba.cut(large)
    return [word.casefold() for piece in pieces for word in re.findall(r"[^\W_]+", piece)]


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
