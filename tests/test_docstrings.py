"""Every public function says what it does, and shows it on a case that the eye can check."""

import ast
from pathlib import Path

import pytest

MODULES = sorted(Path("masklab").rglob("*.py"))


def public(path, *kinds):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_public_function_has_a_doctest(path):
    assert [node.name for node in public(path, ast.FunctionDef) if ">>>" not in (ast.get_docstring(node) or "")] == []


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_whatever_is_public_says_in_one_sentence_what_it_is(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = [
        part
        for node in public(path, ast.ClassDef)
        for part in node.body
        if isinstance(part, ast.FunctionDef) and not part.name.startswith("_")
    ]
    for node in [*public(path, ast.FunctionDef, ast.ClassDef), *inside]:
        first = (ast.get_docstring(node) or "").split("\n\n")[0]
        assert first.endswith((".", "?", ":")), f"{path}: {node.name}: {first!r}"
    assert not tree.body or ast.get_docstring(tree), f"{path} does not say what it is about"


def test_there_is_something_to_look_at():
    assert len(MODULES) > 40 and sum(len(public(path, ast.FunctionDef)) for path in MODULES) > 150
