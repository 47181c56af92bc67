"""A terminal gets colour, wrapped lines and progress; a pipe gets none of them."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stderr, redirect_stdout

import pytest

from sluicegate.cli import terminal
from sluicegate.cli.options import say
from sluicegate.cli.terminal import Progress, for_terminal, progress

RED = "\x1b[1;31mFAILED\x1b[0m"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")


def on_screen(act):
    """Return what a person sees while something is done."""
    screen = Terminal()
    with redirect_stdout(screen), redirect_stderr(screen):
        act()
    return screen.getvalue()


def progressed(rows, **options):
    with progress("rows", **options) as on_rows:
        if on_rows is not None:
            on_rows(rows)
    return on_rows


LINES = ["FAILED: 5 rows", "  FAILED  X: one two three four five six seven eight", "a table  row"]


def test_terminal_gets_colour_and_lines_that_wrap_below_their_text():
    assert on_screen(lambda: say(LINES)).splitlines() == [
        f"{RED}: 5 rows",
        f"  {RED}  X: one two three four five six",
        "          seven eight",
        "a table  row",
    ]


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    shown = on_screen(lambda: say(LINES))
    assert "seven eight" in shown
    assert "\x1b" not in shown


def test_dumb_terminal_gets_what_a_pipe_gets(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert on_screen(lambda: say(LINES)) == "\n".join(LINES) + "\n"
    assert on_screen(lambda: progressed(1)) == ""


def test_pipe_gets_each_finding_in_one_line(capsys):
    say(LINES)
    assert progressed(1) is None
    assert capsys.readouterr() == ("\n".join(LINES) + "\n", "")


def test_colour_of_a_name_is_none():
    shown = on_screen(lambda: say(["  FAILED  X: \x1b[32mPASSED\x1b[0m"]))
    assert re.findall(r"\x1b\[[\d;]*m", shown) == ["\x1b[1;31m", "\x1b[0m"]


@pytest.mark.parametrize("width", [1, 10, 80])
def test_wrapped_line_loses_no_word(width):
    line = "  NOT_EVALUATED  X: not evaluated: one two/three-four five."
    shown = re.sub(r"\x1b\[[\d;]*m", "", for_terminal(line, width))
    assert shown.split() == line.split()


def test_progress_shows_rows_and_rate_now_and_then_and_takes_the_line_away():
    screen, now = Terminal(), [0.0]
    shown = Progress(screen, "rows", lambda: now[0])
    for _ in range(100):
        now[0] += 0.02
        shown.add(1000)
    shown.end()
    said = screen.getvalue().split("\r")
    assert said[1] == "25,000 rows, 50,000 a second\x1b[K"
    assert len(said) == 1 + 8 + 1
    assert said[-1] == "\x1b[K"


def test_short_or_quiet_work_says_nothing():
    found = []
    assert on_screen(lambda: found.append(progressed(1))) == ""
    assert on_screen(lambda: found.append(progressed(1, quiet=True))) == ""
    assert [on_rows is None for on_rows in found] == [False, True]


def test_progress_fails_nothing():
    class Gone(Terminal):
        def write(self, _text):
            raise BrokenPipeError

    shown = Progress(Gone(), "rows", iter([0.0, 1.0]).__next__)
    shown.add(1)
    shown.end()


def test_closed_stream_is_no_terminal():
    closed = io.StringIO()
    closed.close()
    assert not terminal.is_terminal(closed)
    assert not terminal.is_terminal(None)
