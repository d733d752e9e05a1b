"""Do the functions and files that a notebook's prose names exist? Looks at inline code only."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
from types import ModuleType

import utils
from tests.notebook_parts import FENCE, ROOT

INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
DOTTED = re.compile(r"^(?:utils\.)?([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?:\(.*\))?$")
FILES = re.compile(r"^(?:\.\./)?((?:utils|data|tests|tools|notebooks)/[\w./-]+)$")


def unknown_names(source: str) -> list[str]:
    """Dotted names in inline code that begin with a module of utils and do not resolve."""
    return [text for text in _inline(source) if _is_unknown(text)]


def unknown_files(source: str) -> list[str]:
    """Paths in inline code that begin with a folder of the repository and do not exist (NAME, NN: placeholders)."""
    paths = [match[1] for text in _inline(source) if (match := FILES.match(text))]
    return [path for path in paths if not re.search(r"NAME|NN", path) and not (ROOT / path).exists()]


def _inline(source: str) -> list[str]:
    return [text.strip() for text in INLINE.findall(FENCE.sub("", source))]


def _is_unknown(text: str) -> bool:
    match = DOTTED.match(text)
    if not match or (not text.startswith("utils.") and match[1].split(".")[0] not in modules()):
        return False
    first, *rest = match[1].split(".")
    return first not in modules() or not _resolves(modules()[first], rest)


@functools.cache
def modules() -> dict[str, ModuleType | None]:
    """The modules directly in utils; None for one that cannot be imported here."""
    return {info.name: _import(f"utils.{info.name}") for info in pkgutil.iter_modules(utils.__path__)}


def _import(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _resolves(thing: object, names: list[str]) -> bool:
    """Attributes of a module, of a class in it (`world.mlm_floor` is a method of World), or of a submodule."""
    if not names:
        return True
    first, rest = names[0], names[1:]
    candidates = [thing]
    if inspect.ismodule(thing):
        candidates += [value for value in vars(thing).values() if inspect.isclass(value)]
        if (submodule := _import(f"{thing.__name__}.{first}")) and _resolves(submodule, rest):
            return True
    for candidate in candidates:
        if hasattr(candidate, first):
            return _resolves(getattr(candidate, first), rest) or not inspect.ismodule(thing)
        if inspect.isclass(candidate) and _sets(candidate, first):
            return True
    return False


def _sets(cls: type, name: str) -> bool:
    """Is `name` a field of the class: annotated, or assigned to self in its code?"""
    if any(name in getattr(base, "__annotations__", {}) for base in cls.__mro__):
        return True
    try:
        return bool(re.search(rf"\bself\.{name}\b[^=\n]*=[^=]", inspect.getsource(cls)))
    except (OSError, TypeError):
        return False
