"""All templates of a process, read once at start. The format of a file is described in library/README.md."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from jinja2 import TemplateError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from domain.caching.semantic import Similar
from domain.errors import InvalidRequest, InvalidSettings, Problem
from domain.output.schema import compile as compile_schema
from domain.prompting.environment import compile_text
from domain.prompting.template import DEFAULT_LENGTH, Template, Turn, Variable
from domain.safety.redaction import Kind
from domain.safety.tags import guard, tags_of

_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
_Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class _Turn(_Closed):
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, StringConstraints(min_length=1)]


class _Variable(_Closed):
    description: str = ""
    required: bool = True
    max_length: int = Field(default=DEFAULT_LENGTH, ge=1, le=1_000_000)
    default: Any = None


class _Similar(_Closed):
    vary: list[_Word] = Field(min_length=1, max_length=8)
    always: Annotated[bool, Field(strict=True)] = False
    similarity: float = Field(default=0.5, ge=0, le=1)
    checked: float = Field(default=0.05, ge=0, le=1)
    wrong: float = Field(default=0.02, ge=0, le=1)
    compare: list[str] = Field(default=[], max_length=32)


class _File(_Closed):
    name: _Name
    version: Annotated[int, Field(strict=True, ge=1)]
    description: str = ""
    messages: list[_Turn] = Field(min_length=1, max_length=64)
    variables: dict[_Word, _Variable] = {}
    output_schema: dict[str, Any] | None = None
    model: Annotated[str, StringConstraints(min_length=1, max_length=255)] = "fast"
    parameters: dict[str, Any] = {}
    redact: list[Kind] = []
    cache_ttl_s: Annotated[int, Field(strict=True, ge=0, le=31_536_000)] | None = None
    semantic: _Similar | None = None


class Library:
    """Templates by name and version."""

    def __init__(self, templates: Iterable[Template]) -> None:
        self._versions: dict[str, dict[int, Template]] = {}
        for template in templates:
            self._versions.setdefault(template.name, {})[template.version] = template
        self._newest = {name: versions[max(versions)] for name, versions in self._versions.items()}

    @classmethod
    def load(cls, directories: Iterable[Path | str]) -> "Library":
        """Every `<directory>/<name>/<version>.yaml`; a later directory replaces an equal name and version.

        Raises InvalidSettings naming every file that cannot be used and why.
        """
        files: dict[str, str] = {}
        problems: list[str] = []
        for directory in map(Path, directories):
            if not directory.is_dir():
                problems.append(f"{directory}: is not a directory")
            for path in sorted(directory.glob("*/*.yaml")):
                try:
                    files[str(path)] = path.read_text(encoding="utf-8")
                except (OSError, UnicodeDecodeError) as error:
                    problems.append(f"{path}: cannot be read: {error}")
        return cls.parse(files, problems)

    @classmethod
    def parse(cls, files: Mapping[str, str], problems: Iterable[str] = ()) -> "Library":
        """A library from texts by file name. Raises InvalidSettings with `problems` and those of the texts."""
        found, wrong = [], list(problems)
        for path, text in files.items():
            try:
                found.append(_template(path, text))
            except (ValueError, InvalidRequest, yaml.YAMLError) as error:
                wrong.append(f"{path}: {_reason(error)}")
        if wrong:
            raise InvalidSettings("these templates cannot be used:\n  " + "\n  ".join(wrong))
        return cls(found)

    def get(self, name: str, version: int | None = None) -> Template:
        """The version asked for, or the newest. Raises InvalidRequest("unknown_template")."""
        found = self._newest.get(name) if version is None else self._versions.get(name, {}).get(version)
        if found is not None:
            return found
        if name in self._versions:
            known = ", ".join(map(str, sorted(self._versions[name])))
            raise _unknown(f"template {name!r} has no version {version}; it has: {known}", "/template/version")
        near = get_close_matches(name, self._versions, n=3) or sorted(self._versions)[:10]
        raise _unknown(f"there is no template {name[:64]!r}; near names: {', '.join(near) or 'none'}", "/template/name")

    def templates(self) -> list[Template]:
        """All versions, by name and version."""
        return [versions[n] for _, versions in sorted(self._versions.items()) for n in sorted(versions)]


def _unknown(message: str, path: str) -> InvalidRequest:
    return InvalidRequest("unknown_template", message, [Problem(path, message)])


def _template(path: str, text: str) -> Template:
    file = _File.model_validate(yaml.safe_load(text))
    if Path(path).stem != str(file.version) or Path(path).parent.name != file.name:
        raise ValueError(f"says {file.name} version {file.version}; it belongs into {file.name}/{file.version}.yaml")
    if file.output_schema is not None:
        compile_schema(file.output_schema)
    turns, used = _turns(file.messages)
    if used != file.variables.keys():
        raise ValueError(_difference(used, set(file.variables)))
    variables = {name: Variable(**spec.model_dump()) for name, spec in file.variables.items()}
    return Template(
        name=file.name,
        version=file.version,
        turns=turns,
        description=file.description,
        variables=variables,
        output_schema=file.output_schema,
        model=file.model,
        parameters=file.parameters,
        redact=frozenset(file.redact),
        guard=guard(tag for turn in file.messages for tag in tags_of(turn.content)),
        defaults={name: spec.default for name, spec in variables.items() if not spec.required},
        cache_ttl_s=file.cache_ttl_s,
        similar=_similar(file),
    )


def _similar(file: _File) -> Similar | None:
    if file.semantic is None:
        return None
    if unknown := set(file.semantic.vary) - file.variables.keys():
        raise ValueError(f"semantic.vary names {', '.join(sorted(unknown))}, which is no variable of it")
    given = file.semantic.model_dump()
    return Similar(**{**given, "vary": tuple(given["vary"]), "compare": tuple(given["compare"])})


def _turns(messages: list[_Turn]) -> tuple[tuple[Turn, ...], set[str]]:
    turns: list[Turn] = []
    used: set[str] = set()
    for index, turn in enumerate(messages):
        try:
            render, names = compile_text(turn.content)
            turns.append(Turn(turn.role, render if names else render({})))
        except (ValueError, TemplateError) as error:
            raise ValueError(f"messages/{index}: {error}") from error
        used |= names
    return tuple(turns), used


def _difference(used: set[str], declared: set[str]) -> str:
    words = [f"uses {name} without declaring it in variables" for name in sorted(used - declared)]
    words += [f"declares the variable {name} but never uses it" for name in sorted(declared - used)]
    return "; ".join(words)


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors()[:10])
    return " ".join(str(error).split())
