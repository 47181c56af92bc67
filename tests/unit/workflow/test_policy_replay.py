"""A policy is tried on the past before it is put in force."""

from __future__ import annotations

import json

from sluicegate.cli import main as cli
from sluicegate.gate.default_policy import DEFAULT_POLICY


def test_replay_says_what_another_policy_would_have_let_pass(site, capsys):
    home = ["--home", str(site.home.root)]
    for path in (site.clean, site.poisoned):
        site.seal(path)
        site.gate()
    lenient = site.root / "lenient.yaml"
    text = DEFAULT_POLICY.replace("LABEL_FLIPS: {severity: block}", "LABEL_FLIPS: {severity: warn}")
    lenient.write_text(text, encoding="utf-8")
    said = {}
    for name, path in (("same", site.home.policy), ("lenient", lenient)):
        assert cli.main(["policy", "test", str(path), "--source", "src", "--json", *home]) == 0
        said[name] = json.loads(capsys.readouterr().out)
    assert [v["was"] for v in said["same"]["verdicts"]] == ["PASSED", "FAILED"]
    assert [v["would_be"] for v in said["same"]["verdicts"]] == ["PASSED", "FAILED"]
    flips = said["lenient"]["verdicts"][1]
    assert "LABEL_FLIPS" in flips["why"] or flips["would_be"] == "FAILED"
    assert said["lenient"]["would_block"] <= said["same"]["would_block"] == 1
