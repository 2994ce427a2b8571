"""The catalogue of topics that a new deployment begins with. Operators change it."""

from __future__ import annotations

from spaces_ctl.store.discovery import Topic

__all__ = ["CATALOGUE"]

_NAMES: tuple[tuple[str, str, str], ...] = (
    ("arts", "Arts & culture", "Books, theatre, dance, museums"),
    ("music", "Music", "Listening parties, artists, releases"),
    ("film-tv", "Film & TV", "Premieres, series, reviews"),
    ("sports", "Sports", "Matches, teams, athletes"),
    ("gaming", "Gaming", "Games, esports, streams"),
    ("technology", "Technology", "Software, gadgets, the internet"),
    ("science", "Science", "Research, space, nature"),
    ("business", "Business & finance", "Markets, start-ups, careers"),
    ("crypto", "Cryptocurrencies", "Coins, chains, markets"),
    ("news", "News", "What is happening now"),
    ("politics", "Politics", "Elections, policy, debate"),
    ("education", "Education", "Learning and teaching"),
    ("health", "Health & wellness", "Body, mind, fitness"),
    ("food", "Food", "Cooking, restaurants, drinks"),
    ("travel", "Travel", "Places and journeys"),
    ("fashion", "Fashion & beauty", "Style, design, beauty"),
    ("comedy", "Comedy", "Stand-up, open mic, jokes"),
    ("religion", "Faith", "Religion and spirituality"),
    ("family", "Home & family", "Parenting, relationships, home"),
    ("languages", "Languages", "Practice with others"),
)

CATALOGUE = tuple(
    Topic(id=id_, name=name, description=description, place=place)
    for place, (id_, name, description) in enumerate(_NAMES)
)
