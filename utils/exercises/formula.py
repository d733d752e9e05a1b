r"""A little LaTeX set as HTML, for quiz texts: they must read the same with and without MathJax, online or not.

    to_html("loss $= H(p) + \mathrm{KL}(p \,\|\, q)$ in `nats`")

covers what a one-line formula needs (letters, sub- and superscripts, fractions written with a slash, Greek,
common operators). It is not a LaTeX engine: a command it does not know raises ValueError, so a quiz cannot
show raw source.
"""

from __future__ import annotations

import html
import re

SYMBOLS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "eta": "η",
    "theta": "θ", "lambda": "λ", "mu": "μ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ",
    "psi": "ψ", "omega": "ω", "Delta": "Δ", "Sigma": "Σ", "Omega": "Ω", "sum": "∑", "prod": "∏", "int": "∫",
    "infty": "∞", "partial": "∂", "nabla": "∇", "in": " ∈ ", "notin": " ∉ ", "le": " ≤ ", "leq": " ≤ ",
    "ge": " ≥ ", "geq": " ≥ ", "ne": " ≠ ", "neq": " ≠ ", "approx": " ≈ ", "times": " × ", "cdot": " · ",
    "pm": " ± ", "to": " → ", "mid": " | ", "|": "‖", "ldots": "…", "dots": "…", "cdots": "⋯", "ell": "ℓ",
    "propto": " ∝ ", "sim": " ∼ ", "top": "⊤", "log": "log ", "ln": "ln ", "exp": "exp ", "max": "max ",
    "min": "min ", "quad": " ", "qquad": "  ", ",": " ", ";": " ", " ": " ", "!": "",
    "{": "{", "}": "}", "%": "%", "_": "_", "$": "$", "left": "", "right": "",
}  # fmt: skip
UPRIGHT = ("mathrm", "text", "operatorname", "mathcal", "mathbb", "mathbf", "textbf")
TOKEN = re.compile(r"\\([A-Za-z]+|.)|([{}^_])|([^\\{}^_])", re.DOTALL)


def to_html(text: str) -> str:
    """Plain text with `code`, **bold**, *emphasis* and $formula$ as HTML; everything else is escaped."""
    pieces = re.split(r"(`[^`]+`|(?<!\\)\$[^$]+(?<!\\)\$)", text)
    return "".join(_piece(piece) for piece in pieces)


def _piece(piece: str) -> str:
    if len(piece) > 2 and piece[0] == piece[-1] == "`":
        code = html.escape(piece[1:-1], quote=False)
        # As entities, so that jupyterquiz does not take them for formulas and links.
        return f"<code>{code.replace('$', '&#36;').replace('[', '&#91;')}</code>"
    if len(piece) > 2 and piece[0] == piece[-1] == "$":
        return f'<span style="white-space: nowrap">{formula_to_html(piece[1:-1])}</span>'
    escaped = html.escape(piece.replace(r"\$", "\0"), quote=False).replace("\0", "&#36;")
    escaped = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", escaped)
    return re.sub(r"(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])", r"<em>\1</em>", escaped)


def formula_to_html(source: str) -> str:
    """One formula (without the dollar signs) as HTML. Raises ValueError for a command it does not know."""
    tokens = [match.group(0) for match in TOKEN.finditer(source)]
    result, rest = _sequence(tokens, until=None)
    if rest:
        raise ValueError(f"the formula {source!r} closes a brace that was never opened.")
    return re.sub(r" {2,}", " ", result.replace("</i><i>", "")).strip()


def _sequence(tokens: list[str], until: str | None) -> tuple[str, list[str]]:
    parts = []
    while tokens:
        if tokens[0] == "}":
            return "".join(parts), tokens[1:] if until == "}" else tokens
        part, tokens = _one(tokens)
        parts.append(part)
    if until:
        raise ValueError("a formula opens a brace that is never closed.")
    return "".join(parts), tokens


def _one(tokens: list[str]) -> tuple[str, list[str]]:
    """Set the first token together with its arguments; returns its HTML and the tokens that follow."""
    token, rest = tokens[0], tokens[1:]
    if token == "{":
        return _sequence(rest, until="}")
    if token in "^_":
        argument, rest = _argument(rest, token)
        tag = "sup" if token == "^" else "sub"
        return f"<{tag}>{argument}</{tag}>", rest
    if not token.startswith("\\"):
        letter = html.escape(token, quote=False).replace("-", "−")
        return (f"<i>{letter}</i>" if token.isalpha() else letter), rest
    name = token[1:]
    if name in ("frac", "tfrac", "dfrac"):
        over, rest = _argument(rest, token)
        under, rest = _argument(rest, token)
        return f"{_bracketed(over)}/{_bracketed(under)}", rest
    if name == "sqrt":
        inside, rest = _argument(rest, token)
        return f"√({inside})", rest
    if name in ("hat", "bar", "tilde"):
        inside, rest = _argument(rest, token)
        return inside + {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303"}[name], rest
    if name in UPRIGHT:
        inside, rest = _argument(rest, token)
        return re.sub(r"</?i>", "", inside), rest
    if name not in SYMBOLS:
        raise ValueError(f"the command {token} is not known; see SYMBOLS in utils/exercises/formula.py.")
    return SYMBOLS[name], rest


def _argument(tokens: list[str], of: str) -> tuple[str, list[str]]:
    while tokens and tokens[0] == " ":
        tokens = tokens[1:]
    if not tokens or tokens[0] == "}":
        raise ValueError(f"{of} lacks its argument.")
    return _one(tokens)


def _bracketed(part: str) -> str:
    """Brackets around a part of a fraction, unless it is one symbol."""
    return part if re.fullmatch(r"(<i>)?\w+(</i>)?", part) else f"({part})"
