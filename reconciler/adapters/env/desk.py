"""What the `env` commands work with: the env files of one deploy.yaml, read so that every value is masked at once."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.adapters.env.edit import Again, edit_values
from reconciler.adapters.env.encrypt import Encrypted, encrypt_values
from reconciler.adapters.env.mask import redactor_of
from reconciler.adapters.env.place import EnvPlace
from reconciler.adapters.env.written import Written
from reconciler.dataclass import dataclass
from reconciler.model.env_contract import Contract, Finding, Given, Uses
from reconciler.model.errors import EnvError
from reconciler.model.sources import SourceTree
from reconciler.telemetry.log import RedactorHolder
from reconciler.telemetry.redact import Redactor, is_common, is_public

Judge = Callable[[Contract | None, Given, Callable[[str], bool]], list[Finding]]
"""`core.env_contract.check_values`."""


@dataclass(frozen=True, slots=True)
class EnvMaterial:
    """All that `env check` compares. `problems` are those of the template itself; `uses` is what Compose uses."""

    contract: Contract | None
    problems: tuple[Finding, ...]
    given: Given
    uses: Uses


@dataclass(frozen=True, slots=True)
class EnvDesk:
    """`public` is deploy.yaml's own text, as for `wiring.Desk`."""

    place: EnvPlace
    tag: str
    public: str
    redactor: RedactorHolder

    def material(self, tree: SourceTree) -> EnvMaterial:
        """Reads everything once. Raises EnvError where there are no values to be had at all."""
        written = self.place.written()
        given = self.learn(written)
        template = self.place.contract()
        uses = self.place.uses(tree, given, written, tag=self.tag)
        if template is None:
            return EnvMaterial(None, (), given, uses)
        return EnvMaterial(template.contract, template.problems, given, uses)

    def learn(self, written: Written) -> Given:
        """The values as written; from here on they are masked everywhere."""
        given = self.place.given(written)
        template = self.place.contract()
        public = template.contract.public_keys() if template else frozenset()
        values = given.values()
        self.redactor.set_redactor(redactor_of(values, text=self.public, public=public))
        twice = [entry.value for entry in given.entries if entry.value != values[entry.key]]
        self.redactor.set_redactor(Redactor(others=twice))
        return given

    def unmaskable(self, value: str) -> bool:
        """Is `value` masked only where it stands as its key's value?"""
        return is_common(value) or is_public(value, self.public)

    def encrypt(self, judge: Judge) -> Encrypted:
        """`env encrypt`. Raises EnvError."""

        def check(written: Written) -> None:
            wrong = self._errors(written, judge)
            if wrong:
                more = f" (and {len(wrong) - 1} more: `reconcile env check`)" if len(wrong) > 1 else ""
                raise EnvError(f"{wrong[0]}{more}; nothing was encrypted")

        return encrypt_values(self.place, check)

    def edit(self, judge: Judge, again: Again) -> bool:
        """`env edit`; whether something changed. Raises EnvError."""
        return edit_values(self.place, lambda written: self._errors(written, judge), again)

    def _errors(self, written: Written, judge: Judge) -> list[str]:
        given = self.learn(written)
        template = self.place.contract()
        found = judge(template.contract if template else None, given, self.unmaskable)
        return [
            f"{each.place}: {each.what}" + (f"; {each.remedy}" if each.remedy else "")
            for each in found
            if each.kind.is_error
        ]
