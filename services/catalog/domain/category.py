"""Categories: a tree, and for each place in it the attributes its products have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from shared.kernel.errors import Conflict, Invalid, NotFound, PreconditionFailed

Kind = Literal["choice", "text", "integer", "boolean"]
MAX_DEPTH = 5


class NoSuchCategory(NotFound):
    """There is no such category."""


class UnknownCategory(Invalid):
    """There is no such category; see GET /v1/categories."""


class CategoryTaken(Conflict):
    """There is a category with this id already."""


class CategoryInUse(Conflict):
    """Categories or products lie under this one; move them first."""


class CategoryTooDeep(Invalid):
    """Categories go five levels deep."""


class AttributeInvalid(Invalid):
    """This attribute does not exist in the category, belongs elsewhere, or has a value of the wrong type."""


@dataclass
class Attribute:
    """One attribute of a category's products. `varies`: its SKUs differ in it (colour, size)."""

    code: str
    names: dict[str, str]
    kind: Kind = "text"
    choices: dict[str, dict[str, str]] = field(default_factory=dict)
    """For kind `choice`: the allowed values, each with its names by locale."""
    required: bool = False
    varies: bool = False
    unit: str = ""

    def normal(self, value: Any) -> str | None:
        """The one text under which `value` is kept, or None when it is none of this attribute's."""
        match self.kind, value:
            case "choice", str():
                return value if value in self.choices else None
            case "text", str():
                return value.strip()[:200] or None
            case "integer", int() if not isinstance(value, bool):
                return str(value)
            case "integer", str() if value.isdecimal() and value.isascii() and len(value) <= 12:
                return str(int(value))
            case "boolean", bool():
                return "true" if value else "false"
            case "boolean", ("true" | "false"):
                return str(value)
        return None


@dataclass
class Category:
    """`path` is the ids from the root down, `/clothing/shirts`; it never changes."""

    category_id: str
    parent_id: str | None
    path: str
    names: dict[str, str]
    attributes: list[Attribute] = field(default_factory=list)
    position: int = 0
    version: int = 1

    def change(self, expected: int | None, new: dict[str, Any]) -> None:
        """Raises PreconditionFailed when the category is not at version `expected`."""
        if expected not in (None, self.version):
            raise PreconditionFailed()
        for name, value in new.items():
            setattr(self, name, value)
        self.version += 1


def under(parent: Category | None, category_id: str, **more: Any) -> Category:
    """A new category under `parent` (None: at the top). Raises CategoryTooDeep."""
    path = f"{parent.path if parent else ''}/{category_id}"
    if path.count("/") > MAX_DEPTH:
        raise CategoryTooDeep(field="parent_id")
    return Category(category_id, parent.category_id if parent else None, path, **more)


@dataclass(frozen=True)
class AttributeSet:
    """All attributes that hold at one place of the tree: its own and those of all above it."""

    by_code: dict[str, Attribute]

    @classmethod
    def of(cls, line: list[Category]) -> AttributeSet:
        """`line`: the category's ancestors from the root, and itself."""
        return cls({one.code: one for category in line for one in category.attributes})

    def normal(self, given: dict[str, Any], *, varies: bool, field: str) -> dict[str, str]:
        """`given`, checked and in normal form. Raises AttributeInvalid with the field's path."""
        found = {}
        for code, value in given.items():
            attribute = self.by_code.get(code)
            text = attribute.normal(value) if attribute and attribute.varies == varies else None
            if text is None:
                raise AttributeInvalid(field=f"{field}.{code}")
            found[code] = text
        return found

    def missing(self, given: dict[str, str], *, varies: bool) -> list[str]:
        """Codes of required attributes that were not given."""
        return [
            one.code for one in self.by_code.values() if one.required and one.varies == varies and one.code not in given
        ]

    def readable(self, given: dict[str, str]) -> list[str]:
        """The values as people search for them: choices by their names in all languages."""
        words = []
        for code, value in given.items():
            attribute = self.by_code.get(code)
            words += list(attribute.choices.get(value, {}).values()) if attribute else []
            words.append(value)
        return words
