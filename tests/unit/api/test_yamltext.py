import pytest

from fretsaw.api import yamltext
from fretsaw.api.scalars import resolve
from fretsaw.api.yamltext import TextError, chunks, placeholder


def read(text):
    found = []
    for chunk in chunks(text):
        duplicates = []
        try:
            found.append((chunk.line, chunk.documents(duplicates), duplicates))
        except TextError as error:
            found.append((chunk.line, error.line, error.message))
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("on", True),
        ("y", "y"),
        ("N", "N"),
        ("No", False),
        ("off", False),
        ("true", True),
        ("~", None),
        ("", None),
        ("null", None),
        ("0644", 420),
        ("0o644", 420),
        ("0x1F", 31),
        ("0b101", 5),
        ("-7", -7),
        ("1_000", 1000),
        ("1e3", 1000),
        ("1.5", 1.5),
        ("2.0", 2),
        ("1:30", "1:30"),
        ("2026-08-01", "2026-08-01"),
        ("089", 89),
        ("1.2.3", "1.2.3"),
        ("5m", "5m"),
        ("18446744073709551615", 2**64 - 1),
        ("1e999", "1e999"),
        ("yEs", "yEs"),
    ],
)
def test_plain_scalars_mean_what_kubectl_reads(text, value):
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_quotes_and_tags_make_text():
    assert read("{a: 'yes', b: \"1\", c: !!str 5, d: !!int 0x10}")[0][1] == [{"a": "yes", "b": "1", "c": "5", "d": 16}]


def test_documents_are_separated_and_empty_ones_skipped():
    text = "%YAML 1.1\n---\na: 1\n---\n# nothing\n---\n--- {b: 2}\n...\n--- # note\nc: 3\n"
    assert read(text) == [(2, [{"a": 1}], []), (7, [{"b": 2}], []), (9, [{"c": 3}], [])]


def test_a_broken_document_does_not_hide_its_neighbours():
    assert [item[1] for item in read("a: 1\n---\nb: [\n---\nc: 3\n")] == [[{"a": 1}], 2, [{"c": 3}]]


def test_json_values_may_follow_each_other():
    assert read('{"a": 1}\n{"b": [2.5, null]}')[0][1] == [{"a": 1}, {"b": [2.5, None]}]


def test_depth_up_to_the_limit_is_read():
    assert read("[" * 100 + "]" * 100)[0][1]
    assert read('[{"a":' * 50 + "1" + "}]" * 50)[0][1]


def test_duplicate_keys_name_both_lines():
    assert read("x: 0\n---\na: 1\nb: 2\na: 3\n")[1] == (2, [{"a": 3, "b": 2}], [(5, 3, "a")])
    assert read('{"a": 1,\n "a": 2}')[0] == (1, [{"a": 2}], [(2, 1, "a")])


def test_merge_keys_and_aliases_are_followed():
    text = "base: &b {x: 1, z: 2}\nuse:\n  <<: *b\n  z: 3\nlist: [*b]\n"
    assert read(text)[0][1] == [{"base": {"x": 1, "z": 2}, "use": {"x": 1, "z": 3}, "list": [{"x": 1, "z": 2}]}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [*x]", "the alias *x contains itself"),
        ("a: *y", "the alias *y has no anchor before it"),
        ("a: !Ref b", "the tag !Ref is not known"),
        ("a: .inf", ".inf is no number that Kubernetes takes"),
        ("{a: 1}: 2", "a key that is a map, a list or an alias"),
        ("? \n: 2", "an empty key"),
        ("[" * 101 + "]" * 101, "nested more than 100 levels deep"),
        ('[{"a":' * 51 + "1" + "}]" * 51, "nested more than 100 levels deep"),
        ('{"a":' * 101 + "1" + "}" * 101, "nested more than 100 levels deep"),
        ("[" * 100_000, "nested more than 100 levels deep"),
        ("a: \x07", "a character that YAML does not allow: U+0007"),
        ('{"a": "\\ud800"}', "not YAML: while parsing a quoted scalar found invalid Unicode character escape code"),
    ],
)
def test_what_cannot_be_read_is_named(text, message):
    assert read(text)[0][2] == message


def test_aliases_cannot_unfold_without_bound():
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert read(text)[0][2] == "aliases that unfold to more than 100000 values"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfea\0", "the file is UTF-16"),
        (b"a: \xe9", "not UTF-8 text: byte 0xe9"),
        (b"\x7fELF\0\0", "a binary file"),
        (b"a" * (yamltext.MAX_BYTES + 1), "the file is larger than 64 MiB"),
    ],
)
def test_other_files_than_text_are_refused(data, message):
    with pytest.raises(TextError) as caught:
        yamltext.decode(data)
    assert caught.value.message == message


def test_a_byte_order_mark_is_skipped():
    assert yamltext.decode(b"\xef\xbb\xbfa: 1") == "a: 1"


def test_lines_of_fields():
    (chunk,) = chunks("# head\na: 1\nb:\n  - c: 2\n  - d: 3\n")
    assert [chunk.line_of(0, path) for path in [(), ("a",), ("b",), ("b", 1, "d"), ("b", 0, "none")]] == [2, 2, 3, 5, 4]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a {{ .Values.x }} b", "{{ .Values.x }}"),
        ("${CLUSTER_NAME}-x", "${CLUSTER_NAME}"),
        ("<<AZ>>", "<<AZ>>"),
        ("$CLUSTER_NAME", "$CLUSTER_NAME"),
        ("costs $5", ""),
        ("plain", ""),
    ],
)
def test_placeholders_are_recognised(text, found):
    assert placeholder(text) == found
