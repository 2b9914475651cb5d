"""``keyring:SERVICE/NAME``: the operating system's own keyring, through the ``keyring`` extra."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from lanewise.domain.environment import SecretRef
from lanewise.errors import BadReference, SecretUnavailable


class KeyringStore:
    """Asks the keyring that is configured (Keychain, Secret Service, KWallet, Windows Credential Locker, a plug-in).

    The name is what follows the last slash, so that a service may be a URL. Keyrings tell no age.
    """

    def __init__(self, root: Path) -> None:
        del root  # every store is opened with it; this one has no use for it

    def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
        """The password. ``SecretUnavailable`` when the extra or a keyring is missing, locked, or has no such entry."""
        text = reference.wanted(previous=previous)
        service, name = _parts(text)
        keyring = _keyring(text)
        try:
            value: str | None = keyring.get_password(service, name)
        except keyring.errors.NoKeyringError:
            raise SecretUnavailable(
                f"{text}: this machine has no keyring", hint="install one, or use an env: or file: reference here"
            ) from None
        except keyring.errors.KeyringLocked:
            raise SecretUnavailable(f"{text}: the keyring is locked", hint="unlock it and try again") from None
        except Exception as error:  # noqa: BLE001 - backends raise what they like, and may quote what they read
            raise SecretUnavailable(f"{text}: the keyring failed ({type(error).__name__})") from None
        if not value:
            state = "has no such entry" if value is None else "holds an empty value"
            raise SecretUnavailable(f"{text}: the keyring {state}", hint=f"run `keyring set {service} {name}`")
        return value

    def age(self, reference: SecretRef) -> timedelta | None:
        """None: keyrings keep no dates."""
        _parts(reference.text)
        return None

    def concerns(self, reference: SecretRef) -> tuple[str, ...]:
        """Nothing that this store could see."""
        _parts(reference.text)
        return ()


def _parts(text: str) -> tuple[str, str]:
    service, slash, name = text.removeprefix("keyring:").rpartition("/")
    if not (text.startswith("keyring:") and service and slash and name):
        raise BadReference("a keyring: reference names a service and an entry", hint="write keyring:SERVICE/NAME")
    return service, name


def _keyring(text: str) -> Any:
    try:
        import keyring  # noqa: PLC0415 - an extra, and slow to load
        import keyring.errors  # noqa: PLC0415 - as above
    except ImportError:
        raise SecretUnavailable(
            f"{text}: the keyring extra is not installed", hint="pip install 'lanewise[keyring]'"
        ) from None
    return keyring
