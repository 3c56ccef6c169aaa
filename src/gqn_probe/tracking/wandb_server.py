"""Whether W&B can be used, found out without its client: one that waits for a server in vain may never end."""

import functools
import http.client
import json
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
    """Ask this user's server, once a process, for the one word that only W&B knows; a refusal is an answer, too.

    Raises:
        ConnectionError: nothing answers, or what does is out of order or no W&B server.
    """
    address = _settings().base_url
    if reason := _why_not(address):
        raise ConnectionError(f"{address} {reason}")


@functools.cache
def _why_not(address: str) -> str:
    """Why the server cannot be used; empty where it can."""
    body, kind = json.dumps({"query": "query { __typename }"}).encode(), {"Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{address}/graphql", body, kind), timeout=PATIENCE
        ) as answer:
            told = json.loads(answer.read(1 << 16))
    except urllib.error.HTTPError as error:
        return f"answers {error.code} {error.reason}" if error.code >= 500 else ""
    except http.client.HTTPException as error:
        return f"does not answer: {type(error).__name__}"
    except ValueError:
        return "is no W&B server: it does not answer in JSON"
    except OSError as error:
        reason = getattr(error, "reason", error)
        return "" if isinstance(reason, ssl.SSLError) else f"does not answer: {reason}"  # W&B has its own certificates
    known = isinstance(told, dict) and ("data" in told or "errors" in told)
    return "" if known else f"is no W&B server: it answers {str(told)[:40]}"


def _settings() -> wandb.Settings:
    """The settings of this process, quiet from now on: a login that is not asks the server for the user's name."""
    return wandb.setup(wandb.Settings(silent=True)).settings
