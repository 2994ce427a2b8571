"""What the settings make of captions, and what is said at the start if there are none."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from spaces_ctl.captions import moonshine
from spaces_ctl.serve.captions import languages
from spaces_ctl.serve.dev import development
from spaces_ctl.settings.checks import together
from spaces_ctl.settings.model import Captions, Settings


def wanted(**captions: Any) -> Settings:
    return Settings(captions=Captions(**captions))


def test_off_unless_they_are_wanted() -> None:
    assert languages(Settings()) == ()
    assert languages(wanted(enabled=True, recogniser="none")) == ()


def test_moonshine_knows_english() -> None:
    assert languages(wanted(enabled=True)) == ("en",)


def test_a_language_that_the_model_does_not_know_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert languages(wanted(enabled=True, languages=("de", "en-GB"))) == ("en-GB",)
    assert "no other language" in caplog.text


def test_without_the_extra_the_server_starts_and_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "moonshine_voice", None)
    assert not moonshine.installed()
    with caplog.at_level(logging.WARNING):
        assert languages(wanted(enabled=True)) == ()
    assert "pip install spaces-ctl[captions]" in caplog.text
    assert not development(Settings(), Path("x")).captions.enabled


def test_development_has_them_if_they_are_installed() -> None:
    directory = Path("x")
    assert development(Settings(), directory).captions.enabled
    assert not development(wanted(recogniser="none"), directory).captions.enabled


def test_a_recogniser_elsewhere_speaks_what_the_settings_say() -> None:
    settings = wanted(enabled=True, recogniser="websocket", url="ws://127.0.0.1:1/", languages=("de", "fr"))
    assert languages(settings) == ("de", "fr")
    assert list(together(settings)) == []
    assert [path for path, _ in together(wanted(enabled=True, recogniser="websocket", url="http://x"))] == [
        "captions.url"
    ]
    assert [path for path, _ in together(wanted(enabled=True, languages=()))] == ["captions.languages"]
