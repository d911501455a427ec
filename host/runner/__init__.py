"""Runs: performance (windows of timed inferences) and accuracy (every input once), and the session around them."""
