"""The tree as a newcomer meets it: no file too long or too small, and no name twice."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

from scripts import ROOT

SOURCE = ROOT / "src"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts): path
    for path in sorted(SOURCE.rglob("*.py"))
    if path.name != "__init__.py"
}
RECIPES = [ROOT / "train.py", ROOT / "probe.py"]


@cache
def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def importers() -> Counter[str]:
    """How many other files import each module."""
    count: Counter[str] = Counter()
    for path in [*SOURCE.rglob("*.py"), *RECIPES]:
        found: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
            elif isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
        count.update(name for name in found & MODULES.keys() if MODULES[name] != path)
    return count


def stands_alone(module: str) -> bool:
    """Whether users or a registry reach the file, not only the module that imports it.

    It is run by ``python -m``, named in ``conf``, called by a recipe, registers itself by a decorator, or is a plug-in
    of Hydra.
    """
    text = MODULES[module].read_text(encoding="utf-8")
    return (
        '__name__ == "__main__"' in text
        or text.count("\n@study_") > 0
        or module.startswith("hydra_plugins.")
        or any(module in path.read_text(encoding="utf-8") for path in [*ROOT.glob("conf/**/*.yaml"), *RECIPES])
    )


def test_a_small_module_with_one_importer_is_something_of_its_own():
    """Else its few lines are read sooner where they are used, or beside those of the same idea."""
    count = importers()
    small = [name for name, path in MODULES.items() if len(lines(path)) < 60 and count[name] < 2]
    assert small
    assert not [name for name in small if not stands_alone(name)]


def test_no_module_is_long_and_no_name_is_given_twice():
    assert not [name for name, path in MODULES.items() if len(lines(path)) > 300]
    assert [name for name, times in Counter(path.name for path in MODULES.values()).items() if times > 1] == []


def test_recipes_stay_recipes():
    assert [path.name for path in RECIPES if len(lines(path)) >= 80] == []
