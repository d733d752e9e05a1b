"""`make reset` gives back the course's notebook and never loses the learner's."""

import subprocess

import pytest

from tools import reset

NAME = "02_toy.ipynb"


def git(folder, *arguments):
    identity = ["-c", "user.name=learner", "-c", "user.email=learner@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path):
    """A git clone with one committed notebook."""
    folder = tmp_path / "course"
    (folder / "notebooks").mkdir(parents=True)
    (folder / "notebooks" / NAME).write_text("clean\n")
    git(tmp_path, "init", "--quiet", str(folder))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "course")
    return folder


def contents(folder):
    return sorted(path.read_text() for path in (folder / "notebooks").iterdir())


@pytest.mark.parametrize("which", ["02", "2", NAME, f"notebooks/{NAME}"])
def test_the_learners_copy_is_kept_beside_the_clean_one(clone, which):
    (clone / "notebooks" / NAME).write_text("my answers\n")
    said = reset.reset(which, clone, clone / "none")
    assert (clone / "notebooks" / NAME).read_text() == "clean\n"
    assert contents(clone) == ["clean\n", "my answers\n"]
    (kept,) = [path.name for path in (clone / "notebooks").iterdir() if ".mine-" in path.name]
    assert kept in said


def test_many_resets_within_a_minute_lose_nothing(clone):
    for attempt in range(4):
        (clone / "notebooks" / NAME).write_text(f"attempt {attempt}\n")
        reset.reset("02", clone, clone / "none")
    assert contents(clone) == [*(f"attempt {attempt}\n" for attempt in range(4)), "clean\n"]


def test_a_clean_notebook_is_left_alone(clone):
    assert "clean already" in reset.reset("02", clone, clone / "none")
    assert contents(clone) == ["clean\n"]


def test_a_deleted_notebook_comes_back(clone):
    (clone / "notebooks" / NAME).unlink()
    reset.reset("02", clone, clone / "none")
    assert contents(clone) == ["clean\n"]


def test_answers_that_were_committed_can_be_reset_to_the_courses_revision(clone):
    git(clone, "branch", "upstream")
    (clone / "notebooks" / NAME).write_text("committed answers\n")
    git(clone, "commit", "--quiet", "--all", "-m", "mine")
    assert "clean already" in reset.reset("02", clone, clone / "none")
    reset.reset("02", clone, clone / "none", revision="upstream")
    assert contents(clone) == ["clean\n", "committed answers\n"]


def test_a_downloaded_archive_uses_the_copy_that_the_installation_kept(clone, tmp_path):
    (clone / ".git").rename(tmp_path / "no-git")
    originals = tmp_path / "originals"
    originals.mkdir()
    (originals / NAME).write_text("as downloaded\n")
    reset.reset("02", clone, originals)
    assert contents(clone) == ["as downloaded\n", "clean\n"]


@pytest.mark.parametrize(
    "which, revision, message",
    [
        ("", "HEAD", "make reset NOTEBOOK=02"),
        ("07", "HEAD", "no clean copy of a notebook '07'; there are: 02"),
        ("02", "nowhere", "git knows no notebooks in 'nowhere'"),
    ],
)
def test_mistakes_are_explained_and_change_nothing(clone, which, revision, message):
    (clone / "notebooks" / NAME).write_text("my answers\n")
    with pytest.raises(ValueError, match=message):
        reset.reset(which, clone, clone / "none", revision)
    assert contents(clone) == ["my answers\n"]


def test_git_missing_is_explained(clone, monkeypatch):
    monkeypatch.setattr(reset.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="install git"):
        reset.reset("02", clone, clone / "none")
