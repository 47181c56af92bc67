"""A difference names every path once, and both ways the same."""

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.digest.test_manifest import entry, manifests

from sluicegate.digest.manifest import Manifest

# The example of in-toto's digest_set.md: module go-hello-world v0.0.1 and its dirhash.
GO_HELLO = {
    "README.md": "3a137eef6458bfb76bb2c63fc29ffc7166604d2d2e09ed9d8250a534122a8364",
    "go.mod": "28e7c942a036902d981759d0bf5704d2bfc7cb500caf68b84711b234af01c6a5",
    "main.go": "ddc4da627d9a9f45fb29641a1b185d6f53287ecfd921aacbf4fe54b7a86fe8d1",
}
GO_HELLO_DIR_HASH = "2a1bb6127fb481c60f67692e22285fb306f3c6ffe62075e0ccf674d7c3adcb8f"

_NAME = st.text("abcXé-._= ", min_size=1, max_size=6).filter(lambda name: name not in {".", ".."})


def test_diff_pairs_each_renamed_file_once():
    old = Manifest.from_entries([entry("a"), entry("b")])
    new = Manifest.from_entries([entry("c"), entry("keep", b"k")])
    difference = old.diff(new)
    assert difference.renamed == (("a", "c"),)
    assert difference.removed == ("b",)
    assert difference.added == ("keep",)
    assert difference.changed == ()


@given(manifests(), manifests())
def test_diff_is_empty_exactly_when_digests_agree(old, new):
    assert bool(old.diff(new)) == (old.digest != new.digest)


@given(manifests(), manifests())
def test_diff_backwards_swaps_added_and_removed(old, new):
    forth, back = old.diff(new), new.diff(old)
    assert len(forth.added) == len(back.removed)
    assert forth.changed == back.changed
    assert len(forth.renamed) == len(back.renamed)


def test_message_about_many_files_stays_short():
    old = Manifest.from_entries([entry(f"f{number:04}") for number in range(1000)])
    new = Manifest.from_entries([entry("other", b"y")])
    assert "and 990 more" in str(old.diff(new))
    assert str(old.diff(old)) == "no difference"
