"""The file of sources, followed: what changed holds, what is wrong is told and holds nothing."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.memory.sources import MemorySourceFile
from connectors.source_file import FollowedFile
from domain.errors import InvalidSettings
from domain.ports import SourceFile
from domain.sources.model import load

FILE = "sources: {tickets: {topic: crm.tickets, request: {tenant: acme}, map: {prompt: text}}}"
MORE = FILE[:-1] + ", forms: {topic: forms, request: {tenant: acme}, map: {prompt: text}}}"
CHANGED = FILE.replace("crm.tickets", "crm.others")


class World:
    """A file and who writes it."""

    def __init__(self, file: SourceFile, write: Callable[[str], object]) -> None:
        self.file, self.write = file, write

    def follow(self) -> None:
        self.file.look()
        self.file.look()


@pytest.fixture(params=["memory", "file"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param == "memory":
        twin = MemorySourceFile(load(FILE, {}))
        return World(twin, lambda text: twin.write("it is wrong: topic" if "topik" in text else load(text, {})))
    path, times = tmp_path / "sources.yaml", iter(range(1, 100))
    path.write_text(FILE)

    def write(text: str) -> None:
        path.write_text(text)
        # two writes may be within one tick of the file system's clock
        os.utime(path, ns=(0, next(times) * 1_000_000_000))

    return World(FollowedFile(str(path), {}), write)


def test_what_changed_holds_when_nobody_writes_it_any_more(world: World) -> None:
    world.write(MORE)
    world.file.look()
    assert set(world.file.sources) == {"tickets"}
    world.file.look()
    assert set(world.file.sources) == {"tickets", "forms"}
    assert (world.file.is_of_start("tickets"), world.file.is_of_start("forms")) == (True, False)


def test_what_stayed_is_equal_and_what_changed_is_not(world: World) -> None:
    before = world.file.sources["tickets"]
    world.write(MORE)
    world.follow()
    assert world.file.sources["tickets"] == before
    world.write(CHANGED)
    world.follow()
    assert world.file.sources["tickets"] != before
    assert not world.file.is_of_start("tickets")


def test_what_is_wrong_is_told_and_changes_nothing_until_it_is_mended(world: World) -> None:
    world.write(MORE.replace("topic: forms", "topik: forms"))
    world.follow()
    assert "topi" in (world.file.wrong or "")
    assert set(world.file.sources) == {"tickets"}
    world.write(MORE)
    world.follow()
    assert (world.file.wrong, set(world.file.sources)) == (None, {"tickets", "forms"})


def test_a_file_that_is_wrong_at_the_start_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sources.yaml").write_text("sources: {tickets: {}}")
    with pytest.raises(InvalidSettings, match="tickets: it needs a `topic`"):
        FollowedFile(str(tmp_path / "sources.yaml"), {})
    with pytest.raises(InvalidSettings, match="cannot read"):
        FollowedFile(str(tmp_path / "none.yaml"), {})
    assert FollowedFile(None, {}).sources == {}


def test_a_file_that_is_taken_away_is_told_and_its_sources_go_on(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(FILE)
    file = FollowedFile(str(path), {})
    path.unlink()
    file.look()
    file.look()
    assert "cannot read" in (file.wrong or "")
    assert set(file.sources) == {"tickets"}


def test_a_link_that_points_at_another_file_is_followed(tmp_path: Path) -> None:
    """As Kubernetes changes a mounted file."""
    for name, text in (("old", FILE), ("new", MORE)):
        (tmp_path / name).write_text(text)
    link = tmp_path / "sources.yaml"
    link.symlink_to("old")
    file = FollowedFile(str(link), {})
    (tmp_path / "next").symlink_to("new")
    (tmp_path / "next").replace(link)
    file.look()
    file.look()
    assert set(file.sources) == {"tickets", "forms"}


def test_the_secrets_of_a_new_source_must_be_in_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(FILE)
    file = FollowedFile(str(path), {})
    path.write_text(FILE[:-1] + ", forms: {webhook: {secret_env: FORMS}, request: {tenant: acme}}}")
    file.look()
    file.look()
    assert "FORMS" in (file.wrong or "")
