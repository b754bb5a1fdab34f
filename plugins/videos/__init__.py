"""What reads videos: their addresses, captions and subtitle files."""
