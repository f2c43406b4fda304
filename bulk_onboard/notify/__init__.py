"""Notifications about the end of a run: messages through Apprise, and a ping for a dead man's switch."""
