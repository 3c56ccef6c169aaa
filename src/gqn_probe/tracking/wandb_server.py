"""Check that W&B is reachable without its client, which may wait for a server forever."""

import functools
import http.client
import json
import ssl
import urllib.error
import urllib.request

import wandb

PATIENCE = 10.0  # seconds


def logged_in() -> bool:
    """Return True if this user has credentials; the server is not contacted.

    Raises:
        wandb.errors.AuthenticationError: the key is malformed.
    """
    _settings()
    return wandb.login(prompt=False, verify=False)


def ask_server() -> None:
    """Query this user's server, once for each process; a refusal counts as an answer.

    Raises:
        ConnectionError: there is no answer, a server error, or no W&B server.
    """
    address = _settings().base_url
    if reason := _why_not(address):
        raise ConnectionError(f"{address} {reason}")


@functools.cache
def _why_not(address: str) -> str:
    """Return why the server cannot be used; empty if it can."""
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
    """Return W&B's settings, made silent: otherwise a login asks the server for the user's name."""
    return wandb.setup(wandb.Settings(silent=True)).settings
