"""Modules that store their keyword arguments, so that a file of weights holds what rebuilds its model.

The arguments are plain values from a command line or a file; their types and ranges are checked here.
"""

import inspect
import json
import math
import reprlib
import types
from typing import Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

import torch
from torch import nn

LARGEST = 1 << 16  # limit of any whole number: channels, steps, pixels, points
DESCRIBED = {int: f"a whole number in 1..{LARGEST}", float: "a finite number", bool: "true or false", str: "a word"}
Module = TypeVar("Module", bound="Configured")


class Configured(nn.Module):
    """Base class of modules built from plain values and other such modules, all by keyword."""

    arguments: dict[str, Any]
    registered: ClassVar[dict[str, type["Configured"]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.registered[cls.__name__] = cls

    def __new__(cls: type[Module], **arguments: Any) -> Module:  # beartype knows no Self in a method by itself
        module = object.__new__(cls)
        if arguments:  # copying and unpickling pass none and restore the attribute
            # Early releases of Python 3.11 take this method for the signature of a class that inherits ``__init__``.
            bound = inspect.signature(cls.__init__).bind(module, **arguments)
            bound.apply_defaults()
            _, *named = bound.arguments.items()
            module.arguments = dict(named)
            hints = get_type_hints(cls.__init__)
            for name, value in module.arguments.items():
                check_value(value, hints.get(name, Any), f"{cls.__name__} {name}")
        return module

    def settings(self) -> dict[str, Any]:
        """Return class and arguments as a nested dict of plain values, for JSON."""
        values = {
            name: value.settings() if isinstance(value, Configured) else value for name, value in self.arguments.items()
        }
        return {"class": type(self).__name__, **values}


def build(settings: Any) -> Configured:
    """Return the module that ``settings`` describes, newly initialised; only registered classes are instantiated.

    Raises:
        ValueError: the class is unknown, or does not take the arguments.
    """
    name = settings.get("class") if isinstance(settings, dict) else None
    if not isinstance(name, str) or name not in Configured.registered:
        known = ", ".join(Configured.registered)
        raise ValueError(f"model settings name the class {reprlib.repr(name)}, not one of {known}")
    values = {key: value for key, value in settings.items() if key != "class"}
    arguments = {key: build(value) if isinstance(value, dict) else value for key, value in values.items()}
    try:
        return Configured.registered[name](**arguments)
    except TypeError as error:
        raise ValueError(f"model settings do not fit {name}: {error}") from error


def check_rebuilds(module: Configured) -> None:
    """Raise ValueError if a module could not be rebuilt from its settings, and saved weights not be loaded."""
    name = type(module).__name__
    try:
        text = json.dumps(module.settings())
    except TypeError as error:
        raise ValueError(f"a file of weights cannot hold the settings of {name}, {error}: use plain values") from error
    with torch.random.fork_rng(devices=[]):
        rebuilt = build(json.loads(text))
    ours, theirs = ({key: value.shape for key, value in each.state_dict().items()} for each in (module, rebuilt))
    if ours != theirs:
        other = sorted(ours.items() ^ theirs.items())[0][0]
        raise ValueError(f"{name} rebuilt from its settings has another {other}: it must depend on its arguments alone")


def check_value(value: Any, hint: Any, name: str) -> None:
    """Raise ValueError if a value does not have the type of a signature, or a number is out of range."""
    if not fits(value, hint):
        wanted = DESCRIBED.get(hint) or (hint.__name__ if isinstance(hint, type) else str(hint))
        shown = type(value).__name__ if isinstance(value, nn.Module) else reprlib.repr(value)
        raise ValueError(f"{name}={shown} should be {wanted}")


def fits(value: Any, hint: Any) -> bool:
    """Return True if a value is of a type and in its range; always for types other than plain ones."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        return any(fits(value, each) for each in inner)
    if origin in (list, tuple):
        each = [inner[0]] * len(value) if origin is list and isinstance(value, list | tuple) else inner
        return isinstance(value, list | tuple) and len(value) == len(each) and all(map(fits, value, each))
    if hint is int:
        return type(value) is int and 1 <= value <= LARGEST
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    return isinstance(value, hint) if isinstance(hint, type) else True
