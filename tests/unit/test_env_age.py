"""Values encrypted by age, with the real library and real SSH keys; and values that a program prints."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pyrage
import pytest

from reconciler.adapters.env import age
from reconciler.adapters.env.command import values_printed_by
from reconciler.adapters.env.encrypt import encrypt_values, write_atomically
from reconciler.adapters.env.place import EnvPlace
from reconciler.adapters.env.written import Written
from reconciler.model.env_files import EnvFiles, Identity
from reconciler.model.errors import EnvError

CANARY = "hunter2hunter2"
PLAIN = f"# a comment\nTOKEN={CANARY}\n".encode()


@dataclass(frozen=True)
class Pair:
    """A key pair: the private part's file, and the recipient."""

    file: Path
    recipient: str


def age_key(directory: Path, name: str = "key.txt") -> Pair:
    identity = pyrage.x25519.Identity.generate()
    file = directory / name
    file.write_text(f"# created: today\n# public key: {identity.to_public()}\n{identity}\n")
    file.chmod(0o600)
    return Pair(file, str(identity.to_public()))


def ssh_key(directory: Path, kind: str, passphrase: str = "") -> Pair:
    file = directory / f"id_{kind}{len(passphrase)}"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(file)], check=True)
    return Pair(file, file.with_name(file.name + ".pub").read_text().strip())


@pytest.fixture(params=["age", "ed25519", "rsa"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    return age_key(tmp_path) if request.param == "age" else ssh_key(tmp_path, request.param)


def keys_of(pair: Pair) -> age.Keys:
    return age.read_keys(Identity(file=str(pair.file)), pair.file)


def place(
    directory: Path, values: str, recipients: list[str], identity: Pair | None = None, **spec: object
) -> EnvPlace:
    written: dict[str, object] = {"values": values, "recipients": recipients, **spec}
    if identity is not None:
        written["identity"] = {"file": str(identity.file)}
    return EnvPlace(
        EnvFiles.model_validate(written), directory, directory / values, identity.file if identity else None, None
    )


def accepted(_written: Written) -> None:
    return


@pytest.mark.parametrize("armored", [True, False])
def test_what_is_encrypted_comes_back(pair: Pair, armored: bool, tmp_path: Path) -> None:
    """X25519, Ed25519 and RSA; in text and in binary; nothing of it is to be seen in the file."""
    file = tmp_path / "values.age"
    file.write_bytes(age.encrypt(PLAIN, [pair.recipient], armored=armored))
    assert CANARY.encode() not in file.read_bytes()
    assert age.is_armored(file.read_bytes()) is armored
    written = age.read_encrypted(file, keys_of(pair))
    assert (written.text.encode(), written.warnings) == (PLAIN, ())
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n") if armored else file.read_bytes())
    assert age.read_encrypted(file, keys_of(pair)).text.encode() == PLAIN, "git may have changed its line endings"


def test_an_identity_from_the_environment(pair: Pair) -> None:
    content = age.encrypt(PLAIN, [pair.recipient])
    keys = age.read_keys(Identity(env="MY_KEY"), None, {"MY_KEY": pair.file.read_text()})
    assert age.decrypt(content, keys, name="x") == PLAIN
    with pytest.raises(EnvError, match="MY_KEY isn't set in the environment"):
        age.read_keys(Identity(env="MY_KEY"), None, {})


def test_each_of_several_recipients_can_read_it(tmp_path: Path) -> None:
    mine, theirs = age_key(tmp_path, "mine"), ssh_key(tmp_path, "ed25519")
    content = age.encrypt(PLAIN, [mine.recipient, theirs.recipient])
    assert age.decrypt(content, keys_of(mine), name="x") == age.decrypt(content, keys_of(theirs), name="x") == PLAIN


def test_a_stranger_cannot_and_is_told_what_to_ask_for(tmp_path: Path) -> None:
    mine, other = age_key(tmp_path, "mine"), age_key(tmp_path, "other")
    with pytest.raises(EnvError) as caught:
        age.decrypt(age.encrypt(PLAIN, [other.recipient]), keys_of(mine), name="v.age")
    assert str(caught.value).startswith(f"v.age: isn't encrypted to the key of env.identity ({mine.recipient})")
    assert "AGE-SECRET-KEY" not in str(caught.value)


def test_what_is_damaged_is_said(tmp_path: Path) -> None:
    """Every cut and a flipped byte of a real file: one line, no traceback, never half a text."""
    mine = age_key(tmp_path)
    content = age.encrypt(PLAIN, [mine.recipient], armored=False)
    for cut in range(len(content)):
        with pytest.raises(EnvError, match=r"^x: "):
            age.decrypt(content[:cut], keys_of(mine), name="x")
    for position in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[position] ^= 1
        with pytest.raises(EnvError, match=r"^x: "):
            age.decrypt(bytes(flipped), keys_of(mine), name="x")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "holds no identity"),
        ("# only a comment\n", "holds no identity"),
        (f"{CANARY}\n", "1: an identity is AGE-SECRET-KEY-1… or an SSH key; this line isn't one"),
        (f"\nAGE-SECRET-KEY-1{CANARY.upper()}\n", "2: an identity is"),
        ("AGE-PLUGIN-YUBIKEY-1XXX\n", "1: an identity is AGE-SECRET-KEY-1… or an SSH key; this line is a plugin's"),
        (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n-----END OPENSSH PRIVATE KEY-----\n", "isn't an SSH key"),
        ("x" * 70_000, "too large for an identity"),
        ("-----BEGIN AGE ENCRYPTED FILE-----\nx\n", "the identity has a passphrase, which isn't supported"),
    ],
)
def test_a_wrong_identity_is_named_and_never_shown(text: str, what: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(text)
    with pytest.raises(EnvError) as caught:
        age.read_keys(Identity(file=str(file)), file)
    assert what in str(caught.value)
    assert CANARY not in str(caught.value).lower()
    with pytest.raises(EnvError, match="no such file; make one with `age-keygen`"):
        age.read_keys(Identity(file="gone"), tmp_path / "gone")


def test_an_ssh_key_with_a_passphrase_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvError, match="the SSH key has a passphrase, and that isn't supported here"):
        keys_of(ssh_key(tmp_path, "ed25519", "pass word"))
    with pytest.raises(EnvError, match="isn't an SSH key that age can use; RSA and Ed25519 keys are"):
        keys_of(ssh_key(tmp_path, "ecdsa"))


def test_a_readable_identity_is_warned_about(tmp_path: Path) -> None:
    mine = age_key(tmp_path)
    mine.file.chmod(0o644)
    (tmp_path / "v.age").write_bytes(age.encrypt(PLAIN, [mine.recipient]))
    (warning,) = age.read_encrypted(tmp_path / "v.age", keys_of(mine)).warnings
    assert warning == f"{mine.file}: others on this machine can read it (mode 0644); chmod 600 {mine.file}"


def test_a_passphrase_and_a_plain_file_are_refused(tmp_path: Path) -> None:
    mine = age_key(tmp_path)
    with pytest.raises(EnvError, match="x: is encrypted with a passphrase, and that isn't supported"):
        age.decrypt(pyrage.passphrase.encrypt(PLAIN, "pass"), keys_of(mine), name="x")
    (tmp_path / "v.age").write_bytes(PLAIN)
    with pytest.raises(EnvError, match="isn't encrypted by age") as caught:
        age.read_encrypted(tmp_path / "v.age", keys_of(mine))
    assert CANARY not in str(caught.value)


def test_encrypting_a_plain_file_writes_one_beside_it(pair: Pair, tmp_path: Path) -> None:
    """Byte for byte, comments too; readable for all, because nothing is in it; and it says what comes next."""
    (tmp_path / ".env.server").write_bytes(PLAIN)
    made = encrypt_values(place(tmp_path, ".env.server", [pair.recipient], pair), accepted)
    assert made.file == tmp_path / ".env.server.age"
    assert age.decrypt(made.file.read_bytes(), keys_of(pair), name="x") == PLAIN
    assert made.file.stat().st_mode & 0o777 == 0o644
    assert [step.split(maxsplit=1)[0] for step in made.next_steps] == ["in", "commit", "remove"]
    assert (tmp_path / ".env.server").read_bytes() == PLAIN
    with pytest.raises(EnvError, match="exists already: `reconcile env edit` changes it"):
        encrypt_values(place(tmp_path, ".env.server", [pair.recipient], pair), accepted)


def test_encrypting_anew_for_other_recipients(tmp_path: Path) -> None:
    """Where only the encrypted file is there; its form (text or binary) stays."""
    mine, other = age_key(tmp_path, "mine"), age_key(tmp_path, "other")
    file = tmp_path / "v.age"
    file.write_bytes(age.encrypt(PLAIN, [mine.recipient], armored=False))
    encrypt_values(place(tmp_path, "v.age", [mine.recipient, other.recipient], mine), accepted)
    assert age.decrypt(file.read_bytes(), keys_of(other), name="x") == PLAIN
    assert not age.is_armored(file.read_bytes())


def test_who_could_not_read_it_again_is_stopped_before_writing(tmp_path: Path) -> None:
    mine, other = age_key(tmp_path, "mine"), age_key(tmp_path, "other")
    (tmp_path / "v").write_bytes(PLAIN)
    with pytest.raises(EnvError, match=r"env.recipients: the key of env.identity \(`age1\w+`\) isn't among them"):
        encrypt_values(place(tmp_path, "v", [other.recipient], mine), accepted)
    for recipients, what in (([], "env.recipients: is empty"), ([f"age1{'q' * 58}"], r"env.recipients\[0\]: isn't")):
        with pytest.raises(EnvError, match=what):
            encrypt_values(place(tmp_path, "v", recipients), accepted)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "other", "v"]


def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "v.age"
    file.write_bytes(b"before")
    directory = tmp_path / "missing"
    with pytest.raises(EnvError, match="can't be written: No such file or directory; nothing was changed"):
        write_atomically(directory / "v.age", b"after")
    file.chmod(0o640)
    link = tmp_path / "link.age"
    link.symlink_to(file)
    write_atomically(link, b"after")
    assert link.is_symlink()
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"after", 0o640)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.age", "v.age"]


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_program_prints_the_values(tmp_path: Path) -> None:
    """In deploy.yaml's directory, without a shell, with an empty standard input."""
    code = "import os, sys; print('CWD=' + os.getcwd() + '\\nIN=' + repr(sys.stdin.read()) + '\\nARG=' + sys.argv[1])"
    written = values_printed_by([*python(code), "$HOME `x`"], tmp_path)
    assert written.text == f"CWD={tmp_path}\nIN=''\nARG=$HOME `x`\n"
    assert written.name == f"output of {Path(sys.executable).name}"


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (f"import sys; print('A={CANARY}'); sys.exit('{CANARY}')", "ended with 1; run it by hand in"),
        (f"import sys; print('{CANARY}', file=sys.stderr)", "printed nothing"),
        (f"print('A={CANARY}' * 200_000)", "printed more than 1 MiB"),
        ("while True: print('x' * 65536)", "printed more than 1 MiB"),
        ("import os; os.kill(os.getpid(), 9)", "ended with -9"),
        ("import sys; sys.stdout.buffer.write(b'A=1\\nB=\\xff')", ":2: not UTF-8"),
    ],
)
def test_a_program_that_fails_is_named_and_not_quoted(code: str, what: str, tmp_path: Path) -> None:
    """Neither its output nor what it says on standard error: nothing of it could be masked yet."""
    with pytest.raises(EnvError) as caught:
        values_printed_by(python(code), tmp_path)
    assert what in str(caught.value)
    assert CANARY not in str(caught.value)


def test_a_program_that_never_ends_is_ended(tmp_path: Path) -> None:
    """Also where a child of it keeps its output open."""
    started = time.monotonic()
    child = "subprocess.run([sys.executable, '-c', 'import time; time.sleep(3)'])"
    slow = f"import subprocess, sys; print('A=1', flush=True); {child}"
    with pytest.raises(EnvError, match=r"wasn't done in 0.5 s; run it by hand"):
        values_printed_by(python(slow), tmp_path, timeout=0.5)
    assert time.monotonic() - started < 2.5
    with pytest.raises(EnvError, match=r"nosuchprogram can't be run in .*: No such file"):
        values_printed_by(["nosuchprogram"], tmp_path)
