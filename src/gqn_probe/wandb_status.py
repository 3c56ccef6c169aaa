"""Whether W&B can be used, found out without its client: one that waits for a server in vain may never end."""

import http.client
import ssl
import urllib.error
import urllib.request

import wandb

PATIENCE = 10.0  # seconds


def logged_in() -> bool:
    """Whether this user has credentials; nothing is asked of the server.

    Raises:
        wandb.errors.AuthenticationError: a key that cannot be one.
    """
    _settings()
    return wandb.login(prompt=False, verify=False)


def ask_server() -> None:
    """Ask this user's server for a page; any will do, and so will a refusal.

    Raises:
        ConnectionError: nothing answers.
    """
    address = _settings().base_url
    try:
        urllib.request.urlopen(address, timeout=PATIENCE).close()
    except (urllib.error.HTTPError, http.client.HTTPException):
        return
    except OSError as error:
        reason = getattr(error, "reason", error)
        if not isinstance(reason, ssl.SSLError):  # W&B's client has certificates of its own
            raise ConnectionError(f"{address} does not answer: {reason}") from error


def _settings() -> wandb.Settings:
    """The settings of this process, quiet from now on: a login that is not asks the server for the user's name."""
    return wandb.setup(wandb.Settings(silent=True)).settings
