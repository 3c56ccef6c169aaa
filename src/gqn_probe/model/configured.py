"""Modules that remember their keyword arguments, so that weights travel with what rebuilds their model."""

import inspect
from typing import Any, ClassVar, TypeVar

from torch import nn

Module = TypeVar("Module", bound="Configured")


class Configured(nn.Module):
    """A module made from plain values and other such modules, all by keyword."""

    arguments: dict[str, Any]
    registered: ClassVar[dict[str, type["Configured"]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.registered[cls.__name__] = cls

    def __new__(cls: type[Module], **arguments: Any) -> Module:  # beartype knows no Self in a method by itself
        module = object.__new__(cls)
        if arguments:  # none when a copy is made, which brings its own
            bound = inspect.signature(cls).bind(**arguments)
            bound.apply_defaults()
            module.arguments = dict(bound.arguments)
        return module

    def settings(self) -> dict[str, Any]:
        """Class and arguments as a nested dict of plain values, fit for JSON."""
        values = {
            name: value.settings() if isinstance(value, Configured) else value for name, value in self.arguments.items()
        }
        return {"class": type(self).__name__, **values}


def build(settings: dict[str, Any]) -> Configured:
    """The module that ``settings`` describes, newly initialised; only classes that were defined are ever made.

    Raises:
        ValueError: an unknown class, or arguments that it does not take.
    """
    classes = Configured.registered
    if settings.get("class") not in classes:
        raise ValueError(f"model settings name the class {settings.get('class')!r}, not one of {', '.join(classes)}")
    arguments = {
        name: build(value) if isinstance(value, dict) else value for name, value in settings.items() if name != "class"
    }
    try:
        return classes[settings["class"]](**arguments)
    except TypeError as error:
        raise ValueError(f"model settings do not fit {settings['class']}: {error}") from error
