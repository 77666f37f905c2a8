"""Who is told what, and in which words."""

from services.support.domain.rules import OPERATORS, RULES, Notice, notices
from services.support.domain.texts import Letter, letter, locale_of, render

__all__ = ["OPERATORS", "RULES", "Letter", "Notice", "letter", "locale_of", "notices", "render"]
