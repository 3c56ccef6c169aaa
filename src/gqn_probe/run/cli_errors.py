"""One-line messages for errors on the command line, with the closest existing name."""

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, HydraException, InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from gqn_probe.choices import nearest

USER_ERRORS = (HydraException, OmegaConfBaseException, YAMLError, ValueError, OSError, FloatingPointError)
# Choices of Hydra's plugins, and the extra that installs each.
PLUGINS = {f"hydra/launcher={name}": "scale" for name in ("joblib", "ray", "submitit_local", "submitit_slurm")}
PLUGINS["hydra/sweeper=optuna"] = "optuna"
WORDS_OR_NUMBERS = ("context", "scene", "seed", "trainer.devices")  # such as 1..15, a name, auto
UNKNOWN_KEY = re.compile(r"Could not override '([^']*)'")
UNKNOWN_ARGUMENT = re.compile(r"__init__\(\) (?:got an unexpected keyword argument|missing \d+ required)")
UNKNOWN_CHOICE = re.compile(r"Could not (?:find|load) '([^']*)/([^'/]*)'(?:.*Available options in '[^']*': (.*))?")


def one_line(error: BaseException) -> str:
    """Return the message of the innermost error that Hydra wrapped, in one line with a remedy."""
    while isinstance(error, InstantiationException) and error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error).split()).partition(" Config search path:")[0].rstrip(".")
    if isinstance(error, TypeError) and UNKNOWN_ARGUMENT.search(text) and (folder := _resumed_run()):
        return (
            f"{folder} was configured for another version of this program ({text}): continue it with that version, "
            f"or start a new run with initial_weights={folder}/checkpoints/last.ckpt"
        )
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} is missing: add {error.full_key}=..."
    if isinstance(error, ConfigCompositionException):
        if key := UNKNOWN_KEY.search(text):
            return _unknown_key(key[1])
        if choice := UNKNOWN_CHOICE.search(text):
            return _unknown_choice(*choice.groups())
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"{error.filename} does not exist"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; hydra.run.dir=, hydra.sweep.dir= and cache= choose other folders"
    return text


def check_value_types(cfg: DictConfig) -> None:
    """Raise ValueError for a word on the command line where the default is a number, or is true or false."""
    if not (HydraConfig.initialized() and GlobalHydra.instance().is_initialized()):  # in another process of a sweep
        return
    job = HydraConfig.get()
    given = {item: item.lstrip("+").partition("=")[0] for item in job.overrides.task}
    groups = {*job.runtime.choices, *WORDS_OR_NUMBERS}
    words = {key: OmegaConf.select(cfg, key) for key in given.values() if key.partition("@")[0] not in groups}
    words = {key: value for key, value in words.items() if isinstance(value, str)}
    if not words:  # composing takes a tenth of a second
        return
    defaults = compose(job.job.config_name, [item for item, key in given.items() if key not in words])
    for key, word in words.items():
        default = OmegaConf.select(defaults, key)
        if isinstance(default, int | float):
            wanted = "true or false" if isinstance(default, bool) else f"a number, such as {default}"
            raise ValueError(f"{key}={word} must be {wanted}")


def _resumed_run() -> str | None:
    named = next((given for given in sys.argv if given.startswith("resume=")), "resume=null")
    return None if named == "resume=null" else named.removeprefix("resume=")


def _unknown_key(key: str) -> str:
    script = Path(sys.argv[0])
    experiment = next((given for given in sys.argv if given.lstrip("+").startswith("experiment=")), None)
    if experiment and not any(given.lstrip("+").startswith(key) for given in sys.argv[1:]):
        other = "probe.py" if script.name == "train.py" else "train.py"
        return f"{experiment} sets {key!r}, which {script.name} does not have: it is for {other}"
    known = _known_keys()
    prefix = key[: -len(key.rpartition(".")[2])]  # of the same node, such as `model.`
    beside = [each.removeprefix(prefix) for each in known if each.startswith(prefix)]
    hint = nearest(key.removeprefix(prefix), [name for name in beside if "." not in name])
    hint = hint.replace("mean ", f"mean {prefix}") or nearest(key, known)
    return f"there is no setting {key!r}; {hint}`{_command()} --help` tells more"


def _unknown_choice(group: str, choice: str, available: str | None) -> str:
    options = available.split() if available else sorted(path.stem for path in (_conf() / group).glob("*.yaml"))
    if extra := PLUGINS.get(f"{group}={choice}"):
        return f"{group}={choice} needs another package: pip install -e '.[{extra}]'"
    if not options:
        return f"there is no group {group!r}; `{_command()} --help` lists them all"
    return f"there is no {group}={choice}; {nearest(choice, options)}use {', '.join(options)}"


def _command() -> str:
    """Return the command that runs this script; scripts without a file of their own are modules of the package."""
    script = Path(sys.argv[0])
    return f"python {script.name}" if script.exists() else f"python -m gqn_probe.{script.stem}"


def _conf() -> Path:
    return Path(sys.argv[0]).resolve().parent / "conf"


def _known_keys() -> list[str]:
    """Return all groups and all keys of the configuration, with the choices of the command line."""
    if not (conf := _conf()).is_dir():
        return []
    groups = [path.relative_to(conf).as_posix() for path in sorted(conf.rglob("*")) if path.is_dir()]
    chosen = [given for given in sys.argv[1:] if given.partition("=")[0] in groups]
    with initialize_config_dir(str(conf), version_base="1.3"):
        for overrides in (chosen, []):
            with suppress(HydraException, OmegaConfBaseException):  # a choice may be what is wrong
                cfg = compose(Path(sys.argv[0]).stem, overrides)
                keys = _keys(OmegaConf.to_container(cfg))
                return [*(group for group in groups if group.partition("/")[0] in {*cfg, "experiment"}), *keys]
    return groups


def _keys(node: object, prefix: str = "") -> Iterator[str]:
    for name, child in node.items() if isinstance(node, dict) else ():
        yield f"{prefix}{name}"
        yield from _keys(child, f"{prefix}{name}.")
