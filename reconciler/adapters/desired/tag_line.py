"""The one line of deploy.yaml that a release changes: everything else of the file stays as it is, byte for byte."""

from __future__ import annotations

import yaml

from reconciler.model.errors import DesiredStateError


def tag_in(text: str) -> str:
    """The tag that deploy.yaml's `text` asks for. Raises DesiredStateError where there is none."""
    return str(_tag(text).value)


def with_tag(text: str, tag: str) -> str:
    """`text` of a deploy.yaml with another tag; comments, quotes and layout stay. Raises DesiredStateError."""
    node = _tag(text)
    return f'{text[: node.start_mark.index]}"{tag}"{text[node.end_mark.index :]}'


def _tag(text: str) -> yaml.ScalarNode:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise DesiredStateError(f"deploy.yaml isn't YAML: {str(error).splitlines()[0]}") from None
    pairs = root.value if isinstance(root, yaml.MappingNode) else ()
    found = [value for key, value in pairs if key.value == "tag"]
    if len(found) != 1 or not isinstance(found[0], yaml.ScalarNode):
        raise DesiredStateError("deploy.yaml has no line `tag: …` of its own")
    node = found[0]
    # A tag that stands elsewhere, behind an alias, can't be changed here alone.
    start, end = node.start_mark.index, node.end_mark.index
    if node.value not in text[start:end] or "&" in text[start:end]:
        raise DesiredStateError("deploy.yaml's `tag` is an alias or an anchor")
    return node
