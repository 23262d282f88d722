"""The env files that one deploy.yaml names, and reading them: strictly for a pass, tolerantly for `env check`."""

from __future__ import annotations

import os
from dataclasses import field
from pathlib import Path

from reconciler.adapters.desired import sources
from reconciler.adapters.env.dotenv import interpolated, read_dotenv, statements
from reconciler.adapters.env.interpolate import Refused, references
from reconciler.adapters.env.source import written_values
from reconciler.adapters.env.template import Template, read_template
from reconciler.adapters.env.values import checked_values
from reconciler.adapters.env.written import Written
from reconciler.adapters.git.worktree import find_top
from reconciler.dataclass import dataclass
from reconciler.model.deploy import Deploy
from reconciler.model.env import EnvValues
from reconciler.model.env_contract import Finding, Given, Kind, Manner, Use, Uses
from reconciler.model.env_files import EnvFiles
from reconciler.model.sources import SourceTree

TEMPLATE = "env.template"
"""What to call a template that there isn't."""


@dataclass(frozen=True, slots=True)
class EnvPlace:
    """`env:` of one deploy.yaml. `file` and `identity` are absolute, None for none of that kind; `template` its text.

    `directory` is deploy.yaml's: programs run there, and relative paths start there.
    """

    spec: EnvFiles
    directory: Path
    file: Path | None
    identity: Path | None
    template: str | None = field(repr=False)

    @classmethod
    def of(cls, deploy: Deploy, deploy_file: Path, private: Path | None = None) -> EnvPlace:
        """`private` is where relative paths lead that aren't beside deploy.yaml.

        Raises DesiredStateError for a template that can't be read, or a `~user` that nobody knows.
        """
        return cls(
            spec=deploy.env,
            directory=deploy_file.parent.resolve(),
            file=sources.values_path(deploy, deploy_file, private),
            identity=sources.identity_path(deploy, deploy_file, private),
            template=sources.read_template(deploy, deploy_file),
        )

    def written(self) -> Written:
        """The values as written, wherever they are. Raises EnvError."""
        return written_values(self.spec, file=self.file, identity=self.identity, directory=self.directory)

    def values(self) -> EnvValues:
        """The checked values. Raises EnvError."""
        return checked_values(self.written(), self.template, template_file=str(self.spec.template or TEMPLATE))

    def contract(self) -> Template | None:
        """The template with everything that is wrong with it; None where there is none."""
        if self.template is None or self.spec.template is None:
            return None
        return read_template(self.template, file=shown(self.directory / Path(self.spec.template)))

    def given(self, written: Written) -> Given:
        """The values with everything that can't be read in them."""
        name = shown(self.file) if self.file is not None else written.name
        entries, errors = read_dotenv(written.text, file=name)
        problems = [Finding(Kind.UNREADABLE, name, error.line, error.what, "", error.key) for error in errors]
        problems += [Finding(Kind.EXPOSED, shown(each.path), 0, each.what, each.remedy) for each in written.exposed]
        unread = frozenset(error.key for error in errors if error.key is not None)
        return Given(name, entries, unread, tuple(problems))

    def uses(self, tree: SourceTree, given: Given, written: Written, *, tag: str) -> Uses:
        """What the Compose files use, and what values and the template's defaults refer to among themselves."""
        from reconciler.adapters.desired.compose_uses import compose_uses

        known = {key: value.get_secret_value() for key, value in given.values().items()} | {"TAG": tag}
        template = self.contract()
        declared = {each.key: each.default or "" for each in template.contract.declarations} if template else {}
        top = shown((find_top(self.directory) or self.directory) / Path(tree.root))
        found = compose_uses(tree, declared | known, shown="" if top == "." else f"{top}/")
        inner = [*_references(written.text, given.file)]
        if template is not None:
            inner += _references(self.template or "", template.contract.file)
        return Uses((*found.found, *inner), found.takes_all, found.problems)


def shown(path: Path) -> str:
    """`path` as a person in the current directory would write it."""
    try:
        return Path(os.path.normpath(path)).relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):
        return str(path)


def _references(text: str, file: str) -> list[Use]:
    """Keys that other values are made from: nothing else needs to use them."""
    found = []
    for statement in statements(text, file=file, refuse=lambda _error: None):
        try:
            names = [name for name, _ in references(interpolated(statement))]
        except Refused:
            continue  # that it can't be read is said where the file is checked
        found += [Use(name, file, statement.line, Manner.OPTIONAL) for name in names]
    return found
