"""Templates are found by name and version, and a broken file says which one it is and why."""

from pathlib import Path

import pytest

from domain.errors import InvalidRequest, InvalidSettings
from domain.prompting import SHIPPED
from domain.prompting.library import Library

GREETING = """
name: greeting
version: {version}
messages:
  - role: user
    content: "Greet {{{{ who }}}} in {{{{ language }}}}"
variables:
  who: {{description: a name, max_length: 20}}
  language: {{required: false, default: English}}
output_schema: {{type: object, required: [text]}}
model: fast
"""


def files(*versions: int) -> dict[str, str]:
    return {f"greeting/{n}.yaml": GREETING.format(version=n) for n in versions}


def broken(text: str) -> str:
    with pytest.raises(InvalidSettings) as caught:
        Library.parse({"a/1.yaml": text})
    return str(caught.value)


def test_the_newest_version_is_taken_when_none_is_given() -> None:
    library = Library.parse(files(1, 10, 2))
    assert library.get("greeting").version == 10
    assert library.get("greeting", 2).version == 2
    assert [template.version for template in library.templates()] == [1, 2, 10]


def test_an_unknown_template_names_near_ones() -> None:
    with pytest.raises(InvalidRequest, match="near names: greeting") as caught:
        Library.parse(files(1)).get("greetings")
    assert caught.value.code == "unknown_template"
    assert caught.value.problems[0].path == "/template/name"


def test_an_unknown_version_names_those_that_exist() -> None:
    with pytest.raises(InvalidRequest, match="no version 3; it has: 1, 2") as caught:
        Library.parse(files(1, 2)).get("greeting", 3)
    assert (caught.value.code, caught.value.problems[0].path) == ("unknown_template", "/template/version")


def test_a_later_directory_replaces_an_equal_name_and_version(tmp_path: Path) -> None:
    for place, who in (("a", "who"), ("b", "whom")):
        (tmp_path / place / "greeting").mkdir(parents=True)
        (tmp_path / place / "greeting" / "1.yaml").write_text(GREETING.format(version=1).replace("who", who))
    library = Library.load([tmp_path / "a", tmp_path / "b"])
    assert set(library.get("greeting").variables) == {"whom", "language"}


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="nowhere: is not a directory"):
        Library.load([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name: [", "a/1.yaml: while parsing"),
        ("- 1", "a/1.yaml: the file: Input should be"),
        ("{name: a, version: 1, messages: [], typo: 1}", "typo: Extra inputs are not permitted"),
        ("{name: b, version: 1, messages: [{role: user, content: hi}]}", "it belongs into b/1.yaml"),
        ("{name: a, version: 1, messages: [{role: robot, content: hi}]}", "messages.0.role"),
        ("{name: a, version: 1, messages: [{role: user, content: '{{ x'}]}", "messages/0: line 1"),
        ("{name: a, version: 1, messages: [{role: user, content: '{{ x }}'}]}", "uses x without declaring it"),
        ("{name: a, version: 1, messages: [{role: user, content: hi}], variables: {x: {}}}", "never uses it"),
        ("{name: a, version: 1, messages: [{role: user, content: hi}], output_schema: {type: strin}}", "output_schema"),
        ("{name: a, version: 1, messages: [{role: user, content: '{{ x.y() }}'}], variables: {x: {}}}", "Call"),
        ("{name: a, version: 1, messages: [{role: user, content: '{{ x * 9 }}'}], variables: {x: {}}}", "Mul"),
        ("{name: a, version: 1, messages: [{role: user, content: '{{ x|tojson(9) }}'}], variables: {x: {}}}", "tojson"),
        ("{name: a, version: 1, messages: [{role: user, content: '{{ x|format }}'}], variables: {x: {}}}", "format"),
        ("{name: a, version: 1, messages: [{role: user, content: '{% include \"b\" %}'}]}", "Include is not allowed"),
        (
            "{name: a, version: 1, variables: {x: {}}, messages: [{role: user, content: "
            "'{% for a in x %}{% for b in x %}{% for c in x %}.{% endfor %}{% endfor %}{% endfor %}'}]}",
            "loops nest deeper",
        ),
    ],
)
def test_a_file_that_cannot_be_used_says_why(text: str, reason: str) -> None:
    assert reason in broken(text)


def test_all_broken_files_are_named_at_once() -> None:
    with pytest.raises(InvalidSettings, match=r"(?s)a/1\.yaml.*b/1\.yaml"):
        Library.parse({"a/1.yaml": "[", "b/1.yaml": "["})


def test_every_shipped_template_loads() -> None:
    names = {template.name for template in Library.load([SHIPPED]).templates()}
    assert {"sentiment", "entities", "translation", "summarisation", "intent"} <= names
