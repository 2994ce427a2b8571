"""Messages on the streams of a MoQ session, whichever end and protocol it is."""

from abc import ABC, abstractmethod

from tests.peers import wire
from tests.peers.transport import Incoming


class Messages(ABC):
    """A session that takes whole messages off its streams."""

    codec: wire.Codec

    def stream(self, stream: int, incoming: Incoming) -> None:
        """Until what has come is cut short."""
        while incoming.data:
            reader = wire.Reader(incoming.data, self.codec)
            try:
                self.message(stream, incoming, reader)
            except wire.Short:
                return
            incoming.data = incoming.data[reader.at :]

    @abstractmethod
    def message(self, stream: int, incoming: Incoming, reader: wire.Reader) -> None:
        """One, off the reader. Raises wire.Short."""
