"""Live captions: speech of those who consented becomes text, in a process beside the server.

The process (`captioner`) hears the seats that the engine lets it hear, feeds a recogniser (`recogniser`: the interface;
`moonshine`, `websocket`: what is behind it) and tells the server lines of text. `service.captions` decides what becomes
of them. Text is never logged here, whatever goes wrong.
"""
