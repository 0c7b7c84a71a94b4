"""MLflow. Written to a database and a folder beside it, unless `MLFLOW_TRACKING_URI` names a server."""

import os
from collections.abc import Mapping
from pathlib import Path

import mlflow
import numpy as np

from mcd.locks import alone


class Writer:
    """A run of the experiment that `MLFLOW_EXPERIMENT_NAME` names, or of `multi-condos`."""

    def __init__(self, folder: Path, run: str) -> None:
        server = os.environ.get("MLFLOW_TRACKING_URI")
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "multi-condos")
        with alone(folder / "runs.lock"):  # several trainings may make database and experiment at once
            self._client = mlflow.MlflowClient(server or f"sqlite:///{folder.absolute()}/runs.db")
            known = self._client.get_experiment_by_name(name)
            # its own choice would be a folder where the training was started, which others may read
            place = None if server else (folder.absolute() / "artifacts").as_uri()
            experiment = known.experiment_id if known else self._client.create_experiment(name, place)
            self._run = self._client.create_run(experiment, run_name=run).info.run_id

    def losses(self, epoch: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._client.log_metric(self._run, name, value, step=epoch)

    def picture(self, epoch: int, name: str, pixels: np.ndarray) -> None:
        self._client.log_image(self._run, pixels, key=name, step=epoch)

    def close(self) -> None:
        self._client.set_terminated(self._run)
