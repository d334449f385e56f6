"""The line protocol: how the suite speaks to a command under test, one JSON object per line and direction."""
