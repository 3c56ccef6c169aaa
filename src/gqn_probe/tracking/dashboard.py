"""Save the W&B dashboard of a project: ``python -m gqn_probe.tracking.dashboard entity=TEAM project=gqn-probe``.

It is separate from the study, so that no failure here can harm one.
"""

import sys
from collections.abc import Sequence

from gqn_probe.report.terminal import say
from gqn_probe.tracking.wandb_server import ask_server

USAGE = "usage: python -m gqn_probe.tracking.dashboard entity=ENTITY project=PROJECT"


def save_dashboard(entity: str, project: str) -> tuple[str, str]:
    """Save workspace and report, and return their addresses.

    Raises:
        ValueError: the extra is not installed, or W&B cannot be reached or refuses.
    """
    try:
        from gqn_probe.tracking import panels
    except ModuleNotFoundError as error:
        raise ValueError(f'{error.name} is not installed: pip install "gqn-probe[dashboard]"') from error
    try:
        ask_server()
        return panels.workspace(entity, project).save().url, panels.report(entity, project).save().url
    except Exception as error:  # W&B's client raises many kinds, bare Exception among them
        reason = str(error).strip().splitlines()
        raise ValueError(
            f"the dashboard of {entity}/{project} was not saved: {reason[0] if reason else type(error).__name__}"
        ) from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Save the dashboard of ``entity=... project=...``; exit with a one-line error where that fails."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if any(argument in ("-h", "--help") for argument in arguments):
        say(f"{USAGE}\n\nSave a workspace and a report of a project's training runs and studies on W&B.")
        return
    pairs = (argument.partition("=") for argument in arguments)
    given = {name: value for name, _, value in pairs}
    if set(given) != {"entity", "project"} or not all(given.values()):
        sys.exit(f"{USAGE}; got {' '.join(arguments) or 'nothing'}")
    try:
        workspace, report = save_dashboard(given["entity"], given["project"])
    except ValueError as error:
        sys.exit(str(error))
    say(f"workspace {workspace}\nreport    {report}")


if __name__ == "__main__":
    main()
