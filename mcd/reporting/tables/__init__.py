"""Tables: their definition, their numbers, and their pages."""
