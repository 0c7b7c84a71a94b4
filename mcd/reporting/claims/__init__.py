"""The comparative sentences of the paper, and the judge that tests them on a run."""
