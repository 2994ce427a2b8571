"""Recorded, kept, exported, heard by a moderator, and gone: the whole way, with real files, on both databases."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest
import sqlalchemy as sa

from spaces_ctl import commands as c
from spaces_ctl.policy.limits import Limits
from spaces_ctl.policy.state import ReplayStatus
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.exports import ExportState
from spaces_ctl.service.ports import Principal
from spaces_ctl.store import recordings
from spaces_ctl.store.database import Database
from spaces_ctl.store.moderation import actions
from tests.support.retained import SECRET_WORDS, Retained, retained
from tests.support.worlds import ANN, BEN, HOST, World

MODERATOR = Principal(account=90, moderator=True)
CREATOR = Principal(account=HOST)
OPERATOR = Principal(operator=True)
WEEK = 7

# What still names a Space when all that was recorded is gone (docs/retention.md): its log and projections, who was
# told what, and the accounts that are given of reports, reads and deletions.
LEFT = {
    "deletions",
    "exports",
    "moderation_actions",
    "report_cases",
    "review_reads",
    "space_events",
    "space_people",
    "space_search",
    "spaces",
}


@pytest.fixture
async def kept(world: World, tmp_path: Path) -> AsyncIterator[Retained]:
    async with retained(world, tmp_path / "kept") as kept:
        yield kept


async def key_of(kept: Retained, space: int) -> bytes | None:
    found: bytes | None = await kept.world.db.read(lambda k: recordings.key(k, space))
    return found


async def code(awaitable: Awaitable[object]) -> str:
    with pytest.raises(ServiceError) as refused:
        await awaitable
    return refused.value.code


async def test_after_the_purge_nothing_is_left_but_logs_and_accounts(kept: Retained, tmp_path: Path) -> None:
    world = kept.world
    space = await kept.over(reported=True, clip=True)
    assert await kept.lies(space) >= {"replay", "source", "clips"}
    key = await key_of(kept, space)
    assert key is not None
    assert await kept.holds(SECRET_WORDS.encode()) == {"captions"}
    assert await kept.holds(key) == {"recordings"}
    [case] = await kept.moderation.cases(MODERATOR)
    heard = await kept.retention.reviews.open(MODERATOR, case.id, "to hear it")
    await kept.retention.reviews.sound(90, heard.read.id, "mix")
    await world.do(HOST, space, c.Export())
    await kept.settle()
    assert "export" in await kept.lies(space)
    await world.do(HOST, space, c.DeleteReplay())
    await kept.settle()
    assert await kept.lies(space) == {"source", "export"}, "the clip goes with the replay; the host's export is theirs"
    await kept.moderation.dismiss(MODERATOR, case.id, "harmless")
    await kept.wait(days=29)
    assert "source" in await kept.lies(space)
    await kept.wait(days=1)
    assert await kept.lies(space) == set()
    assert await key_of(kept, space) is None
    assert await kept.tables_with(space) - {"media_work"} == LEFT
    assert await kept.holds(SECRET_WORDS.encode()) == await kept.holds(key) == set()
    for path in tmp_path.glob("*.db*"):  # SQLite: neither in the file nor in its write-ahead log
        data = path.read_bytes()
        assert key not in data, path.name
        assert SECRET_WORDS.encode() not in data, path.name
    assert await code(kept.retention.reviews.sound(90, heard.read.id, "mix")) in ("link.expired", "evidence.gone")
    assert await code(kept.retention.reviews.open(MODERATOR, case.id, "again")) == "evidence.gone"


async def test_the_purge_is_complete_right_away_though_links_are_still_good(kept: Retained) -> None:
    """A moderator who has just heard it cannot fetch it again."""
    world = kept.world
    await kept.over(record=False, reported=True)
    [case] = await kept.moderation.cases(MODERATOR)
    await kept.moderation.dismiss(MODERATOR, case.id, "harmless")
    await kept.wait(days=29, seconds=86_399)
    heard = await kept.retention.reviews.open(MODERATOR, case.id, "an appeal")
    assert await kept.retention.reviews.sound(90, heard.read.id, "mix")
    world.clock.advance(seconds=1)
    await kept.settle()
    assert world.clock.now_ms() < heard.read.expires_ms
    assert await code(kept.retention.reviews.sound(90, heard.read.id, "mix")) == "evidence.gone"


async def test_a_violation_and_its_appeal_move_what_is_really_kept(kept: Retained) -> None:
    world = kept.world
    space = await kept.over()
    await world.do(90, space, c.MarkViolation(note="hate"), moderator=True)
    await kept.wait(days=100)
    assert {"source", "replay"} <= await kept.lies(space)
    assert await code(world.do(ANN, space, c.PlayReplay())) == "replay.withheld"
    await world.do(90, space, c.ClearViolation(), moderator=True)
    await kept.settle()
    assert (await world.state(space)).replay.status is ReplayStatus.AVAILABLE
    assert {"source", "replay"} <= await kept.lies(space), "kept as long as it is replayable"
    await world.do(90, space, c.MarkViolation(note="hate"), moderator=True)
    await kept.wait(days=20)
    assert await kept.lies(space) == set()
    assert await key_of(kept, space) is None


async def test_without_review_copies_nothing_of_an_unrecorded_space_reaches_the_store(
    database: Database, tmp_path: Path
) -> None:
    world = World(database, limits=Limits(audit_copy=False))
    async with retained(world, tmp_path / "kept") as kept:
        space = await kept.over(record=False)
        assert "source" not in await kept.lies(space)
        await kept.wait(seconds=121)
        assert await kept.lies(space) == set()
        assert await key_of(kept, space) is None
        assert await kept.holds(SECRET_WORDS.encode()) == set()


# Exports


async def test_a_creator_asks_is_told_and_downloads(kept: Retained) -> None:
    world, exports = kept.world, kept.retention.exports
    space = await kept.over()
    assert await exports.of_space(CREATOR, space) == []
    await world.do(HOST, space, c.Export())
    await kept.settle()
    [export] = await exports.of_space(CREATOR, space)
    assert (export.number, export.state, export.account) == (1, ExportState.READY, HOST)
    [(accounts, notice)] = kept.told
    assert (accounts, notice.kind, notice.space) == ([HOST], "export_ready", space)
    file = await exports.file(HOST, space, 1)
    data = await kept.objects.get(file.object)
    assert (file.bytes, file.filename[-4:]) == (len(data), ".zip")
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert set(archive.namelist()) == set(export.files)
    assert {"mix.opus", f"people/user{HOST}.wav", f"people/user{ANN}.opus"} <= set(export.files)
    told = json.loads(archive.read("metadata.json"))
    assert (told["recorded_ms"], told["creator"]) == (20_000, str(HOST))
    captions = archive.read("captions.vtt").decode()
    assert SECRET_WORDS in captions
    assert "late" not in captions, "after what was recorded"
    assert len(archive.read(f"people/user{ANN}.wav")) == 44 + 20 * 96_000


async def test_an_export_is_its_creators_alone(kept: Retained) -> None:
    exports = kept.retention.exports
    space = await kept.over()
    await kept.world.do(HOST, space, c.Export())
    await kept.settle()
    for asker in (Principal(), Principal(account=ANN), MODERATOR, OPERATOR):
        assert await code(exports.of_space(asker, space)) == "role.forbidden"
        assert await code(exports.get(asker, space, 1)) == "role.forbidden"
    assert await code(exports.file(ANN, space, 1)) == "role.forbidden"
    assert await code(exports.get(CREATOR, space, 2)) == "export.not_found"
    assert await code(exports.get(CREATOR, space + 1, 1)) == "space.not_found"


async def test_what_was_not_recorded_is_not_handed_to_its_host(kept: Retained) -> None:
    space = await kept.over(record=False)
    assert "source" in await kept.lies(space)
    assert await code(kept.world.do(HOST, space, c.Export())) == "replay.unavailable"


async def test_asking_again_while_it_is_made_is_the_same_export_and_later_a_new_one_in_its_place(
    kept: Retained,
) -> None:
    world, exports = kept.world, kept.retention.exports
    space = await kept.over()
    for _ in range(3):
        await world.do(HOST, space, c.Export())
    await kept.settle()
    assert [one.number for one in await exports.of_space(CREATOR, space)] == [1]
    await world.do(HOST, space, c.Export())
    await kept.settle()
    assert [(one.number, one.state) for one in await exports.of_space(CREATOR, space)] == [
        (2, ExportState.READY),
        (1, ExportState.GONE),
    ]
    assert await code(exports.file(HOST, space, 1)) == "export.gone"
    assert [name for name, _ in await kept.objects.list(f"spaces/{space}/export")] == [
        f"spaces/{space}/export/2/space.zip"
    ]
    assert [(row.number, row.why.value) for row in await kept.account(space)] == [(1, "replaced")]
    assert len(kept.told) == 2


async def test_it_expires_after_a_week_and_is_deleted(kept: Retained) -> None:
    exports = kept.retention.exports
    space = await kept.over()
    await kept.world.do(HOST, space, c.Export())
    await kept.settle()
    await kept.wait(days=6, seconds=86_399)
    assert await exports.file(HOST, space, 1)
    kept.world.clock.advance(seconds=1)
    assert await code(exports.file(HOST, space, 1)) == "export.gone", "whether or not it was deleted yet"
    await kept.settle()
    assert "export" not in await kept.lies(space)
    [row] = await kept.account(space)
    assert (row.what.value, row.number, row.why.value, row.objects) == ("export", 1, "expired", 1)
    assert (await exports.get(CREATOR, space, 1)).state is ExportState.GONE


async def test_the_export_of_a_deleted_replay_goes_with_the_last_copy(kept: Retained) -> None:
    world, exports = kept.world, kept.retention.exports
    space = await kept.over()
    await kept.wait(days=25)
    await world.do(HOST, space, c.DeleteReplay())
    await kept.settle()
    await world.do(HOST, space, c.Export())
    await kept.settle()
    assert (await exports.get(CREATOR, space, 1)).state is ExportState.READY, "as long as we have it"
    world.clock.advance(days=5)
    await world.timers.ring()
    assert await code(exports.file(HOST, space, 1)) == "export.gone", "at once, by the Space's state"
    await kept.settle()
    assert await kept.lies(space) == set()
    assert await code(world.do(HOST, space, c.Export())) == "replay.deleted"


async def test_a_worker_that_dies_makes_the_export_later(kept: Retained) -> None:
    exports = kept.retention.exports
    space = await kept.over()
    kept.worker.down = True
    await kept.world.do(HOST, space, c.Export())
    await kept.settle()
    export = await exports.get(CREATOR, space, 1)
    assert (export.state, export.tries, export.error) == (ExportState.MAKING, 1, "gone")
    assert await code(exports.file(HOST, space, 1)) == "export.not_ready"
    kept.worker.down = False
    await kept.wait(seconds=5)
    assert (await exports.get(CREATOR, space, 1)).state is ExportState.READY


async def test_an_export_without_hope_fails_and_can_be_asked_for_anew(kept: Retained) -> None:
    exports = kept.retention.exports
    space = await kept.over()
    await kept.objects.delete(f"spaces/{space}/source")
    await kept.world.do(HOST, space, c.Export())
    await kept.settle()
    export = await exports.get(CREATOR, space, 1)
    assert (export.state, export.error) == (ExportState.FAILED, "source.gone")
    assert await code(exports.file(HOST, space, 1)) == "export.not_ready"
    assert kept.told == []
    await kept.world.do(HOST, space, c.Export())
    await kept.settle()
    assert [one.number for one in await exports.of_space(CREATOR, space)] == [2, 1]


# Reviews


async def case_of(kept: Retained) -> int:
    [case] = await kept.moderation.cases(MODERATOR)
    return case.id


async def test_a_moderator_hears_what_was_reported_and_that_is_written_down(kept: Retained) -> None:
    reviews = kept.retention.reviews
    space = await kept.over(record=False, reported=True)
    case = await case_of(kept)
    heard = await reviews.open(MODERATOR, case, "somebody swore")
    assert heard.evidence == (0, 20_000)
    assert [(track.account, track.name) for track in heard.tracks] == [(None, "mix"), (HOST, "1"), (ANN, "2")]
    assert [line.text for line in heard.captions] == [SECRET_WORDS]
    for track in heard.tracks:
        assert (await reviews.sound(90, heard.read.id, track.name)).startswith(b"OggS")
    asked = len(kept.worker.asked)
    await reviews.sound(90, heard.read.id, "mix")
    assert len(kept.worker.asked) == asked, "kept in memory while the links are good"
    [read] = await reviews.page(OPERATOR, space=space)
    assert (read.moderator, read.case, read.space, read.from_ms, read.to_ms) == (90, case, space, 0, 20_000)
    assert (read.why, read.fetched) == ("somebody swore", 3)
    trail = await kept.world.db.read(lambda k: actions(k, None, 10, space=space))
    assert [(line.action, line.moderator, line.why, line.outcome) for line in trail[:2]] == [
        ("hear", 90, "somebody swore", "done"),
        ("hear", 90, "somebody swore", "asked"),
    ]
    assert await kept.lies(space) == {"source"}, "nothing of it was written anywhere"


async def test_only_moderators_with_a_reason_hear_and_only_operators_see_who_did(kept: Retained) -> None:
    reviews = kept.retention.reviews
    await kept.over(reported=True)
    case = await case_of(kept)
    for asker in (Principal(), CREATOR):
        assert await code(reviews.open(asker, case, "let me")) == "role.forbidden"
    assert await code(reviews.open(MODERATOR, case, "  ")) == "report.reason_required"
    assert await code(reviews.open(MODERATOR, case + 1, "x")) == "report.not_found"
    assert await reviews.page(OPERATOR) == [], "who was refused read nothing"
    for asker in (MODERATOR, CREATOR, Principal()):
        assert await code(reviews.page(asker)) == "role.forbidden"


async def test_a_stretch_can_be_named_and_is_bounded(kept: Retained) -> None:
    reviews = kept.retention.reviews
    await kept.over(reported=True)
    case = await case_of(kept)
    heard = await reviews.open(MODERATOR, case, "the middle", 10_000, 12_000)
    assert [track.account for track in heard.tracks] == [None, ANN]
    assert (heard.read.from_ms, heard.read.to_ms) == (10_000, 12_000)
    heard = await reviews.open(MODERATOR, case, "to the end", 10_000)
    assert heard.read.to_ms == 20_000
    for from_ms, to_ms in ((-1, 5), (5, 5), (0, 20_001), (0, 16 * 60_000), (25_000, None)):
        assert await code(reviews.open(MODERATOR, case, "x", from_ms, to_ms)) == "setting.invalid"


async def test_links_are_the_moderators_own_and_short_lived(kept: Retained) -> None:
    reviews = kept.retention.reviews
    await kept.over(reported=True)
    heard = await reviews.open(MODERATOR, await case_of(kept), "x")
    assert await code(reviews.sound(91, heard.read.id, "mix")) == "link.invalid"
    assert await code(reviews.sound(90, heard.read.id + 1, "mix")) == "link.invalid"
    assert await code(reviews.sound(90, heard.read.id, "../x")) == "link.invalid"
    assert await code(reviews.sound(90, heard.read.id, str(BEN))) == "evidence.none"
    kept.world.clock.advance(seconds=600)
    assert await code(reviews.sound(90, heard.read.id, "mix")) == "link.expired"


async def test_a_read_that_fails_is_written_down_too(kept: Retained) -> None:
    reviews = kept.retention.reviews
    space = await kept.over(reported=True)
    case = await case_of(kept)
    kept.worker.down = True
    assert await code(reviews.open(MODERATOR, case, "x")) == "media.unavailable"
    kept.worker.down = False
    await kept.objects.delete(f"spaces/{space}/source")
    assert await code(reviews.open(MODERATOR, case, "x")) == "evidence.none"
    assert len(await reviews.page(OPERATOR)) == 2
    trail = await kept.world.db.read(lambda k: actions(k, None, 10, space=space))
    assert [line.outcome for line in trail[:4]] == ["evidence.none", "asked", "media.unavailable", "asked"]


async def test_a_replay_reported_after_the_end_is_heard_from_its_beginning_and_a_clip_where_it_was_cut(
    kept: Retained,
) -> None:
    world, reviews = kept.world, kept.retention.reviews
    space = await kept.over(clip=True)
    world.clock.advance(days=3)
    await world.do(BEN, space, c.ReportSpace(reason="hate"))
    await world.do(BEN, space, c.ReportClip(clip=1, reason="hate"))
    await kept.settle()
    by_kind = {case.kind: case.id for case in await kept.moderation.cases(MODERATOR)}
    assert (await reviews.open(MODERATOR, by_kind["space"], "x")).evidence == (0, 20_000)
    clip = (await world.state(space)).clips[1]
    heard = await reviews.open(MODERATOR, by_kind["clip"], "x")
    assert heard.evidence == (clip.start_ms, clip.end_ms)
    await world.do(HOST, space, c.DeleteClip(clip=1))
    assert (await reviews.open(MODERATOR, by_kind["clip"], "x")).evidence == (clip.start_ms, clip.end_ms)


async def test_a_live_space_can_be_heard(kept: Retained) -> None:
    from tests.support.spoken_logs import SpokenLogs, log, spoken

    world = kept.world
    space = await world.live()
    await world.speaks(space, ANN)
    started_ms = (await world.state(space)).started_ms or 0
    SpokenLogs(kept.directory / "spool").write(log(spoken(), 1_000, HOST, ANN, space=space, started_at_ms=started_ms))
    world.clock.advance(ms=started_ms + 20_000 - world.clock.now_ms())
    await world.do(ANN, space, c.ReportSpace(reason="hate"))
    await kept.settle()
    heard = await kept.retention.reviews.open(MODERATOR, await case_of(kept), "now")
    assert [track.name for track in heard.tracks] == ["mix", "1", "2"]


async def test_the_sums_of_sounds_in_memory_are_bounded(kept: Retained, monkeypatch: pytest.MonkeyPatch) -> None:
    from spaces_ctl.service import reviews as module

    monkeypatch.setattr(module, "_HELD_BYTES", 100_000)
    reviews = kept.retention.reviews
    await kept.over(reported=True)
    heard = await reviews.open(MODERATOR, await case_of(kept), "x")
    for _ in range(3):
        for track in heard.tracks:
            await reviews.sound(90, heard.read.id, track.name)
    assert sum(len(sound) for _, sound in reviews._sounds.values()) <= 100_000


async def test_rows_are_there_on_both_databases(kept: Retained) -> None:
    names = {"deletions", "exports", "review_reads", "recordings", "captions"}
    found = await kept.world.db.read(lambda k: set(sa.inspect(k).get_table_names()))
    assert names <= found
