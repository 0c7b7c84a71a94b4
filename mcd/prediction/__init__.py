"""What a trained network predicts: for test patients, with their scores, and for new ones; its card and its ONNX form."""
