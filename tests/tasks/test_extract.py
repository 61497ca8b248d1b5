"""Which files a source path finds: what lies in its folder, and nothing that a link leads to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.draft import draft
from tasks.extract import extract
from tasks.takers import by_path
from tests.tasks.conftest import spec
from warehouse.errors import SourceUnavailable, SpecError
from warehouse.spec import Dataset

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def yard(tmp_path: Path, setting: Callable[..., None]) -> Path:
    """A landing folder with a file that is to be found, beside a secret that is not."""
    for place in ("landing/box", "secret"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "a.csv").write_text("code\na\n")
    setting(landing=tmp_path / "landing")
    return tmp_path


def boxes(yard: Path, path: str) -> Dataset:
    return spec(yard, columns={"code": "text"}, key=["code"], source={"path": path})


@pytest.mark.parametrize("path", ["../secret/*.csv", "box/../../secret/a.csv", "/x/../*", "", "/"])
def test_a_source_path_does_not_go_up(yard: Path, path: str) -> None:
    dataset = boxes(yard, path)
    for named in (None, yard / "secret"):
        with pytest.raises(SpecError, match=r"things\.yml: source\.path .*goes up"):
            extract(dataset, named)
    with pytest.raises(SpecError, match="goes up"):
        by_path({"things": dataset})


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("link", "pattern", "target"),
    [
        ("box/b.csv", "box/*.csv", "a.csv"),
        ("box/b.csv", "box/b.csv", "a.csv"),
        ("other", "*/*.csv", ""),
    ],
)
def test_a_link_leads_nowhere_outside(
    yard: Path, whole: bool, link: str, pattern: str, target: str
) -> None:
    place = yard / "landing" / link
    dataset = boxes(yard, f"{yard}/landing/{pattern}" if whole else pattern)
    place.symlink_to(yard / "landing/box" / target)
    assert extract(dataset)[-1].bytes == 7
    place.unlink()
    place.symlink_to(yard / "secret" / target)
    with pytest.raises(SourceUnavailable, match=r"landing/.* leads out of /.*Remove it"):
        extract(dataset)


def test_nor_in_a_folder_that_is_named(yard: Path) -> None:
    (yard / "landing/box/b.csv").symlink_to(yard / "secret/a.csv")
    with pytest.raises(SourceUnavailable, match="leads out of"):
        extract(boxes(yard, "x/*.csv"), yard / "landing/box")


def test_the_landing_folder_itself_may_be_a_link(yard: Path, setting: Callable[..., None]) -> None:
    (yard / "link").symlink_to("landing")
    setting(landing=yard / "link")
    dataset = boxes(yard, "box/*.csv")
    assert [a.path for a in extract(dataset)] == [yard / "link/box/a.csv"]
    assert by_path({"things": dataset}) == {yard / "landing/box/a.csv": "things"}


def test_a_draft_names_the_file_without_going_up(yard: Path, setting: Callable[..., None]) -> None:
    setting(project=yard / "project")
    drafted = draft(yard / "secret/../landing/box/a.csv")
    assert 'path: "box/a.csv"' in drafted.spec.read_text()
