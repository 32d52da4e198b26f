"""Files are put together as kubectl does it; what is wrong in them is named, and no secret is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from fretsaw.errors import UserError
from fretsaw.kube.kubeconfig import Cluster, Exec, User, Variable, choose

FULL = """
apiVersion: v1
kind: Config
current-context: dev
clusters:
- name: one
  cluster: {server: "https://one:6443", certificate-authority-data: QQ==, tls-server-name: kubernetes, extensions: []}
users:
- name: me
  user:
    token: null
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: aws
      args: [eks, get-token]
      env: [{name: AWS_PROFILE, value: dev}]
      interactiveMode: IfAvailable
      provideClusterInfo: true
contexts:
- name: dev
  context: {cluster: one, user: me, namespace: team}
- name: bare
  context: {cluster: one}
"""


def _file(folder: Path, text: str, name: str = "config") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_current_context_with_all_its_parts(tmp_path: Path) -> None:
    path = _file(tmp_path, FULL)
    chosen = choose([path])
    assert chosen.cluster == Cluster(
        server="https://one:6443", certificate_authority_data="QQ==", tls_server_name="kubernetes"
    )
    assert chosen.user == User(
        exec=Exec(
            command="aws",
            api_version="client.authentication.k8s.io/v1beta1",
            args=("eks", "get-token"),
            env=(Variable("AWS_PROFILE", "dev"),),
            provide_cluster_info=True,
        )
    )
    assert (chosen.cluster_file, chosen.user_file, chosen.namespace) == (path, path, "team")


def test_named_context_without_user_and_namespace(tmp_path: Path) -> None:
    chosen = choose([_file(tmp_path, FULL)], "bare")
    assert (chosen.user, chosen.namespace) == (User(), "default")


def test_entries_come_from_the_first_file_that_has_them(tmp_path: Path) -> None:
    first = _file(tmp_path, "clusters: [{name: one, cluster: {server: 'https://other'}}]\ncontexts: null", "a/config")
    empty = _file(tmp_path, "", "b/config")
    second = _file(tmp_path, FULL, "c/config")
    last = _file(tmp_path, FULL.replace("current-context: dev", "current-context: bare"), "d/config")
    chosen = choose([first, tmp_path / "not-there", empty, second, last])
    assert (chosen.cluster.server, chosen.cluster_file) == ("https://other", first)
    assert (chosen.namespace, chosen.user_file) == ("team", second)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "{path}: not a kubeconfig: not YAML, line 2: did not find expected node content"),
        ("a: 2020-13-45", "{path}: not a kubeconfig: not YAML"),
        ("- 1", "{path}: not a kubeconfig: a list (a map with clusters, users, contexts)"),
        ("just text", "{path}: not a kubeconfig: a str (a map"),
        ("users: 5", "{path}: not a kubeconfig: Expected `array`, got `int` - at `$.users`"),
        ("users: [{name: me, user: {token: 123}}]", "{path}: not a kubeconfig: Expected `str`, got `int` - at"),
        ("clusters: [{cluster: {}}]", "{path}: not a kubeconfig: Object missing required field `name` - at"),
        ("{}", "{path}: no context is chosen (known: none)"),
        (FULL.replace("current-context: dev", ""), "{path}: no context is chosen (known: bare, dev)"),
        (FULL.replace("current-context: dev", "current-context: x"), "{path}: no such context: x (known: bare, dev)"),
        (FULL.replace("cluster: one,", "cluster: two,"), "{path} context/dev: no such cluster: two (known: one)"),
        (FULL.replace("cluster: one,", ""), "{path} context/dev: no cluster is chosen (known: one)"),
        (FULL.replace("user: me", "user: you"), "{path} context/dev: no such user: you (known: me)"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_entry(tmp_path: Path, text: str, said: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(UserError) as told:
        choose([path])
    assert str(told.value).startswith(said.format(path=path))


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"/a:.*/b: no such kubeconfig \(name one with --kubeconfig or \$KUBECONFIG\)"):
        choose([tmp_path / "a", tmp_path / "b"])


def test_folder_and_binary_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the kubeconfig cannot be read: Is a directory"):
        choose([tmp_path])
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a kubeconfig: not UTF-8 text"):
        choose([path])


@pytest.mark.parametrize(
    "text",
    ['users: [{name: me, user: {token: "s3cret}}]', "users:\n- user: {token: [s3cret]}\n  name: x", "token: s3cret: x"],
)
def test_message_never_has_the_token(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError) as told:
        choose([_file(tmp_path, text)])
    error: BaseException | None = told.value
    assert "s3cret" not in str(error)
    assert error is not None
    assert error.__suppress_context__ or "s3cret" not in str(error.__cause__)
