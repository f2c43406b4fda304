"""Telling others how a run ended: messages through Apprise, and a ping for a dead man's switch."""
