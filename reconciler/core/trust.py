"""A plan of a commit that nobody has approved yet: what may run programs, be contacted, or receive secrets is taken
from a trusted one (the daemon's issue; DESIGN, "Who uses it": `reconcile plan` on a pull request).

From the commit itself come the tag, the Compose files, and what is judged of them. A plan measures nothing, so gates
contact nobody; Compose fetches nothing from elsewhere (`remote/lib.sh`).
"""

from __future__ import annotations

from reconciler.model.deploy import Deploy
from reconciler.model.target import Target


def with_trust(asked: Deploy, trusted: Deploy, ref: str) -> tuple[Deploy, tuple[str, ...]]:
    """`asked` with targets, env values, credentials and the daemon's settings of `trusted`, and what that leaves out.

    `ref` names the trusted commit in the notes. With no target that both have nothing is left to plan for: then there
    are no targets in the result.
    """
    targets: dict[str, Target] = {}
    notes = []
    for name, target in asked.targets.items():
        known = trusted.targets.get(name)
        if known is None:
            notes.append(f"target {name} isn't in {ref}: nothing is sent there")
            continue
        targets[name] = known
        if known != target:
            notes.append(f"target {name} is planned for as {ref} has it, not as changed here")
    for name, mine, theirs in (
        ("env", asked.env, trusted.env),
        ("image.credentials", asked.image.credentials, trusted.image.credentials),
    ):
        if mine != theirs:
            notes.append(f"{name} is used as {ref} has it, not as changed here")
    image = asked.image.model_copy(update={"credentials": trusted.image.credentials})
    update = {
        "targets": targets,
        "env": trusted.env,
        "image": image,
        "gates": trusted.gates,
        "git": trusted.git,
        "daemon": trusted.daemon,
        "notify": trusted.notify,
    }
    return asked.model_copy(update=update), tuple(notes)
