"""The dispatcher's exit codes: 0 done, 1 failed, 2 wrong use, 3 part not installed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path

import pytest

from hearthline import __version__, cli
from hearthline.speech import CHOSEN, language
from hearthline.usage_texts import TEXTS

Rooms = Callable[[str], None]

PARTS = """
import typer
from hearthline.errors import ConfigError, LinkError
app = typer.Typer()

@app.callback()
def room() -> None: ...

@app.command()
def good() -> None: ...

@app.command()
def three() -> int:
    return 1

@app.command()
def exits(code: int) -> None:
    raise typer.Exit(code)

@app.command()
def wrong() -> None:
    raise ConfigError("home.toml: port: unknown key `x`")

@app.command()
def away() -> None:
    raise LinkError("the broker is away")

@app.command()
def stopped() -> None:
    raise KeyboardInterrupt
"""


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rooms:
    """Make `hearthline cloud` a module of this text, as an entry point would."""

    def make(text: str) -> None:
        (tmp_path / "made_up_room.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "made_up_room", raising=False)
        found = EntryPoints([EntryPoint("cloud", "made_up_room:app", "hearthline.commands")])
        monkeypatch.setattr(cli, "entry_points", lambda group: found)

    return make


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["good"], 0, ""),
        (["--help"], 0, ""),
        (["three"], 1, ""),
        (["exits", "4"], 4, ""),
        (["wrong"], 2, "unknown key `x`"),
        (["away"], 1, "the broker is away"),
        (["nonsense"], 2, "nonsense"),
        (["good", "--no-such-option"], 2, "--no-such-option"),
        (["exits"], 2, ""),
    ],
)
def test_exit_codes(
    room: Rooms, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    room(PARTS)
    assert cli.run(["cloud", *arguments]) == code
    assert said in capsys.readouterr().err


def test_ctrl_c_is_no_success(room: Rooms) -> None:
    room(PARTS)
    assert cli.run(["cloud", "stopped"]) in (1, 130)  # 130 is the shell's word for it


def test_ctrl_c_while_a_part_is_being_loaded_is_no_traceback(room: Rooms, capsys: pytest.CaptureFixture[str]) -> None:
    room("raise KeyboardInterrupt")
    assert cli.run(["cloud", "good"]) == 1
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cloud", "nonsense"], "没有“nonsense”这个命令"),
        (["cloud", "good", "--no-such-option"], "没有选项 --no-such-option"),
        (["cloud", "good", "one", "more"], "多出了：one more"),
        (["cloud", "exits"], "缺少 "),
        (["cloud", "exits", "x"], "的值不能用："),
        (["nix"], "没有“nix”这个命令；可用：cloud"),
    ],
)
def test_a_mistake_in_a_command_line_is_told_in_the_terminals_language(
    room: Rooms, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    room(PARTS)
    monkeypatch.setenv(CHOSEN, "zh")
    assert cli.run(arguments) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Error" not in told
    monkeypatch.setenv(CHOSEN, "en")
    assert cli.run(arguments) == 2
    assert not any("\u4e00" <= letter <= "\u9fff" for letter in capsys.readouterr().err)


def test_every_command_is_in_the_list_in_both_languages() -> None:
    words = {entry.name.partition(".")[0] for entry in entry_points(group="hearthline.commands")}
    assert words
    assert words <= set(TEXTS.texts)


def test_a_part_that_is_not_installed_names_its_extra(room: Rooms, capsys: pytest.CaptureFixture[str]) -> None:
    room("import a_library_that_nobody_has")
    assert cli.run(["cloud", "run"]) == 3
    error = capsys.readouterr().err
    assert "pip install 'hearthline[cloud]'" in error
    assert "a_library_that_nobody_has" in error
    assert "Traceback" not in error


def test_a_bug_in_a_part_is_not_taken_for_a_missing_part(room: Rooms) -> None:
    room("import hearthline.no_such_module")
    with pytest.raises(ModuleNotFoundError):
        cli.run(["cloud", "run"])


def test_general_use(room: Rooms, capsys: pytest.CaptureFixture[str]) -> None:
    room(PARTS)
    assert cli.run(["--version"]) == 0
    assert __version__ in capsys.readouterr().out
    assert cli.run(["--help"]) == 0
    assert "cloud" in capsys.readouterr().out
    assert cli.run([]) == 2
    assert cli.run(["nix"]) == 2
    assert "there are: cloud" in capsys.readouterr().err


SHARED = """
import typer
app = typer.Typer()

@app.callback()
def part() -> None: ...

@app.command()
def add(gateway: str = "") -> None:
    print("{whose} adds", gateway)

@app.command()
def {own}() -> None:
    print("{whose} alone")
"""


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rooms:
    """Make `hearthline device` a command of center and home; the room that is named lacks a library."""

    def make(lacking: str) -> None:
        found = []
        for whose, own in (("center", "show"), ("home", "learn")):
            name = f"made_up_{whose}"
            text = "import a_library_that_nobody_has" if whose == lacking else SHARED.format(whose=whose, own=own)
            (tmp_path / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)
            found.append(EntryPoint(f"device.{whose}", f"{name}:app", "hearthline.commands"))
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(cli, "entry_points", lambda group: EntryPoints(found))

    return make


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add"], "home adds"),
        (["add", "--gateway", "gw-1"], "center adds gw-1"),
        (["add", "--gateway=gw-1"], "center adds gw-1"),
        (["show"], "center alone"),
        (["learn"], "home alone"),
    ],
)
def test_a_command_that_two_rooms_share(
    shared: Rooms, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    shared("nobody")
    assert cli.run(["device", *arguments]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("lacking", "works", "names"), [("center", ["learn"], "add"), ("home", ["show"], "add --gateway gw-1")]
)
def test_one_room_alone_does_its_part(shared: Rooms, lacking: str, works: list[str], names: str) -> None:
    shared(lacking)
    assert cli.run(["device", *works]) == 0
    assert cli.run(["device", *names.split()]) == 0


@pytest.mark.parametrize(("lacking", "word", "extra"), [("center", "show", "device"), ("home", "learn", "device")])
def test_a_subcommand_of_the_room_that_is_not_here(
    shared: Rooms, capsys: pytest.CaptureFixture[str], lacking: str, word: str, extra: str
) -> None:
    shared(lacking)
    assert cli.run(["device", word]) == 3
    assert f"pip install 'hearthline[{extra}]'" in capsys.readouterr().err


def test_the_language_is_chosen_before_the_command(room: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHOSEN, "en")
    room(PARTS)
    assert cli.run(["--lang", "zh", "cloud", "good"]) == 0
    assert language() == "zh"
    assert cli.run(["--lang", "de", "cloud", "good"]) == 2
    assert cli.run(["--lang"]) == 2
