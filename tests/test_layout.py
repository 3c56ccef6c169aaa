"""The tree as a newcomer meets it: no file too long or too small, and no name twice."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import jaxtyping
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
        or "\n@study_" in text
        or "\n@core\n" in text
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


def axes_of(path: Path) -> set[str]:
    """Return the axes in the shape annotations of a file, without modifiers, numbers and values of arguments."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Subscript(value=ast.Name(id=kind), slice=ast.Tuple(elts=[_, ast.Constant(value=str(shape))])) if (
                hasattr(jaxtyping, kind)
            ):
                found |= set(re.findall(r"(?<![\w{])[A-Za-z]\w*(?!\w*})", shape))
    return found


def test_axis_letters_are_those_of_the_legend():
    legend = (SOURCE / "gqn_probe" / "types.py").read_text(encoding="utf-8").split("=\n")[1]
    letters = {letter for entry in re.findall(r"^``(.+?)``", legend, re.MULTILINE) for letter in entry.split()}
    used = {axis: name for name, path in MODULES.items() for axis in axes_of(path) if len(axis) <= 2}
    assert not {axis: name for axis, name in used.items() if axis not in letters}
    assert letters <= used.keys()


def test_recipes_stay_recipes():
    assert [path.name for path in RECIPES if len(lines(path)) >= 80] == []
