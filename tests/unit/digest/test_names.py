"""No name that two systems read differently gets into a manifest."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.digest.names import check_path, check_paths, fold
from sluicegate.errors import UnsafePath


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("a//b", "component"),
        ("a/", "component"),
        ("./a", "component"),
        ("a/./b", "component"),
        ("../a", "component"),
        ("a/../b", "component"),
        ("a/..", "component"),
        ("a\nb", "control"),
        ("a\0b", "control"),
        ("a\x7fb", "control"),
        ("a\x85b", "control"),
        ("a\rb/c", "control"),
        ("e\u0301.csv", "NFC"),
        ("bad\udcff", "not UTF-8"),
        ("x" * 4097, "longer than 4096"),
        ("é" * 2049, "longer than 4096"),
    ],
)
def test_unsafe_path_is_refused_alone_and_among_others(path, reason):
    with pytest.raises(UnsafePath, match=reason):
        check_path(path)
    with pytest.raises(UnsafePath, match=reason):
        check_paths(["good.csv", path, "other.csv"])


@pytest.mark.parametrize(
    "paths",
    [
        ["A", "a"],
        ["dir/x", "Dir/y"],
        ["straße", "STRASSE"],
        ["é", "É"],
        ["\u017f", "s"],  # LATIN SMALL LETTER LONG S folds to s
    ],
)
def test_names_that_some_file_system_takes_for_one_are_refused(paths):
    with pytest.raises(UnsafePath, match="differs only in case or form"):
        check_paths(sorted(paths))


def test_path_that_is_file_and_directory_is_refused():
    with pytest.raises(UnsafePath, match="both a file and a directory"):
        check_paths(["a", "a/b"])


def test_ordinary_paths_are_accepted():
    check_paths(["a b.csv", "year=2026/part-0.parquet", "…/ü.txt", "a.b..c", "...", ".hidden"])


def test_single_file_entry_is_accepted_only_alone():
    check_paths(["."])
    with pytest.raises(UnsafePath):
        check_paths([".", "a"])


def test_hostile_name_cannot_forge_a_line_of_the_message():
    with pytest.raises(UnsafePath) as caught:
        check_path("a\n[OK] all good")
    assert "\n" not in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_accepted_or_refused_the_same_alone_and_in_a_list(path):
    def refused(check):
        try:
            check()
        except UnsafePath:
            return True
        return False

    if path == ".":
        return
    assert refused(lambda: check_path(path)) == refused(lambda: check_paths([path]))


@given(st.text(max_size=30))
def test_folding_ignores_case_and_form(text):
    assert fold(fold(text)) == fold(text)
    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text))
    assert fold(text.casefold()) == fold(text)
