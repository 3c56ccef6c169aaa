"""The option ``all`` of the group ``probe/control``: every YAML file in that folder of the search path.

Hydra's defaults lists must name each option. A search-path plugin sees the folders before composition, so that a
control is added by its YAML file alone.
"""

from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin

GROUP, FIRST = "probe/control", ("none", "norm")  # r as it is and its length come first, wherever controls are listed


class ControlGroup(SearchPathPlugin):
    """Search-path plugin that stores ``probe/control/all`` as the list of all controls found."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        names: set[str] = set()
        for element in search_path.get_path():
            folder = element.path.removeprefix("file://")
            if "://" not in folder:  # not pkg:// or structured://
                names |= {path.stem for path in (Path(folder) / GROUP).glob("*.yaml")}
        ordered = [name for name in FIRST if name in names] + sorted(names.difference(FIRST))
        ConfigStore.instance().store(group=GROUP, name="all", node={"defaults": ordered}, provider="gqn-probe")
