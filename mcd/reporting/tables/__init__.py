"""Tables: what one shows, its numbers, and its page."""
