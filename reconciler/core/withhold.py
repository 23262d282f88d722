"""A release without its values (`env.delivery: runtime`): what lies on the server names keys where the values stood.

In the stored model each value is `${KEY:?why}`: the controller puts the values back on their way to Compose, and for a
person's `docker compose` it is an error that says why, instead of an app that runs with a wrong password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from reconciler.core.env_diff import fingerprints
from reconciler.model.errors import PreflightFailed

WHY = "env.delivery is runtime, so this server keeps no values and only `reconcile` can start this"
SHORTEST = 4
"""A value of fewer characters is withheld only where it is a whole string: it would be found everywhere."""
_PLACE = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*):\?" + re.escape(WHY) + r"\}")


def withheld(model: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The model with a key's name wherever one of `values` (key → value) stood.

    Raises PreflightFailed for a value in the name of something: there it can't be withheld.
    """
    forms = {value.replace("$", "$$"): key for key, value in sorted(values.items(), reverse=True) if value}
    long = sorted((form for form in forms if len(form) >= SHORTEST), key=len, reverse=True)
    anywhere = re.compile("|".join(re.escape(form) for form in long)) if long else None

    def hidden(text: str) -> str:
        if text in forms:
            return _place(forms[text])
        return anywhere.sub(lambda found: _place(forms[found[0]]), text) if anywhere else text

    def refuse(name: str) -> str:
        found = anywhere.search(name) if anywhere else None
        if found:
            raise PreflightFailed(
                f"the value of {forms[found[0]]} is part of a name in the Compose model, which can't be withheld from"
                " the server: env.delivery: runtime needs it in a value, or the key marked `@public` in the template"
            )
        return name

    return {refuse(key): _mapped(value, hidden, refuse) for key, value in model.items()}


def filled(model: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The model with the values back in place. Raises PreflightFailed naming keys that `values` doesn't have."""
    missing: set[str] = set()

    def put(text: str) -> str:
        def value(found: re.Match[str]) -> str:
            key = found[1]
            if key is None:
                return found[0]
            if key not in values:
                missing.add(key)
                return ""
            return values[key].replace("$", "$$")

        return _PLACE.sub(value, text)

    result = {key: _mapped(value, put, str) for key, value in model.items()}
    if missing:
        raise PreflightFailed(
            f"the release needs values of {', '.join(sorted(missing))}, and neither the env values here nor the"
            " running containers have them (env.delivery: runtime)"
        )
    return result


def recalled(
    model: Mapping[str, Any],
    environments: Mapping[str, Collection[Mapping[str, str]]],
    *,
    key: bytes,
    known: Mapping[str, str],
) -> dict[str, str]:
    """Values of a release, read off the environment of its own running containers (service → their environments).

    Only what `known` (env key → fingerprint, from the release's manifest) confirms is taken.
    """
    found: dict[str, str] = {}
    for name, service in model.get("services", {}).items():
        for variable, written in (service.get("environment") or {}).items():
            for environment in environments.get(name, ()):
                if variable in environment and isinstance(written, str):
                    found |= _read_off(written, environment[variable])
    proved = fingerprints(key, found)
    return {name: value for name, value in found.items() if known.get(name) == proved.get(name)}


def _read_off(written: str, real: str) -> dict[str, str]:
    """The values of the keys in `written`, where it became `real`. A key that stands twice has one value."""
    pattern, last, seen = "", 0, set()
    for place in _PLACE.finditer(written):
        pattern += re.escape(written[last : place.start()])
        last = place.end()
        if place[1] is None:
            pattern += re.escape("$")
        elif place[1] in seen:
            pattern += f"(?P={place[1]})"
        else:
            seen.add(place[1])
            pattern += f"(?P<{place[1]}>.*)"
    match = re.fullmatch(pattern + re.escape(written[last:]), real, re.DOTALL) if seen else None
    return match.groupdict() if match else {}


def _place(key: str) -> str:
    return f"${{{key}:?{WHY}}}"


def _mapped(value: Any, text: Callable[[str], str], name: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return {name(key): _mapped(each, text, name) for key, each in value.items()}
    if isinstance(value, list):
        return [_mapped(each, text, name) for each in value]
    return value
