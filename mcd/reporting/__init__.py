"""Tables, figures and claims, and the page that shows them, from the results of runs (nothing is trained here)."""
