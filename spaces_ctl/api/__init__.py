"""The HTTP face: our own REST and event streams, the X API, OAuth, the web page."""
