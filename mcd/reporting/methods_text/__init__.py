"""A paragraph on methods that a paper can use, with its bibliography, from what a run was asked for and what it did."""
