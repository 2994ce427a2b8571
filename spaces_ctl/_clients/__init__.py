"""Native clients of a Space: the half of `spaces_ctl.engine` that speaks and listens. Import that instead."""

from spaces_ctl._clients.connection import MoqProtocol, Transport
from spaces_ctl._clients.listener import CaptionLine, Frame, Listener, ListenerStats, MixFrame
from spaces_ctl._clients.load import ListenerLoad, LoadStats
from spaces_ctl._clients.speaker import Speaker, SpeakerStats
from spaces_ctl._clients.tap import SeatFrame, SeatTap, TapStats

__all__ = [
    "CaptionLine",
    "Frame",
    "Listener",
    "ListenerLoad",
    "ListenerStats",
    "LoadStats",
    "MixFrame",
    "MoqProtocol",
    "SeatFrame",
    "SeatTap",
    "Speaker",
    "SpeakerStats",
    "TapStats",
    "Transport",
]
