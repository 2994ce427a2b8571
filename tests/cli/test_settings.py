"""The settings file: every problem by its path, secrets from files, the environment over it all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from spaces_ctl.policy.limits import PRESETS, Limits
from spaces_ctl.settings import Settings, SettingsError, load
from spaces_ctl.settings.model import Preset
from spaces_ctl.settings.show import MASK, example, shown
from spaces_ctl.settings.tree import entries


def problems(tmp_path: Path, text: str, **environment: str) -> list[str]:
    file = tmp_path / "spaces.toml"
    file.write_text(text)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in load(file, environment).problems]


def test_the_example_is_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spaces.toml").write_text(example())
    loaded = load(Path("spaces.toml"), {})
    assert loaded.settings == Settings() == load(None, {}).settings


def test_the_example_has_every_key_with_its_comment() -> None:
    lines = example().splitlines()
    for section, part in entries(Settings).items():
        begin = lines.index(f"[{section}]")
        assert part.table is not None
        for name, entry in entries(part.table).items():
            shape = re.compile(rf"(# )?(\[+{section}\.{name}\]+|{name}(_file)? = .*)")
            place = next(n for n in range(begin, len(lines)) if shape.fullmatch(lines[n]))
            assert re.match(r"# [A-Zx]|# [a-z]+:", lines[place - 1]) or entry.name == "preset", name


def test_the_example_uncommented_is_taken(tmp_path: Path) -> None:
    """Also what is commented out must be valid keys: only files and values may be refused."""
    lines = [re.sub(r"^(# )+(?=\[|[a-z_]+ = )", "", line) for line in example().splitlines()]
    (tmp_path / "spaces.toml").write_text("\n".join(lines))
    loaded = load(tmp_path / "spaces.toml", {})
    assert len(lines) - sum(line.startswith("#") for line in lines) > 60
    assert {problem.message.partition(" ")[0] for problem in loaded.problems} == {"cannot"}, loaded.problems


def test_presets_are_the_policys() -> None:
    assert set(get_args(Preset)) == set(PRESETS)


def test_a_typo_is_named_by_its_path_and_line(tmp_path: Path) -> None:
    assert problems(tmp_path, "[http]\n\nprot = 1\n") == [
        "http.prot: unknown; did you mean http.port? (spaces.toml:3)",
    ]


def test_a_misspelt_section_is_named(tmp_path: Path) -> None:
    assert problems(tmp_path, "[databse]\nurl = 'x'") == ["databse: unknown; did you mean database? (spaces.toml:1)"]


def test_nothing_near_gives_no_advice(tmp_path: Path) -> None:
    assert problems(tmp_path, "[http]\nzzz = 1") == ["http.zzz: unknown (spaces.toml:2)"]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = """
[http]
port = "x"
bind = 3
[limits]
preset = "x14"
[graph]
mode = "nowhere"
[limits.override]
max_speaker = 3
max_cohosts = "two"
[[auth.oidc]]
name = "a"
issuer = "https://a.example"
client_id = "a"
[[auth.oidc]]
name = "b"
isuer = "https://b.example"
"""
    assert problems(tmp_path, text, SPACES_MEDIA__SHARDS="0", SPACES_MEDIA__PORTS="1", SPACES_NOWHERE__X="1") == [
        "media.ports: unknown; did you mean SPACES_MEDIA__PORT? (SPACES_MEDIA__PORTS)",
        "media.shards: expected int >= 1, got '0' (SPACES_MEDIA__SHARDS)",
        "nowhere: unknown (SPACES_NOWHERE__X)",
        "http.port: expected int, got str (spaces.toml:3)",
        "http.bind: expected str, got int (spaces.toml:4)",
        "limits.preset: expected x13, classic11, api10, replay30, mobile_first or allow_rejoin_after_removal, "
        "got 'x14' (spaces.toml:6)",
        "limits.override.max_speaker: unknown; did you mean limits.override.max_speakers? (spaces.toml:10)",
        "limits.override.max_cohosts: expected int, got str (spaces.toml:11)",
        "graph.mode: expected embedded or http, got 'nowhere' (spaces.toml:8)",
        "auth.oidc[1].isuer: unknown; did you mean auth.oidc[1].issuer? (spaces.toml:18)",
        "auth.oidc[1].issuer: is needed (spaces.toml:16)",
        "auth.oidc[1].client_id: is needed (spaces.toml:16)",
    ]


def test_out_of_range_tells_value_and_bound(tmp_path: Path) -> None:
    assert problems(tmp_path, "[http]\nport = 70000") == [
        "http.port: expected int <= 65535, got 70000 (spaces.toml:2)",
    ]


def test_a_section_that_is_no_table(tmp_path: Path) -> None:
    assert problems(tmp_path, "http = 3") == ["http: expected a table, got 3 (spaces.toml:1)"]
    assert problems(tmp_path, "http = 3", SPACES_HTTP__PORT="1") == ["http: expected a table, got 3 (spaces.toml:1)"]


def test_the_file_cannot_be_read(tmp_path: Path) -> None:
    assert (
        str(load(tmp_path / "no.toml", {}).problems[0]) == f"cannot read {tmp_path}/no.toml: No such file or directory"
    )
    (tmp_path / "latin").write_bytes(b"# \xe9")
    assert load(tmp_path / "latin", {}).problems[0].message.endswith("not UTF-8 text")
    assert problems(tmp_path, "[http\n")[0].startswith("spaces.toml is not valid TOML: ")


def test_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / "spaces.toml"
    file.write_text("[http]\nport = 1\ncors_origins = ['https://a.example']\n[limits.override]\nmax_topics = 1")
    loaded = load(
        file,
        {
            "SPACES_HTTP__PORT": "2",
            "SPACES_HTTP__CORS_ORIGINS": "https://b.example, https://c.example",
            "SPACES_MEDIA__PIN": "[3]",
            "SPACES_LIMITS__OVERRIDE__MAX_SPEAKERS": "7",
            "SPACES_AUTH__LOCAL_LOGIN": "true",
            "SPACES_TOKEN": "not a setting",
            "SPACES_PORT": "tcp://10.0.0.1:80",
        },
    )
    settings = loaded.settings
    assert settings.http.port == 2
    assert settings.http.cors_origins == ("https://b.example", "https://c.example")
    assert settings.media.pin == (3,)
    assert settings.limits.resolve() == Limits(max_speakers=7, max_topics=1)
    sources = loaded.sources
    assert sources["http.port"] == "SPACES_HTTP__PORT"
    assert sources["limits.override.max_topics"] == f"{file}:5"


def test_secrets_come_from_files_and_are_never_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    file = tmp_path / "spaces.toml"
    file.write_text(
        """
[mail]
password_file = "secret"
[database]
url = "postgresql://me:topsecret@db.example/spaces"
[[auth.oidc]]
name = "a"
issuer = "https://a.example"
client_id = "a"
client_secret = "topsecret"
"""
    )
    loaded = load(file, {"SPACES_GRAPH__KEY_FILE": str(tmp_path / "secret"), "SPACES_PAYMENTS__SECRET": "topsecret"})
    assert loaded.settings.mail.password == "hunter2"
    assert loaded.settings.graph.key == "hunter2"
    lines = {line.path: line for line in shown(loaded)}
    assert lines["mail.password"].value == MASK
    assert lines["mail.password"].source == f"{tmp_path}/secret by {file}:3"
    assert lines["push.vapid_private_key"].value == ""
    assert lines["database.url"].value == f"postgresql://me:{MASK}@db.example/spaces"
    printed = repr(list(lines.values()))
    assert "hunter2" not in printed
    assert "topsecret" not in printed


def test_a_wrong_secret_is_not_repeated(tmp_path: Path) -> None:
    assert problems(tmp_path, "[mail]\npassword = 12345") == ["mail.password: expected str, got int (spaces.toml:2)"]
    found = problems(tmp_path, "[auth]\nsigning_key = 'topsecret'")
    assert found == ["auth.signing_key: expected 32 bytes in base64url (spaces.toml:2)"]
    found = problems(tmp_path, "[database]\nurl = 'mysql://me:topsecret@db/x'")
    assert "topsecret" not in found[0]


def test_a_secret_in_the_environment_replaces_the_files_way_of_giving_it(tmp_path: Path) -> None:
    file = tmp_path / "spaces.toml"
    file.write_text("[mail]\npassword_file = 'not there'")
    assert load(file, {"SPACES_MAIL__PASSWORD": "x"}).settings.mail.password == "x"


def test_a_missing_or_empty_secret_file(tmp_path: Path) -> None:
    assert problems(tmp_path, "[mail]\npassword_file = 'no'") == [
        "mail.password_file: cannot read no: No such file or directory (spaces.toml:2)",
    ]
    (tmp_path / "empty").write_text("\n")
    assert problems(tmp_path, "[mail]\npassword_file = 'empty'") == [
        "mail.password_file: empty is empty (spaces.toml:2)",
    ]
    assert problems(tmp_path, "[mail]\npassword_file = 'empty'\npassword = 'x'")[-1] == (
        "mail.password: give this or password_file, not both (spaces.toml:3)"
    )


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "spaces.toml"
    file.write_text("[recordings]\ndirectory = 'audio'\n[database]\nurl = 'sqlite:///db/s.db'")
    settings = load(file, {"SPACES_NODE__DATA_DIRECTORY": "here"}).settings
    assert settings.recordings.directory == tmp_path / "audio"
    assert settings.node.data_directory == Path("here")
    assert settings.database.url == f"sqlite:///{tmp_path}/db/s.db"
    assert load(file, {"SPACES_DATABASE__URL": "sqlite:///x.db"}).settings.database.url == "sqlite:///x.db"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[http]\ntls_key = 'spaces.toml'", "http.tls_certificate: is needed with tls_key"),
        (
            "[media]\ntls_key = 'no'\ntls_certificate = 'spaces.toml'",
            "media.tls_key: cannot read no: No such file or directory",
        ),
        ("[http]\nbind = 'localhost'", "http.bind: expected an IP address, got 'localhost'"),
        ("[http]\npublic_url = 'a'", "http.public_url: expected https://HOST or http://HOST[:PORT], got 'a'"),
        ("[http]\ncors_origins = ['*']", "http.cors_origins: expected https://HOST[:PORT], got '*'"),
        ("[http]\ntrusted_proxies = ['x']", "http.trusted_proxies: expected an IP address or network, got 'x'"),
        ("[media]\npublic_addresses = ['a']", "media.public_addresses: expected HOST:PORT, got 'a'"),
        ("[media]\npin = [0, 1]", "media.pin: expected one core a shard (1), got 2"),
        (
            "[database]\nurl = 'mysql://x/y'",
            "database.url: expected sqlite:///PATH or postgresql://USER@HOST/NAME, got 'mysql://x/y'",
        ),
        (
            "[database]\nurl = 'postgresql://x'",
            "database.url: the name of the database is missing: postgresql://USER@HOST/NAME",
        ),
        (
            f"[limits.override]\nreactions = {[str(n) for n in range(17)]}",
            "limits.override.reactions: the engine counts 16 kinds, got 17",
        ),
        ("[database]\nurl = 'sqlite://x'", "database.url: expected sqlite:///PATH, got 'sqlite://x'"),
        ("[limits.override]\nmax_stage = 14", "limits.override.max_stage: the engine has 13 seats, got 14"),
        ("[auth]\nlocal_login = false", "auth.local_login: nobody could log in: switch it on or add [[auth.oidc]]"),
        ("[graph]\nmode = 'http'\nkey = 'k'", "graph.url: expected http://HOST or https://HOST with mode http, got ''"),
        (
            "[push]\nvapid_private_key = 'x'",
            "push.subject: expected mailto:ADDRESS or https://… with vapid_private_key",
        ),
        ("[mail]\nhost = 'x'", "mail.sender: expected an e-mail address with mail.host"),
        ("[http]\ncard_font = '/no/font'", "http.card_font: cannot read /no/font: No such file or directory"),
        (
            f"[http]\ncard_font = {__file__!r}",
            f"http.card_font: expected a TrueType or OpenType font, got {__file__}",
        ),
    ],
)
def test_what_belongs_together(tmp_path: Path, text: str, problem: str) -> None:
    (found,) = problems(tmp_path, text)
    assert re.fullmatch(re.escape(problem) + r" \(spaces\.toml:[12]\)", found)


def test_two_providers_of_one_name(tmp_path: Path) -> None:
    row = "[[auth.oidc]]\nname = 'a'\nissuer = 'http://a.example'\nclient_id = 'a'\n"
    assert [line.partition(" (")[0] for line in problems(tmp_path, row + row)] == [
        "auth.oidc[0].issuer: expected https://HOST, got 'http://a.example'",
        "auth.oidc[1].name: 'a' is taken by another provider",
        "auth.oidc[1].issuer: expected https://HOST, got 'http://a.example'",
    ]


def test_the_password_goes_into_the_url() -> None:
    loaded = load(None, {"SPACES_DATABASE__URL": "postgresql://me@db:5/x", "SPACES_DATABASE__PASSWORD": "a/b"})
    assert loaded.settings.database.full_url == "postgresql://me:a%2Fb@db:5/x"
    assert Settings().database.full_url == "sqlite:///spaces.db"


def test_wrong_settings_cannot_be_had() -> None:
    loaded = load(None, {"SPACES_HTTP__PORT": "x", "SPACES_HTTP__BINDD": "y"})
    with pytest.raises(SettingsError) as caught:
        _ = loaded.settings
    assert len(caught.value.problems) == 2
    assert msgspec.json.encode(caught.value.problems[0])
