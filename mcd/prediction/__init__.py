"""Predictions of a trained network: for test patients, with their scores, and for new ones; its model card; ONNX export."""
