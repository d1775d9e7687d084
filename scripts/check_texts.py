#!/usr/bin/env python3
"""Check the wording of all texts against docs/style.md. Print one line for each place: file, line, word, plain words.

Texts are docstrings, comments and string literals of Python, comments and string literals of the page scripts, and the
prose of Markdown files outside code samples. Exit status 1 if a word of the left column occurs.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STYLE = "docs/style.md"
#: The list itself, and samples of what the check reports.
EXEMPT_FILES = frozenset({STYLE, "tests/package/test_wording_and_name_checks.py"})
EXEMPT = "wording: quoted"
#: Folders whose files are not Bellflower's texts.
VENDORED = ("vendor/", "swagger/", "node_modules/")

Text = tuple[int, str]  # line number, text


def read_words(style: str) -> dict[str, str]:
    """The forbidden words and phrases, lower case, each with its replacement, from the table of docs/style.md."""
    words = {}
    for row in re.findall(r"^\| (`.*?) \| (.*?) \|$", style, re.MULTILINE):
        for word in re.findall(r"`([^`]+)`", row[0]):
            words[word.lower()] = row[1]
    return words


def compile_pattern(words: Iterable[str]) -> re.Pattern[str]:
    """Matches any of the words, the longest first; white space in a phrase matches any white space.

    Names do not match: a word in quotes ('nobody') or a part of a dotted name or path (shop.nobody, /task/nobody).
    """
    alternatives = "|".join(r"\s+".join(map(re.escape, word.split())) for word in sorted(words, key=len, reverse=True))
    quoted = rf"(?<=')(?:{alternatives})'"
    return re.compile(rf"(?<![\w./-])(?!{quoted})(?:{alternatives})(?![\w-])", re.IGNORECASE)


def python_texts(source: str) -> Iterator[Text]:
    """Comments, docstrings and string literals; strings that are one identifier-like word are data, not text."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            for offset, line in enumerate(node.value.splitlines()):
                # The value of a triple-quoted string has the line breaks of its source.
                yield min(node.lineno + offset, node.end_lineno or node.lineno), line


def markdown_texts(source: str) -> Iterator[Text]:
    in_sample = False
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().startswith("```"):
            in_sample = not in_sample
        elif not in_sample and not line.startswith("    "):
            yield number, re.sub(r"`[^`]*`", "``", line)


def script_texts(source: str) -> Iterator[Text]:
    """Comments and string literals of JavaScript and CSS, found line by line."""
    for number, line in enumerate(source.splitlines(), 1):
        for text in re.findall(r"//.*|/?\*.*|\"[^\"]* [^\"]*\"|'[^']* [^']*'|`[^`]* [^`]*`|>[^<>{}]* [^<>{}]*<", line):
            yield number, text


READERS = {
    ".py": python_texts,
    ".md": markdown_texts,
    ".js": script_texts,
    ".css": script_texts,
    ".html": markdown_texts,
}


def check_file(path: str, source: str, pattern: re.Pattern[str], words: dict[str, str]) -> list[str]:
    """The complaints about one file, each `path:line: "word": write …`."""
    read = READERS.get(Path(path).suffix, python_texts)
    exempt = {number for number, line in enumerate(source.splitlines(), 1) if EXEMPT in line}
    return [
        f'{path}:{number}: "{match.group()}": write {words[" ".join(match.group().lower().split())]}'
        for number, text in read(source)
        if number not in exempt
        for match in pattern.finditer(text)
    ]


def checked_files() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return sorted(
        path
        for path in listed.stdout.splitlines()
        if Path(path).suffix in READERS
        and path not in EXEMPT_FILES
        and not any(part in path for part in VENDORED)
        and (ROOT / path).is_file()
    )


def main() -> int:
    words = read_words((ROOT / STYLE).read_text())
    pattern = compile_pattern(words)
    complaints = []
    for path in checked_files():
        complaints += check_file(path, (ROOT / path).read_text(), pattern, words)
    print(*complaints, sep="\n") if complaints else print("wording: clean")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
