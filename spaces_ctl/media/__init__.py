"""What becomes of recordings: kept, packaged, cut, captioned, deleted. Beside the server, in processes of its own."""
