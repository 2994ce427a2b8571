"""Full-text search: each case asks both databases the same and expects the same of both."""

from __future__ import annotations

import random
import unicodedata
from functools import partial

import sqlalchemy as sa

from spaces_ctl import events as ev
from spaces_ctl.model import Status
from spaces_ctl.store import search
from spaces_ctl.store.database import Database
from tests.store.happenings import create, happen

CORPUS = {
    1: ("Morning coffee ☕ with Ada", "News of compilers, and a Q&A", ["Technology", "ada_l", "Ada Lovelace"]),
    2: ("Crème brûlée für Anfänger", "Straße nach Köln", ["Food"]),
    3: ("ΑΘΗΝΑ σήμερα", "Вечер поэзии: Ёлка", ["Поэзия"]),
    4: ("音楽を語る夜", "東京タワーの話", ["音楽"]),
    5: ("C++20 vs Rust 1.93: which one?", "don't panic; e-mail me at a.b@example.org #rustlang", ["Technology"]),
    6: ("हिन्दी में बातचीत", "مُوسِيقَى عربية ושיחה בעברית", []),
    7: ("Coffeehouse jazz", "late-night compilations", ["Music"]),
    8: ("１２３ ﬁne ＡＢＣ", "İstanbul'da ışık", []),
}


KEYWORDS: list[tuple[str, list[int]]] = [
    ("coffee", [1]),
    ("COFFEE ada", [1]),
    ("coffee jazz", []),
    ("coffee*", [1, 7]),
    ("compil*", [1, 7]),
    ("technology", [1, 5]),
    ("lovelace morning", [1]),
    ("ada_l", [1]),
    ("creme brulee", [2]),
    ("BRÛLÉE", [2]),
    ("STRASSE", [2]),
    ("Koln", [2]),
    ("αθηνα ΣΗΜΕΡΑ", [3]),
    ("елка поэзия", [3]),
    ("音楽", [4]),
    ("東京", [4]),
    ("夜", [4]),
    ("楽音", []),
    ("rust 1 93", [5]),
    ("1.93", [5]),
    ("c++20", [5]),
    ("#rustlang", [5]),
    ("a.b@example.org", [5]),
    ("e-mail", [5]),
    ("don't", [5]),
    ("हिन्दी", [6]),
    ("हिन्द", []),
    ("موسيقى", [6]),
    ("בעברית", [6]),
    ("123 fine abc", [8]),
    ("istanbul", [8]),
    ("", []),
    ("☕ !!", []),
    ("*", []),
]

# Our own `*` at the end of a word aside, there is no query language.
HOSTILE = """
" | ' | coffee' OR 'jazz | coffee" OR "jazz | coffee OR jazz | coffee AND | NOT coffee | words:coffee
NEAR(coffee jazz)
coffee & !jazz | coffee:A | coffee <-> jazz | (coffee | ^coffee | coffee\\ | \\' | % | _ | coffee; DROP TABLE spaces
{a b}: coffee | -coffee jazz | :search_query | coffee:search_query | %s | %(x)s | $1 | ?
"""


async def fill(database: Database) -> None:
    def unit(c: sa.Connection) -> None:
        for space, (title, description, names) in CORPUS.items():
            state = create(c, space, title=title, description=description, scheduled_start_ms=9_000)
            if space % 2 == 0:
                happen(c, state, [ev.Started(record=False)], 9_000)
            search.put_names(c, space, names)

    await database.write(unit)


async def find(database: Database, query: str, *, prefix: bool = False) -> list[int]:
    return sorted(await database.read(lambda c: search.search(c, query, prefix=prefix)))


async def test_keywords(database: Database) -> None:
    await fill(database)
    assert [(query, await find(database, query)) for query, _ in KEYWORDS] == KEYWORDS


async def test_the_last_word_may_go_on_when_asked_for(database: Database) -> None:
    await fill(database)
    assert await find(database, "cof") == []
    assert await find(database, "cof", prefix=True) == [1, 7]
    assert await find(database, "jazz coff", prefix=True) == [7]
    assert await find(database, "jaz coffeehouse", prefix=True) == []
    assert await find(database, "हिन्द", prefix=True) == [6]


async def test_the_query_language_of_the_database_is_out_of_reach(database: Database) -> None:
    """Whatever stands between words only parts them."""
    await fill(database)
    odd = ["\x00", "coffee\x00jazz", "coffee\njazz", "coffee | jazz", "a" * 10_000, "a " * 10_000]
    for query in [*HOSTILE.strip().replace("\n", " | ").split(" | "), *odd]:
        plain = "".join(char if char.isalnum() or char == "_" else " " for char in query).replace("_", " ")
        found = await find(database, query)
        assert found == await find(database, plain), query
        assert {1, 7} - set(found), f"{query!r} found what one of its words is in"
    assert await find(database, "coffee") == [1]


async def test_states_and_pages(database: Database) -> None:
    await fill(database)
    for space in CORPUS:
        await database.write(partial(search.put_names, space=space, names=["shared"]))
    find_some = partial(search.search, query="shared")
    assert await database.read(find_some) == [8, 7, 6, 5, 4, 3, 2, 1]
    assert await database.read(partial(find_some, states=[Status.LIVE])) == [8, 6, 4, 2]
    assert await database.read(partial(find_some, states=[Status.SCHEDULED], limit=2)) == [7, 5]
    assert await database.read(partial(find_some, states=[Status.SCHEDULED], limit=2, before=5)) == [3, 1]
    assert await database.read(partial(find_some, states=[Status.ENDED])) == []


async def test_what_changes_is_found_anew_and_no_longer_as_before(database: Database) -> None:
    state = await database.write(lambda c: create(c, 1, title="Old words", scheduled_start_ms=9_000))
    await database.write(lambda c: search.put_names(c, 1, ["Ada"]))
    await database.write(lambda c: happen(c, state, [ev.Edited(title="New words")], 2_000))
    assert await find(database, "old") == []
    assert await find(database, "new ada") == [1]
    await database.write(lambda c: search.put_names(c, 1, ["Grace"]))
    assert await find(database, "ada") == []
    assert await find(database, "words grace") == [1]


async def test_any_text_is_found_by_any_of_its_words_in_any_script(database: Database) -> None:
    """Letters of all planes at random: whatever the folding leaves as a word finds the text on both databases."""
    rng = random.Random(7)
    letters = [chr(n) for n in range(0x20000) if unicodedata.category(chr(n))[0] in "LNM"]
    titles = {n: " ".join("".join(rng.sample(letters, rng.randrange(1, 6))) for _ in range(8)) for n in range(1, 60)}
    await database.write(
        lambda c: [create(c, space, title=title, scheduled_start_ms=9_000) for space, title in titles.items()]
    )
    for space, title in titles.items():
        for word in title.split():
            if search.words(word):
                assert space in await find(database, word), (space, word)
